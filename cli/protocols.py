"""`daybook protocol`: check a file, see what it means for a patient, and the schema for editors."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import typer

from cli import wiring
from cli.printing import JsonFlag, counted, day, print_json, table
from cli.reading import start_of, wall_of
from cli.settings import load_settings
from diary.enrolment import check_zone
from protocol.calendar import (
    Enrolment,
    PlannedSlot,
    VisitDate,
    ZoneSince,
    next_nudge,
    phase_starts_from,
    plan,
    visit_dates,
    zone_of,
)
from protocol.errors import ProtocolError, WrongCallError
from protocol.load import ProtocolFile, load_protocol
from protocol.model import Phase, Protocol
from protocol.values import format_wall

protocol = typer.Typer(help="Check a protocol file; print a patient's whole calendar.", no_args_is_help=True)

_LANGUAGE = "en"


@protocol.command("check")
def check(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Path of a file, or a bundled protocol's name; the one in use if left out."
        ),
    ] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Check a protocol file and name each place to mend."""
    source = file or load_settings().protocol
    try:
        found = load_protocol(source)
    except ProtocolError as error:
        if as_json:
            print_json({"ok": False, "source": source, "findings": error.findings})
        for finding in () if as_json else error.findings:
            typer.echo(f"{source}: {finding}", err=True)
        raise typer.Exit(1) from None
    if as_json:
        print_json({"ok": True, "source": source, "findings": [], **_identity(found)})
    else:
        print(_praise(found))


def _praise(file: ProtocolFile) -> str:
    plan_of_it = file.protocol
    figures = (
        counted(len(plan_of_it.phase), "phase"),
        counted(plan_of_it.days, "day"),
        counted(len(plan_of_it.visit), "visit"),
        counted(len(plan_of_it.alert), "alert"),
        f"in {', '.join(plan_of_it.trial.languages)}",
    )
    return f"{file.source} can be used: version {plan_of_it.trial.version}, {', '.join(figures)}."


def _identity(file: ProtocolFile) -> dict[str, str]:
    trial = file.protocol.trial
    return {"id": trial.id, "version": trial.version, "sha256": file.sha256}


@protocol.command("schema")
def schema() -> None:
    """Print the JSON Schema of a protocol file. Editors complete and check with it as you type."""
    print_json(Protocol.model_json_schema())


@dataclass(frozen=True, slots=True)
class _Calendar:
    """One patient's whole trial as the protocol plans it."""

    file: ProtocolFile
    zone: str
    starts: dict[str, date]
    slots: tuple[PlannedSlot, ...]
    visits: tuple[VisitDate, ...]

    @property
    def protocol(self) -> Protocol:
        return self.file.protocol

    @property
    def first_day(self) -> date:
        return self.starts[self.protocol.phase[0].id]

    def of(self, phase: Phase) -> list[PlannedSlot]:
        return [slot for slot in self.slots if slot.phase == phase.id]

    def messages(self, slot: PlannedSlot) -> list[datetime]:
        """When the prompt and its repeats go out as long as nothing is answered."""
        item = self.protocol.item(slot.phase, slot.item)
        sent: list[datetime] = []
        at = slot.next_nudge_at
        while at is not None:
            sent.append(at)
            at = next_nudge(self.protocol, item, slot.due_at, slot.closes_at, slot.zone, after=at)
        return sent


@protocol.command("show")
def show(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="A bundled protocol's name or a file's path; the one in use if left out."
        ),
    ] = None,
    start: Annotated[str, typer.Option(help="First day: 2026-11-24, today or tomorrow.")] = "today",
    timezone: Annotated[str | None, typer.Option(help="Patient's IANA time zone; the protocol's.")] = None,
    evening: Annotated[
        str | None, typer.Option(help="Time a patient would choose, such as 20:30, for what may be moved.")
    ] = None,
    *,
    as_json: JsonFlag = False,
) -> None:
    """Print a patient's whole calendar. What is asked when, and until when it can be answered."""
    file = load_protocol(name or load_settings().protocol)
    zone = timezone or file.protocol.trial.timezone
    check_zone(zone)
    starts = phase_starts_from(file.protocol, start_of(start, zone=zone, now=wiring.clock()))
    # The zone holds from before the first day on, as for a patient who never travels.
    zones = (ZoneSince(datetime.min.replace(tzinfo=UTC), zone),)
    enrolment = Enrolment(starts, zones, _chosen(file.protocol, evening) if evening else {})
    calendar = _Calendar(file, zone, starts, plan(file.protocol, enrolment), visit_dates(file.protocol, starts))
    if as_json:
        print_json(_as_row(calendar))
    else:
        print("\n\n".join(_told(calendar)))


def _chosen(plan_of_it: Protocol, evening: str) -> dict[str, time]:
    """The chosen time for each item that may be moved, within the range the protocol allows."""
    wall = wall_of("--evening", evening)
    movable = plan_of_it.movable_items()
    if not movable:
        raise WrongCallError(f"Nothing in {plan_of_it.trial.id} can be moved by a patient; leave --evening out.")
    for item in movable.values():
        earliest, latest = item.patient_may_choose or (wall, wall)
        if not earliest <= wall <= latest:
            raise WrongCallError(
                f"{item.id} can be moved between {format_wall(earliest)} and {format_wall(latest)}, "
                f"not to {format_wall(wall)}."
            )
    return dict.fromkeys(movable, wall)


def _as_row(calendar: _Calendar) -> dict[str, Any]:
    return {
        **_identity(calendar.file),
        "timezone": calendar.zone,
        "phases": [
            {
                "id": phase.id,
                "start": calendar.starts[phase.id],
                "days": phase.days,
                "slots": dict(Counter(slot.item for slot in calendar.of(phase))),
            }
            for phase in calendar.protocol.phase
        ],
        "visits": [{"id": visit.visit, "date": visit.on} for visit in calendar.visits],
        "slots": [
            {
                "phase": slot.phase,
                "item": slot.item,
                "kind": slot.kind,
                "local_date": slot.local_date,
                "n": slot.n,
                **{
                    name: _here(getattr(slot, name), slot.zone)
                    for name in ("opens_at", "due_at", "on_time_until", "closes_at")
                },
                "messages": [_here(at, slot.zone) for at in calendar.messages(slot)],
                "label": slot.label,
            }
            for slot in calendar.slots
        ],
    }


def _told(calendar: _Calendar) -> Iterator[str]:
    trial = calendar.protocol.trial
    days = counted(calendar.protocol.days, "day")
    begins = f"{days} from {day(calendar.first_day)}, {calendar.zone}"
    yield f"{trial.title}\n{trial.id} {trial.version}, {begins}; +1 is the day after"
    for phase in calendar.protocol.phase:
        counts = Counter(slot.item for slot in calendar.of(phase))
        figures = ", ".join(f"{item} {count}" for item, count in counts.items()) or "nothing is asked"
        begins = day(calendar.starts[phase.id])
        title = f"{phase.name.in_language(_LANGUAGE)} ({phase.id})"
        yield f"{title}: {counted(phase.days, 'day')} from {begins}: {figures}\n\n{_lines(calendar, phase)}"
    total = Counter(slot.item for slot in calendar.slots)
    yield f"In all: {', '.join(f'{item} {count}' for item, count in total.items())}."


def _lines(calendar: _Calendar, phase: Phase) -> str:
    """A phase day by day; the day stands on its first line only."""
    slots: dict[date, list[PlannedSlot]] = {}
    for slot in calendar.of(phase):
        slots.setdefault(slot.local_date, []).append(slot)
    visits = {visit.on: visit.visit for visit in calendar.visits if _phase_of(calendar, visit) is phase}
    rows: list[Sequence[object]] = []
    for on in sorted({*slots, *visits}):
        of_day = [_slot_line(calendar, slot) for slot in slots.get(on, [])]
        if on in visits:
            of_day.insert(0, (f"visit {visits[on]}", "", "", "", "", ""))
        for number, line in enumerate(of_day):
            rows.append((*(((on - calendar.first_day).days, day(on)) if number == 0 else ("", "")), *line))
    return table(("day", "date", "what", "due", "from", "on time to", "closes", "messages"), rows, right=["day"])


def _phase_of(calendar: _Calendar, visit: VisitDate) -> Phase:
    begun = [phase for phase in calendar.protocol.phase if calendar.starts[phase.id] <= visit.on]
    return begun[-1]


def _slot_line(calendar: _Calendar, slot: PlannedSlot) -> tuple[str, ...]:
    if slot.excused_because:
        return (slot.item, _wall(slot.due_at, slot), "", "", "", f"not asked ({slot.excused_because})")
    messages = " ".join(_wall(at, slot) for at in calendar.messages(slot))
    note = f" ({slot.label})" if slot.label else ""
    return (
        slot.item,
        *(_wall(at, slot) for at in (slot.due_at, slot.opens_at, slot.on_time_until, slot.closes_at)),
        messages + note,
    )


def _wall(at: datetime, slot: PlannedSlot) -> str:
    """A time of day on the slot's wall; +1 says that it is the day after."""
    local = at.astimezone(zone_of(slot.zone))
    later = (local.date() - slot.local_date) // timedelta(days=1)
    return f"{local:%H:%M}" + (f"+{later}" if later else "")


def _here(at: datetime, zone: str) -> datetime:
    return at.astimezone(zone_of(zone))
