"""`daybook init` and `daybook migrate`: from an empty folder to a diary that can be served."""

import asyncio
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from cli import wiring
from cli.settings import ENV_FILE, Settings, load_settings
from diary import SYSTEM, Database, Keys, new_secret_key
from diary.team import add_site, list_sites
from protocol.errors import SchemaError, SettingsError
from protocol.load import ProtocolFile

FIRST_SITE = "main"

_ENV = """\
# Settings of Daybook. The environment comes before this file; DAYBOOK_BOT_TOKEN_FILE and
# DAYBOOK_SECRET_KEY_FILE name files to read a secret from instead.

# From @BotFather.
DAYBOOK_BOT_TOKEN=

# Opens what identifies patients. Keep a copy apart from the database's backups: without it nobody can be
# reminded any more, and whoever has both can tell who is who.
DAYBOOK_SECRET_KEY={key}

# DAYBOOK_DATABASE_URL=sqlite:///data/daybook.db
# DAYBOOK_PROTOCOL=magnesium-clbp
# DAYBOOK_WEB_HOST=127.0.0.1
# DAYBOOK_WEB_PORT=8080
# DAYBOOK_PUBLIC_URL=https://diary.example.org
# DAYBOOK_TRUSTED_PROXIES=127.0.0.1,::1
# DAYBOOK_BACKUP_DIR=/mnt/another-disk/daybook
# DAYBOOK_BACKUP_KEEP=14
# DAYBOOK_HEAD_FILE=/mnt/elsewhere/daybook-heads.txt
# DAYBOOK_LOG_FORMAT=console
# DAYBOOK_LOG_LEVEL=info
"""


def init() -> None:
    """Write a .env with a fresh key, create the database, take the protocol into use; safe to run again."""
    settings = load_settings()
    file = wiring.protocol_file(settings)
    with _for_the_owner_alone():
        for line in _keyed(settings):
            print(line)
        settings = load_settings()
        for line in asyncio.run(_create(settings, file)):
            print(line)
    print("\nNext:")
    for number, step in enumerate(_next_steps(settings), start=1):
        print(f"  {number}. {step}")


def _keyed(settings: Settings) -> Iterator[str]:
    """See to it that there is a key, without ever touching one that is there."""
    if settings.secret_keys:
        Keys(settings.secret_keys)
        yield "The secret key is there and stays as it is."
        return
    database = wiring.database_file(Database(settings.database, Keys([new_secret_key()])))
    if database and database.exists():
        raise SettingsError(
            f"{database.absolute()} was made with a key that is not set now; put that key back as "
            "DAYBOOK_SECRET_KEY, or move the database away to begin anew."
        )
    try:
        _write_key(new_secret_key())
    except OSError as error:
        raise SettingsError(
            f"{ENV_FILE.absolute()} cannot be written ({error.strerror}); run `daybook init` in a folder of yours."
        ) from None
    yield f"A fresh secret key is in {ENV_FILE.absolute()}, readable by you alone; keep a copy in a safe place."


def _write_key(key: str) -> None:
    """Make .env, or put the key into one that has none."""
    if not ENV_FILE.exists():
        ENV_FILE.touch(mode=0o600, exist_ok=False)
        ENV_FILE.write_text(_ENV.format(key=key), encoding="utf-8")
        return
    written = ENV_FILE.read_text(encoding="utf-8")
    line = f"DAYBOOK_SECRET_KEY={key}"
    filled, empty_ones = re.subn(r"^\s*DAYBOOK_SECRET_KEY\s*=.*$", line, written, count=1, flags=re.MULTILINE)
    ENV_FILE.chmod(0o600)
    ENV_FILE.write_text(filled if empty_ones else f"{written.rstrip()}\n{line}\n".lstrip(), encoding="utf-8")


async def _create(settings: Settings, file: ProtocolFile) -> list[str]:
    """The database of the newest form, with the protocol and a first site."""
    now = wiring.clock()
    trial = file.protocol.trial
    async with wiring.opened(settings, schema_checked=False) as db:
        await db.migrate()
        await wiring.protocol_in_use(db, file, now=now)
        said = [f"The database {_where(db)} is up to date.", f"The protocol {trial.id} {trial.version} is in use."]
        if not await list_sites(db):
            await add_site(db, code=FIRST_SITE, name="Main site", timezone=trial.timezone, actor=SYSTEM, now=now)
            said.append(f"A first site, {FIRST_SITE}, is added with the clock of {trial.timezone}.")
    return said


def _next_steps(settings: Settings) -> Iterator[str]:
    if not settings.bot_tokens:
        yield "Ask @BotFather in Telegram for a bot and put its token into .env as DAYBOOK_BOT_TOKEN."
    yield "daybook doctor                                 checks that all is well"
    yield "daybook staff add nour --role coordinator --site main"
    yield "daybook patient add P-001 --start tomorrow     prints the invite"
    yield "daybook serve                                  starts the bot, the reminders and the web address"


def migrate() -> None:
    """Bring the database up to date; make a backup before."""
    settings = load_settings()
    with _for_the_owner_alone():
        print(asyncio.run(_migrate(settings)))


async def _migrate(settings: Settings) -> str:
    db = Database(settings.database, Keys(settings.secret_keys))
    file = wiring.database_file(db)
    if file and not file.exists():
        raise SchemaError(f"There is no database {file.absolute()}; make it with `daybook init`.")
    async with wiring.opened(settings, schema_checked=False) as db:
        return f"The database {_where(db)} is up to date, form {await db.migrate()}."


def _where(db: Database) -> Path | str:
    file = wiring.database_file(db)
    return file.absolute() if file else db.url.render_as_string(hide_password=True)


@contextlib.contextmanager
def _for_the_owner_alone() -> Iterator[None]:
    """What is made here can be read by its owner alone."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)
