"""The settings of design §7: from the environment, a .env file, or files that hold the secrets."""

import os
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv.parser import parse_stream
from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from protocol.errors import SettingsError

PREFIX = "DAYBOOK_"
ENV_FILE = Path(".env")
SECRETS = ("bot_token", "secret_key", "database_url")

LOOPBACK = ("127.0.0.1/32", "::1/128")

_NAME = re.compile(r"^\s*(?:export\s+)?(\w+)\s*=", re.MULTILINE)
_TOKEN = re.compile(r"\d{1,20}:[A-Za-z0-9_-]+")
_SECRET_FIELDS = frozenset({*SECRETS, *(f"{name}_file" for name in SECRETS)})
# Served to every address of the machine, which is no address that a browser could open.
_REACHED_AS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not bound
_MENDS = {
    "web_port": "write a port number such as 8080",
    "log_format": "write console or json",
    "log_level": "write debug, info, warning or error",
    "webhook": "write 1 or 0",
    "backup_keep": "write a number of days such as 14",
}

Secrets = Annotated[tuple[SecretStr, ...], NoDecode]


class Settings(BaseSettings):
    """All settings, read once; what is secret does not show when printed."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        str_strip_whitespace=True,
        hide_input_in_errors=True,
    )

    bot_token: Secrets = ()
    bot_token_file: Path | None = None
    telegram_api: str = "https://api.telegram.org"
    database_url: SecretStr = SecretStr("sqlite:///data/daybook.db")
    database_url_file: Path | None = None
    protocol: str = "magnesium-clbp"
    secret_key: Secrets = ()
    secret_key_file: Path | None = None
    web_host: str = "127.0.0.1"
    web_port: Annotated[int, Field(ge=0, le=65535)] = 8080
    public_url: str | None = None
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = LOOPBACK
    webhook: bool = False
    backup_dir: Path | None = None
    backup_keep: Annotated[int, Field(ge=1)] = 14
    head_file: Path | None = None
    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="before")
    @classmethod
    def _secrets_from_files(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in SECRETS:
            path = values.get(f"{name}_file")
            if path and values.get(name):
                raise SettingsError(f"{_shown(name)} and {_shown(name)}_FILE are both set; keep one of them.")
            if path:
                values[name] = _text_of(f"{name}_file", Path(path))
        return values

    @field_validator("bot_token", "secret_key", "trusted_proxies", mode="before")
    @classmethod
    def _comma_separated(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("bot_token")
    @classmethod
    def _tokens(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_TOKEN.fullmatch(token.get_secret_value()) for token in tokens):
            raise ValueError('does not look like a bot token ("123456:ABC..."); copy it again from @BotFather')
        if len({token.get_secret_value().partition(":")[0] for token in tokens}) < len(tokens):
            raise ValueError("names the same bot twice; keep one token for each bot")
        return tokens

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(str(ip_network(network, strict=False)) for network in networks)
        except ValueError:
            raise ValueError("names no addresses; write them as 127.0.0.1,172.16.0.0/12") from None

    @field_validator("telegram_api", "public_url")
    @classmethod
    def _address(cls, url: str | None) -> str | None:
        if url is not None and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname):
            raise ValueError("is not a web address; write it as https://example.org")
        return url.rstrip("/") if url else url

    @field_validator("log_format", "log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.strip().lower() if isinstance(value, str) else value

    @property
    def bot_tokens(self) -> tuple[str, ...]:
        """The bots' tokens in plain text, in the order given."""
        return tuple(token.get_secret_value() for token in self.bot_token)

    @property
    def secret_keys(self) -> tuple[str, ...]:
        """The deployment's keys in plain text, the newest first."""
        return tuple(key.get_secret_value() for key in self.secret_key)

    @property
    def pages_url(self) -> str:
        """Where staff open their pages: the public address, or this machine's own."""
        if self.public_url:
            return self.public_url
        host = _REACHED_AS.get(self.web_host, self.web_host)
        return f"http://{f'[{host}]' if ':' in host else host}:{self.web_port}"

    @property
    def database(self) -> str:
        """The database's address, password included."""
        return self.database_url.get_secret_value().strip()

    def hidden(self) -> tuple[str, ...]:
        """Every text that must not appear in a log line."""
        return (*self.bot_tokens, *self.secret_keys)


def load_settings() -> Settings:
    """Read the settings; SettingsError names each setting that cannot be used, and the mend."""
    try:
        _check_lines()
        return Settings()
    except ValidationError as error:
        found = dict.fromkeys(_finding(detail) for detail in error.errors())
        raise SettingsError("; ".join(found) + ".") from None
    except UnicodeDecodeError:
        raise SettingsError(".env is not UTF-8 text; save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f".env cannot be read ({error.strerror}); check its rights.") from None


def not_served(settings: Settings) -> list[str]:
    """What may be set and this version cannot do yet, a sentence each."""
    found = []
    if len(settings.bot_tokens) > 1:
        found.append("DAYBOOK_BOT_TOKEN names several bots, and this version serves one; keep one token.")
    if settings.webhook:
        found.append("DAYBOOK_WEBHOOK=1 is not served by this version; take it out, and Daybook polls.")
    return found


def unknown_names() -> list[str]:
    """Names in the environment and in .env that begin like a setting and are none: most are slips of the pen."""
    known = {_shown(name) for name in Settings.model_fields}
    try:
        written = _NAME.findall(ENV_FILE.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        written = []
    given = {name for name in (*os.environ, *written) if name.upper().startswith(PREFIX)}
    return sorted(name for name in given if name.upper() not in known)


def bot_id_of(token: str) -> int:
    """A bot's id: the number before the colon of its token."""
    return int(token.partition(":")[0])


def _check_lines() -> None:
    """Refuse a .env with a line that would be left out."""
    if not ENV_FILE.is_file():
        return
    with ENV_FILE.open(encoding="utf-8") as lines:
        broken = [str(part.original.line) for part in parse_stream(lines) if part.error]
    if broken:
        raise SettingsError(
            f".env cannot be read at line {', '.join(broken)}; write a line as DAYBOOK_WEB_PORT=8080, "
            "close its quotes, or begin it with # to leave it out."
        )


def _text_of(name: str, path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(
            f"{_shown(name)} names {path}, which cannot be read ({error.strerror}); check the path and its rights."
        ) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{_shown(name)} names {path}, which is not text; put the secret into it.") from None
    if not text:
        raise SettingsError(f"{_shown(name)} names {path}, which is empty; put the secret into it.")
    return text


def _finding(detail: ErrorDetails) -> str:
    """One setting and its mend; the value is repeated only where it is no secret."""
    name = str(detail["loc"][0]) if detail["loc"] else ""
    if detail["type"] == "value_error":
        return f"{_shown(name)} {detail['msg'].removeprefix('Value error, ')}"
    mend = _MENDS.get(name, "mend it or take it out")
    said = "cannot be read" if name in _SECRET_FIELDS else f'is "{detail["input"]}"'
    return f"{_shown(name)} {said}; {mend}"


def _shown(name: str) -> str:
    return f"{PREFIX}{name.upper()}"
