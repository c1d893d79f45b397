"""`daybook patient`: bring patients in, see how they stand, move, pause, withdraw and forget them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import invites, wiring
from cli.invites import Issued
from cli.patient_facts import Card, Listed, card_of, everybody, site_called, status_of, zone_of_patient
from cli.printing import JsonFlag, counted, day, moment, pairs, print_json, share, table
from cli.reading import code_of, plain_text, start_of
from cli.settings import load_settings
from diary import SYSTEM, Database, Patient, PatientStatus
from diary.enrolment import (
    PhaseLength,
    add_patient,
    change_status,
    erase_patient,
    invite_patient,
    move_effect,
    move_phase,
    stop_use,
)
from protocol.errors import NotAllowedError
from protocol.values import format_wall
from reports.adherence import AdherenceRow

patient = typer.Typer(
    help="Bring patients in, see how they stand, move, pause, withdraw and forget them.", no_args_is_help=True
)

_NEXT = 5
_IN_RATE = ("rate", "expected")

Code = Annotated[str, typer.Argument(metavar="CODE", help="Subject code, such as P-001; never a name.")]
Qr = Annotated[Path | None, typer.Option(help="Also write the link as a QR picture (.png or .svg).")]
Reason = Annotated[str, typer.Option(help="Why, in a few words; it is kept in the audit trail.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")]


@patient.command("add")
def add(
    code: Code,
    *,
    start: Annotated[str, typer.Option(help="First day of the trial: 2026-11-24, today or tomorrow.")],
    site: Annotated[str | None, typer.Option(help="Site code; may be left out where there is only one.")] = None,
    timezone: Annotated[str | None, typer.Option(help="Patient's IANA time zone; the site's if left out.")] = None,
    language: Annotated[str | None, typer.Option(help="Language to begin with; the protocol's first.")] = None,
    qr: Qr = None,
    as_json: JsonFlag = False,
) -> None:
    """Add a patient and print the invite. Every slot of the trial is written at once."""
    code, settings = code_of(code), load_settings()
    file = wiring.protocol_file(settings)

    async def issue(db: Database) -> Issued:
        now = wiring.clock()
        clinic = await site_called(db, code_of(site) if site else None)
        first_day = start_of(start, zone=clinic.timezone, now=now)
        made = await add_patient(
            db,
            code=code,
            start=first_day,
            site=clinic.code,
            protocol_id=await wiring.protocol_in_use(db, file, now=now),
            timezone=timezone,
            language=language,
            actor=SYSTEM,
            now=now,
        )
        zone = timezone or clinic.timezone
        past = ", which is past" if first_day < start_of("today", zone=zone, now=now) else ""
        return Issued(made, f"{code} is added at {clinic.code}; the trial begins on {day(first_day)}{past}.", zone)

    asyncio.run(invites.invite(issue, settings=settings, qr=qr, as_json=as_json))


@patient.command("invite")
def invite(code: Code, qr: Qr = None, *, as_json: JsonFlag = False) -> None:
    """Make a new invite; earlier ones stop working. So does an old chat once the new one is used."""
    code = code_of(code)

    async def issue(db: Database) -> Issued:
        now = wiring.clock()
        made = await invite_patient(db, code=code, actor=SYSTEM, now=now)
        return Issued(
            made, f"A new invite for {made.code}; earlier ones are void.", await zone_of_patient(db, code)
        )

    asyncio.run(invites.invite(issue, settings=load_settings(), qr=qr, as_json=as_json))


@patient.command("list")
def list_(
    site: Annotated[str | None, typer.Option(help="Only the patients of this site.")] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """List the patients, leavers too."""
    found = asyncio.run(_list(code_of(site) if site else None))
    if as_json:
        print_json([_listed_row(one) for one in found])
    elif found:
        head = ("code", "site", "status", "chat", "language", "zone", "added", "joined")
        print(table(head, [_listed_line(one) for one in found]))
    else:
        print("There is no patient yet; `daybook patient add` adds one.")


async def _list(site: str | None) -> list[Listed]:
    async with wiring.opened(load_settings()) as db:
        return await everybody(db, site=site)


def _listed_row(one: Listed) -> dict[str, Any]:
    return {
        "code": one.patient.code,
        "site": one.site,
        "status": one.patient.status.value,
        "chat": one.chat,
        "language": one.patient.language,
        "timezone": one.zone,
        "added_at": one.patient.added_at,
        "joined_at": one.patient.joined_at,
        "withdrawn_at": one.patient.withdrawn_at,
        "erased_at": one.patient.erased_at,
    }


def _listed_line(one: Listed) -> tuple[object, ...]:
    who = one.patient
    added, joined = moment(who.added_at, one.zone), moment(who.joined_at, one.zone) or "-"
    return who.code, one.site, who.status.value, one.chat, who.language, one.zone, added, joined


@patient.command("show")
def show(code: Code, *, as_json: JsonFlag = False) -> None:
    """Show how one patient stands. Status, chat, phases, figures, and what comes next."""
    card = asyncio.run(_show(code_of(code)))
    if as_json:
        print_json(_card_row(card))
    else:
        _print_card(card)


async def _show(code: str) -> Card:
    async with wiring.opened(load_settings()) as db:
        return await card_of(db, code, now=wiring.clock())


def _card_row(card: Card) -> dict[str, Any]:
    return {
        **_listed_row(card.listed),
        "protocol": {"id": card.protocol.trial.id, "version": card.protocol.trial.version},
        "phases": {phase.id: card.phase_starts[phase.id] for phase in card.protocol.phase},
        "chosen_times": {item: format_wall(at) for item, at in card.chosen_times.items()},
        "day": card.seen.trial_day.day if card.seen.trial_day.day >= 1 else None,
        "phase": card.seen.trial_day.phase,
        "last_answer_at": card.seen.last_answer_at,
        "adherence": _figures(card),
        "coming": len(card.coming),
        "next": [{"phase": s.phase, "item": s.item, "due_at": s.due_local} for s in card.coming[:_NEXT]],
    }


def _print_card(card: Card) -> None:
    listed, trial = card.listed, card.protocol.trial
    who, zone = listed.patient, listed.zone
    chat = {"yes": "linked", "no": "not linked", "blocked": "linked, but the bot is blocked"}
    facts = [
        ("status", who.status.value),
        ("site", listed.site),
        ("chat", chat.get(listed.chat, "linked, but the account is gone")),
        ("language", who.language),
        ("zone", zone),
        ("protocol", f"{trial.id} {trial.version}"),
        ("added", moment(who.added_at, zone)),
        ("joined", moment(who.joined_at, zone)),
        ("withdrawn", moment(who.withdrawn_at, zone)),
        ("erased", moment(who.erased_at, zone)),
        ("last answer", moment(card.seen.last_answer_at, zone)),
    ]
    chosen = [(f"{item} at", format_wall(at)) for item, at in card.chosen_times.items()]
    print(f"{who.code}\n{pairs([*facts, *chosen])}")
    starts = [(part.name.in_language("en"), day(card.phase_starts[part.id])) for part in card.protocol.phase]
    print(f"\nphases\n{pairs(starts)}")
    figures = [(name.replace("_", " "), count) for name, count in _figures(card).items() if name not in _IN_RATE]
    print(f"\nslots so far\n{pairs([('answered', _rate(card)), *figures])}")
    if card.coming:
        coming = [(moment(slot.due_at, slot.zone) or "", slot.item) for slot in card.coming[:_NEXT]]
        print(f"\nnext, of {counted(len(card.coming), 'slot')} to come\n{pairs(coming)}")
    elif who.status is PatientStatus.INVITED:
        print(f"\nNothing is asked before {who.code} has joined and agreed.")
    elif who.status is PatientStatus.PAUSED:
        print("\nNothing is asked during the pause.")


def _figures(card: Card) -> dict[str, Any]:
    """The patient's figures under the names and in the sense of `daybook adherence`."""
    return AdherenceRow({}, card.seen.figures).flat()


def _rate(card: Card) -> str:
    return share(card.seen.figures.answered, card.seen.figures.expected)


@patient.command("move")
def move(
    code: Code,
    phase: Annotated[str, typer.Option(help="Phase whose first day changes; those after it move along.")],
    start: Annotated[str, typer.Option(help="New first day of the phase: 2026-12-10, today or tomorrow.")],
    reason: Reason,
    yes: Yes = False,
) -> None:
    """Move a phase to another day. What was asked already stays as it was."""
    move = _Move(code_of(code), phase, start, plain_text("--reason", reason))
    moved = asyncio.run(_move(move, surely=yes))
    figures = ", ".join(f"{counted(number, 'slot')} {what}" for what, number in moved.slots.items() if number)
    print(f"{phase} of {moved.code} now begins on {day(moved.first_day)}: {figures or 'no slot changed'}.")
    for length in moved.lengths:
        print(f"{length.phase} is {_longer(length)}.")


@dataclass(frozen=True, slots=True)
class _Move:
    """What was typed."""

    code: str
    phase: str
    start: str
    reason: str


@dataclass(frozen=True, slots=True)
class _Moved:
    """What became of it."""

    code: str
    first_day: date
    slots: Mapping[str, int]
    lengths: tuple[PhaseLength, ...]


async def _move(move: _Move, *, surely: bool) -> _Moved:
    now = wiring.clock()
    async with wiring.opened(load_settings()) as db:
        who = await status_of(db, move.code)
        first_day = start_of(move.start, zone=await zone_of_patient(db, who.code), now=now)
        lengths = await move_effect(db, code=who.code, phase=move.phase, start=first_day, actor=SYSTEM)
        cut = [length for length in lengths if length.days_then < length.days_now / 2]
        if cut and not surely:
            told = ", ".join(f"{length.phase} would be {_longer(length)}" for length in cut)
            typer.confirm(f"For {who.code} {told}. Move {move.phase} all the same?", abort=True, err=True)
        slots = await move_phase(
            db, code=who.code, phase=move.phase, start=first_day, actor=SYSTEM, reason=move.reason, now=now
        )
    return _Moved(who.code, first_day, slots, lengths)


def _longer(length: PhaseLength) -> str:
    by = length.days_then - length.days_now
    changed = "lengthened" if by > 0 else "shortened"
    return f"{changed} by {counted(abs(by), 'day')}, from {length.days_now} to {length.days_then}"


@patient.command("pause")
def pause(code: Code, reason: Reason) -> None:
    """Ask a patient for nothing for a while. The days until `resume` count as excused."""
    _change(code, PatientStatus.PAUSED, reason, done="is paused; `daybook patient resume` goes on.")


@patient.command("resume")
def resume(code: Code, reason: Reason) -> None:
    """Go on with a paused patient."""
    _change(code, PatientStatus.ACTIVE, reason, done="is asked again from now on.")


@patient.command("withdraw")
def withdraw(code: Code, reason: Reason) -> None:
    """Let a patient leave the study for good. The diary so far stays."""
    _change(code, PatientStatus.WITHDRAWN, reason, done="has left the study; nothing more is sent.")


def _change(code: str, status: PatientStatus, reason: str, *, done: str) -> None:
    before = asyncio.run(_status(code_of(code), status, reason=plain_text("--reason", reason)))
    changed = before.status is not status
    print(f"{before.code} {done}" if changed else f"{before.code} is {status.value} already; nothing changed.")


async def _status(code: str, status: PatientStatus, *, reason: str) -> Patient:
    """The patient as they were before."""
    async with wiring.opened(load_settings()) as db:
        before = await status_of(db, code)
        if before.status is PatientStatus.INVITED and status is PatientStatus.ACTIVE:
            # Only the patient's own "I agree" makes an invited patient active.
            raise NotAllowedError(
                f"{before.code} has not agreed yet; send an invite with `daybook patient invite {before.code}`."
            )
        await change_status(
            db, patient_id=before.id, status=status, actor=SYSTEM, reason=reason, now=wiring.clock()
        )
    return before


@patient.command("stop-use")
def stop_use_(code: Code, reason: Reason) -> None:
    """Use a leaver's diary no more. It is kept for inspectors and left out of exports from now on."""
    code, why = code_of(code), plain_text("--reason", reason)
    asyncio.run(_stop_use(code, why))
    print(f"The diary of {code} is kept and no longer used; exports leave it out.")


async def _stop_use(code: str, reason: str) -> None:
    async with wiring.opened(load_settings()) as db:
        await stop_use(db, code=code, actor=SYSTEM, reason=reason, now=wiring.clock())


@patient.command("erase")
def erase(
    code: Code,
    reason: Reason,
    yes: Yes = False,
) -> None:
    """Forget who a withdrawn patient is. Chat and invites go, the coded diary stays."""
    forgotten = asyncio.run(_erase(code_of(code), plain_text("--reason", reason), surely=yes))
    print(f"{forgotten} is a code without a person now; the diary under it stays.")


async def _erase(code: str, reason: str, *, surely: bool) -> str:
    async with wiring.opened(load_settings()) as db:
        who = await status_of(db, code)
        if who.status is not PatientStatus.WITHDRAWN:
            raise NotAllowedError(f"{who.code} is still in the study; withdraw the patient first.")
        if not surely:
            typer.confirm(f"Forget who {who.code} is? This cannot be undone.", abort=True, err=True)
        await erase_patient(db, code=who.code, actor=SYSTEM, reason=reason, now=wiring.clock())
    return who.code
