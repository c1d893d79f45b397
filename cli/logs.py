"""What is logged and what never is: tokens, keys, and whatever other people's libraries say about content."""

import logging
import re
import sys
from collections.abc import Collection
from typing import Any

import structlog

from cli.settings import Settings, load_settings
from protocol.errors import SettingsError

ROOMS = ("protocol", "storage", "diary", "schedules", "reports", "bot", "web", "rehearsal", "cli")
HIDDEN = "[hidden]"

# A bot's, and one of those that programs read with.
_TOKEN = re.compile(r"\d+(?::|%3A)[\w-]{30,}|daybook_[\w-]{30,}", re.IGNORECASE)


def configure_logging(settings: Settings) -> None:
    """Log to standard error in the format and from the level of the settings.

    Only Daybook's own rooms follow LOG_LEVEL. Libraries stay at WARNING whatever it says: at debug, aiosqlite
    logs what patients wrote, telegram whole messages with chat ids, and httpx and aiohttp addresses with tokens.
    """
    own: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *own,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=own,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _renderer(settings),
                Redaction(settings.hidden()),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    for room in ROOMS:
        logging.getLogger(room).setLevel(settings.log_level.upper())


class Redaction:
    """The last step of every log line: takes out what looks like a token and each secret of the settings."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._secrets = sorted(secrets, key=len, reverse=True)

    def __call__(self, _logger: Any, _name: str, line: Any) -> str:
        """Redact a rendered line, as a structlog processor."""
        return self.redacted(str(line))

    def redacted(self, text: str) -> str:
        """The text without anything secret."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _TOKEN.sub(HIDDEN, text)


def _renderer(settings: Settings) -> Any:
    if settings.log_format == "json":
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )


def redaction() -> Redaction:
    """The redaction of the settings, as far as they can be read."""
    try:
        return Redaction(load_settings().hidden())
    except SettingsError:
        return Redaction(())
