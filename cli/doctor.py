"""`daybook doctor`: looks at everything a diary needs and says what to mend, in an order that makes sense."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import typer

from cli import wiring
from cli.printing import JsonFlag, lines, print_json
from cli.settings import LOOPBACK, Settings, bot_id_of, load_settings, not_served, unknown_names
from cli.telegram_name import SECONDS, NoNameError, ask_name
from diary import Database, Keys
from diary.team import list_sites
from protocol.errors import DaybookError, SettingsError
from reports.heads import why_not_kept
from reports.health import Health, backup_is_old, health_of, serves
from web.server import AddressTakenError, check_listening

_FREE_BYTES_NEEDED = 500 * 1024 * 1024
# Telegram's Date header has whole seconds and the answer takes a while to come.
_CLOCK_MAY_DIFFER = timedelta(seconds=5 + SECONDS)
_THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
_MADE = datetime(2026, 11, 1, tzinfo=UTC)
_MEGABYTE = 1024 * 1024
_SYNCHRONOUS = {"0": "off", "1": "normal", "2": "full", "3": "extra"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; where it is not `ok`, or only `warns`, `says` names the mend."""

    check: str
    ok: bool
    says: str
    warns: bool = False

    @property
    def mark(self) -> str:
        """The word its line begins with."""
        return "mend" if not self.ok else "warn" if self.warns else "ok"


def doctor(*, as_json: JsonFlag = False) -> None:
    """Check settings, database, clock, token and protocol; exit 1 where something must be mended."""
    found = asyncio.run(_examine())
    ok = all(finding.ok for finding in found)
    if as_json:
        checks = [{"check": one.check, "ok": one.ok, "warns": one.warns, "says": one.says} for one in found]
        print_json({"ok": ok, "checks": checks})
    else:
        print(lines([(one.mark, one.check, one.says) for one in found]))
    if not ok:
        raise typer.Exit(1)


async def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        return [Finding("settings", False, str(error))]
    return [
        *_settings(settings),
        *_head_file(settings),
        _protocol(settings),
        *[finding async for finding in _database(settings)],
        *[finding async for finding in _telegram(settings)],
    ]


def _settings(settings: Settings) -> Iterator[Finding]:
    unknown = unknown_names()
    wrong = [f"{', '.join(unknown)}: no such setting; mend the spelling or take it out"] if unknown else []
    wrong += not_served(settings)
    yield from (Finding("settings", False, says) for says in wrong)
    if not wrong:
        yield Finding("settings", True, "can be read")
    yield from _public(settings)
    try:
        Keys(settings.secret_keys)
    except SettingsError as error:
        yield Finding("key", False, str(error))
    else:
        yield Finding("key", True, "is there; keep a copy apart from the backups")


def _public(settings: Settings) -> Iterator[Finding]:
    """What can be told of the way to the pages: whether it is secret, and who stands between."""
    if settings.public_url is None:
        return
    if settings.public_url.startswith("http://"):
        says = f"{settings.public_url} is not HTTPS: passphrases and cookies can be read on the way"
        yield Finding("public address", False, says)
    if settings.web_host not in _THIS_MACHINE and settings.trusted_proxies == LOOPBACK:
        says = (
            f"the pages are served at {settings.web_host}, and no proxy beyond this machine is trusted: behind "
            "one all browsers have its address, and a few wrong tries keep everybody out; name the proxy "
            "with DAYBOOK_TRUSTED_PROXIES"
        )
        yield Finding("proxy", False, says)


def _head_file(settings: Settings) -> Iterator[Finding]:
    """Whether where the audit trail ends can be kept where the settings say; left out where they say nothing."""
    if (file := settings.head_file) is None:
        return
    if why := why_not_kept(file):
        says = f"{file}: {why}; mount it, or name another file with DAYBOOK_HEAD_FILE"
        yield Finding("head file", False, says)
    else:
        yield Finding("head file", True, f"{file} can be written")


def _protocol(settings: Settings) -> Finding:
    try:
        trial = wiring.protocol_file(settings).protocol.trial
    except DaybookError as error:
        return Finding("protocol", False, str(error))
    return Finding("protocol", True, f"{trial.id} {trial.version}")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    now, health = wiring.clock(), None
    try:
        async with wiring.opened(settings) as db:
            health = await health_of(db, now=now)
            await db.try_writing()
            yield Finding("database", True, await _described(db))
            if file := wiring.database_file(db):
                yield _disk(file.absolute().parent)
            sites = await list_sites(db)
            known = ", ".join(site.code for site in sites)
            yield Finding("sites", bool(sites), known or "there is none; add one with `daybook site add`")
            yield _clock(health, now)
            yield _backups(settings.backup_dir, health, now)
    except DaybookError as error:
        yield Finding("database", False, str(error))
    yield _web(settings, health, now)


async def _described(db: Database) -> str:
    running = {name.replace("_", " "): str(value) for name, value in (await db.pragmas()).items()}
    running["synchronous"] = _SYNCHRONOUS.get(running.get("synchronous", ""), "")
    running["foreign keys"] = "on" if running.get("foreign keys") == "1" else ""
    where = wiring.database_file(db)
    settings = ", ".join(f"{name} {value}" for name, value in running.items() if value)
    return f"{where.absolute() if where else 'server'}: {settings}"


def _disk(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    says = f"{free // _MEGABYTE} MB free in {folder}"
    if free < _FREE_BYTES_NEEDED:
        return Finding("disk", False, f"{says}; make room, a full disk loses answers")
    return Finding("disk", True, says)


def _backups(folder: Path | None, health: Health, now: datetime) -> Finding:
    """Whether the service makes backups, and how old the last one is that was proven."""
    if folder is None:
        says = "the service makes none; name a folder on another disk with DAYBOOK_BACKUP_DIR"
        return Finding("backups", True, says, warns=True)
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        says = f"{folder.absolute()} is no folder that can be written to; make it, or connect its disk"
        return Finding("backups", False, says)
    if health.backed_up_at is None:
        says = f"none was proven yet; the service makes one in {folder.absolute()} when it starts"
        return Finding("backups", True, says, warns=True)
    hours = (now - health.backed_up_at).total_seconds() / 3600
    says = f"the last one that was proven is {hours:.1f} h old"
    if backup_is_old(health.backed_up_at, now=now):
        return Finding("backups", True, f"{says}; look at the log of `daybook serve`", warns=True)
    return Finding("backups", True, says)


def _web(settings: Settings, health: Health | None, now: datetime) -> Finding:
    """Whether the web address can be listened on; a service that runs holds it already."""
    where = f"{settings.web_host}:{settings.web_port}"
    if health is not None and serves(health, now=now):
        return Finding("web", True, f"{where}, as the service runs")
    try:
        check_listening(settings.web_host, settings.web_port)
    except AddressTakenError as error:
        return Finding("web", False, f"{error} It is set by DAYBOOK_WEB_HOST and DAYBOOK_WEB_PORT.")
    return Finding("web", True, f"{where} is free")


def _clock(health: Health, now: datetime) -> Finding:
    """What the machine's clock says cannot be before this version was made, nor before what was seen already."""
    seen = [at for at in (health.served_at, health.polled_at, health.dispatched_at, _MADE) if at]
    behind = max(seen) - now
    if behind > _CLOCK_MAY_DIFFER:
        says = f"{now:%Y-%m-%d %H:%M} UTC, which is earlier than what was seen already ({max(seen):%Y-%m-%d %H:%M})"
        return Finding("clock", False, f"{says}; set the clock by NTP")
    return Finding("clock", True, f"{now:%Y-%m-%d %H:%M:%S} UTC")


async def _telegram(settings: Settings) -> AsyncIterator[Finding]:
    if not settings.bot_tokens:
        yield Finding("token", False, "DAYBOOK_BOT_TOKEN is not set; put the token there that @BotFather gives you")
    for token in settings.bot_tokens:
        try:
            bot = await ask_name(settings.telegram_api, token)
        except NoNameError as error:
            yield Finding("token", False, f"bot {bot_id_of(token)}: {error}")
            continue
        yield Finding("token", True, f"bot {bot_id_of(token)} is @{bot.username}")
        if bot.server_time:
            yield _compared(bot.server_time, wiring.clock())


def _compared(there: datetime, here: datetime) -> Finding:
    apart = abs(here - there)
    if apart > _CLOCK_MAY_DIFFER:
        says = f"this machine and Telegram are {int(apart.total_seconds())} s apart; set the clock by NTP"
        return Finding("telegram", False, says)
    return Finding("telegram", True, "can be reached, and its clock agrees with this one")
