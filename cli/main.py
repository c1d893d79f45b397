"""The front door: finds the command, runs it, and turns every error into one plain sentence."""

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Annotated

import typer
import typer.main

from protocol.errors import DaybookError, WrongCallError

DONE, SAID_NO, WRONG_CALL, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True, slots=True)
class Door:
    """One command or group: `name` is what is typed, `within` the module, which has it as `called`."""

    name: str
    within: str
    called: str
    help: str


# Only the module of the command that was typed is loaded, so that --help need not wait for the database's
# and the chart's libraries. A module's own help text says more; these lines are for the overview.
DOORS = (
    Door("demo", "cli.demo", "demo", "Try it: no account, no token, no network."),
    Door("simulate", "cli.simulate", "simulate_", "Live through a whole trial with virtual patients."),
    Door("init", "cli.init", "init", "Write a .env with a fresh key and create the database."),
    Door("doctor", "cli.doctor", "doctor", "Check that all is well, and say what to mend."),
    Door("serve", "cli.serve", "serve", "Run the bot, the reminders and the web address."),
    Door("health", "cli.health", "health", "Say whether the service lives, listens and sends in time."),
    Door("migrate", "cli.init", "migrate", "Bring the database up to date."),
    Door("backup", "cli.backups", "backup", "Copy everything into a sealed file that is proven."),
    Door("restore", "cli.backups", "restore", "Make the database out of a backup."),
    Door("protocol", "cli.protocols", "protocol", "Check a protocol file; print a patient's whole calendar."),
    Door("patient", "cli.patients", "patient", "Bring patients in, see how they stand, move, pause them."),
    Door("staff", "cli.staff", "staff", "The study team and what each may see."),
    Door("site", "cli.sites", "site", "The clinics that take part."),
    Door("adherence", "cli.adherence", "adherence", "Show how complete the diaries are."),
    Door("export", "cli.exports", "export", "Write the diary as files for a statistician."),
    Door("audit", "cli.audit", "audit", "Verify that the audit trail is as it was written."),
    Door("analyse", "cli.analyse", "analyse", "Print the trial's tables from an export and an allocation list."),
    Door("randomise", "cli.randomise", "randomise_", "Make an allocation list as sealed kit numbers."),
)


def main() -> None:
    """Run `daybook` and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 1 the world said no, 2 the call was wrong."""
    try:
        code = _called(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read along has enough; without this the interpreter would complain when it flushes at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return SAID_NO
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


def _called(arguments: Sequence[str]) -> int:
    try:
        found = typer.main.get_command(app_for(arguments)).main(
            args=list(arguments) or ["--help"], prog_name="daybook", standalone_mode=False
        )
    except typer.Abort:
        return _say("Nothing was changed.", SAID_NO)
    except typer.TyperException as error:
        return _say(_usage(error, arguments), error.exit_code)
    except WrongCallError as error:
        return _say(str(error), WRONG_CALL)
    except DaybookError as error:
        return _say(str(error), SAID_NO)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: never a traceback in a user's face
        return _say(_database_trouble(error) or _unexpected(error), SAID_NO)
    return found if isinstance(found, int) else DONE


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The command line with the one command loaded that these arguments call; the others only have their help."""
    app = typer.Typer(
        help="A patient diary for clinical trials, in a chat.",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    app.callback()(_daybook)
    typed = next((argument for argument in arguments if not argument.startswith("-")), None)
    for door in DOORS:
        if door.name == typed:
            _open(app, door)
        else:
            app.command(door.name, help=door.help)(_elsewhere)
    return app


def _open(app: typer.Typer, door: Door) -> None:
    command = getattr(importlib.import_module(door.within), door.called)
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=door.name)
    else:
        app.command(door.name)(command)


def _elsewhere() -> None:
    """Stand for a command whose module is not loaded; never called."""


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("daybook"))
        raise typer.Exit


def _daybook(
    *,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """A patient diary for clinical trials, in a chat."""


def _say(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


def _usage(error: typer.TyperException, arguments: Sequence[str]) -> str:
    """What was wrong with the call in one sentence, and where to read on; a bare group shows its help."""
    text = error.format_message()
    if text.startswith("Usage:"):
        return text
    context = getattr(error, "ctx", None)
    path = context.command_path if context else " ".join(["daybook", *arguments[:1]])
    sentence = " ".join(text.replace("Value error, ", "").split()).rstrip(".")
    joint = "" if sentence.endswith("?") else ";"
    return f"{sentence}{joint} `{path} --help` shows how it is called."


def _database_trouble(error: Exception) -> str | None:
    from storage.database import trouble_of  # noqa: PLC0415 - slow to load, and needed here only

    return trouble_of(error)


def _unexpected(error: Exception) -> str:
    if os.environ.get("DAYBOOK_LOG_LEVEL", "").lower() == "debug":
        from cli.logs import redaction  # noqa: PLC0415 - needed here only, and the settings may be what failed

        return redaction().redacted("".join(traceback.format_exception(error))).rstrip()
    return (
        f"Something happened that Daybook does not know ({type(error).__name__}); "
        "run the command again with DAYBOOK_LOG_LEVEL=debug to see where."
    )
