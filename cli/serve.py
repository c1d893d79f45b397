"""`daybook serve`: the bot, the schedules and the web address, until a SIGTERM or Ctrl-C."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager, nullcontext

import structlog

from bot.application import build_bot
from bot.service import Service
from cli.logs import configure_logging
from cli.settings import Settings, load_settings, not_served
from cli.wiring import clock, opened, protocol_file, protocol_in_use
from diary import Database
from protocol.errors import SettingsError
from schedules.backups import Backups
from web.app import web_app
from web.server import Server

log = structlog.get_logger(__name__)


def serve() -> None:
    """Run the diary: bot, schedules and the web address; stop with Ctrl-C or SIGTERM."""
    settings = load_settings()
    configure_logging(settings)
    asyncio.run(_serve(settings))


async def _serve(settings: Settings) -> None:
    token = _only_token(settings)
    file = protocol_file(settings)
    async with opened(settings) as db:
        await db.try_writing()
        await protocol_in_use(db, file, now=clock())
        stop = asyncio.Event()
        _stop_on_signals(stop)
        makes_backups = settings.backup_dir is not None
        pages = web_app(db, clock, pages_url=settings.pages_url, makes_backups=makes_backups)
        # Only what these say of where a request comes from is believed; anybody can write such a header.
        behind = {"forwarded_allow_ips": list(settings.trusted_proxies)}
        async with Server(pages, settings.web_host, settings.web_port, **behind) as server:
            log.info("serving", address=server.url, trial=file.protocol.trial.id)
            bot = build_bot(token, settings.telegram_api)
            service = Service(db, bot, clock, pages_url=settings.pages_url, head_file=settings.head_file)
            async with _backups(settings, db, service):
                await service.run(stop)


def _backups(settings: Settings, db: Database, service: Service) -> AbstractAsyncContextManager[None]:
    """What makes backups beside the service, whether Telegram can be reached or not; nothing without a folder."""
    if settings.backup_dir is None:
        return nullcontext()
    made = Backups(db, settings.backup_dir, clock, quiet=service.between_ticks, keep=settings.backup_keep)
    return made.running()


def _only_token(settings: Settings) -> str:
    """The bot's token; SettingsError for what this version cannot do yet."""
    if not settings.bot_tokens:
        raise SettingsError(
            "DAYBOOK_BOT_TOKEN is missing; ask @BotFather for a bot and put its token into .env. "
            "To try Daybook without one, run `daybook demo`."
        )
    for refused in not_served(settings):
        raise SettingsError(refused)
    return settings.bot_tokens[0]


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
