from datetime import time, timedelta

import pytest

from diary import SYSTEM, Actor
from diary.alerts import close_alert, see_alert
from diary.joining import choose_time, choose_zone
from protocol.calendar import visit_dates
from protocol.errors import UnknownCodeError
from reports.patient import overview
from reports.record import pain_series, record
from reports.trail import trail
from schedules.dispatcher import send_due
from schedules.sending import Sent
from storage import entries as kept
from storage import slots as ledger
from storage.audit import Audit
from tests.cast import START, T0, Stage, cairo
from tests.reports.diary_of import correct, scored, slot_of

FRIDAY = cairo("2026-11-27 10:00")


def line_of(found, name: str):
    item, day = name.split()
    return next(one for one in found.lines if (one.slot.item, one.slot.local_date.isoformat()) == (item, day))


async def staff_corrects(stage: Stage, patient_id: int, name: str, score: int, actor: Actor):
    """A correction by staff as the diary writes it."""
    slot = await slot_of(stage, patient_id, name)
    async with stage.db.write() as conn:
        old = (await kept.current_entries(conn, patient_id))[slot.id]
        audit = Audit(FRIDAY, actor, "correct answer", patient_id, reason="misread")
        values = {field: getattr(old, field) for field in type(old).__slots__ if field != "id"}
        values |= {"score": score, "kind": "staff", "source": "phone", "supersedes": old.id, "arrival": None}
        grown = await kept.add_entry(conn, {**values, "change_reason": "misread"}, audit=audit)
        await ledger.mark_answered(conn, slot.id, grown.row_id, kind=None, audit=grown.audit)


async def test_the_record_begins_with_who_the_patient_is(stage: Stage, amina):
    found = await record(stage.db, "P-001", None, FRIDAY)

    assert (found.patient.code, found.site, found.zone, found.now) == ("P-001", "main", "Africa/Cairo", FRIDAY)
    assert [zone.zone for zone in found.zones] == ["Africa/Cairo"]
    assert found.chosen_times == {}
    assert found.phase_starts["oral"] == START + timedelta(days=14)
    assert found.phase_names["iv"].in_language("en") == "Infusion weeks"
    assert found.item_names["pain"].in_language("en") == "pain rating"
    assert found.protocol.trial.id == "magnesium-clbp"
    assert [(phase.phase, (phase.last - phase.first).days + 1) for phase in found.phases] == [
        ("iv", 14),
        ("oral", 28),
        ("follow-up", 140),
    ]
    assert found.overview == await overview(stage.db, "P-001", None, FRIDAY)
    assert [(one.decision, one.language) for one in found.consents] == [("agreed", "en")]


async def test_every_slot_is_there_past_and_coming_with_its_state(stage: Stage, amina):
    found = await record(stage.db, "P-001", None, FRIDAY)
    async with stage.db.read() as conn:
        assert [line.slot for line in found.lines] == await ledger.slots_of_patient(conn, amina.id, now=FRIDAY)
    assert [line.slot.state for line in found.lines[:4]] == ["on time", "on time", "late", "missed"]
    assert found.lines[-1].slot.state == "coming"
    assert line_of(found, "pain 2026-11-25").entries == ()


async def test_a_line_has_all_its_entries_in_order_with_who_recorded_each(stage: Stage, amina):
    actor = await stage.actor()
    await correct(stage, amina.id, "pain 2026-11-26", scored(3), "2026-11-26 23:30")
    await staff_corrects(stage, amina.id, "pain 2026-11-26", 6, actor)

    first, own, by_staff = line_of(await record(stage.db, "P-001", None, FRIDAY), "pain 2026-11-26").entries
    assert [one.entry.score for one in (first, own, by_staff)] == [5, 3, 6]
    assert [one.by for one in (first, own, by_staff)] == ["patient", "patient", "nour"]
    assert (own.entry.supersedes, by_staff.entry.supersedes) == (first.entry.id, own.entry.id)
    assert (by_staff.entry.kind, by_staff.entry.source, by_staff.entry.change_reason) == (
        "staff",
        "phone",
        "misread",
    )
    assert first.entry.received_at == cairo("2026-11-26 23:00")


async def test_a_line_has_its_messages_with_their_outcomes(stage: Stage):
    await stage.joined()
    sender = _Sender()
    for wall in ("09:00", "14:00"):
        await send_due(stage.db, sender, now=cairo(f"2026-11-24 {wall}"))
    first, second = line_of(await record(stage.db, "P-001", None, FRIDAY), "infusion 2026-11-24").sends

    assert (first.nudge, first.outcome, first.detail) == (0, "sent", None)
    assert first.planned_for == first.claimed_at == cairo("2026-11-24 09:00")
    assert (second.nudge, second.planned_for) == (1, cairo("2026-11-24 14:00"))


class _Sender:
    """Sends everything."""

    async def send(self, nudge):
        return Sent(7)


async def test_a_journey_and_a_chosen_time_are_in_the_record(stage: Stage, amina):
    since = cairo("2026-11-26 08:00")
    await choose_zone(stage.db, patient_id=amina.id, zone="Asia/Dubai", actor=SYSTEM, now=since)
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=time(19), actor=SYSTEM, now=since)
    found = await record(stage.db, "P-001", None, FRIDAY)

    assert [(one.zone, one.since) for one in found.zones][1:] == [("Asia/Dubai", since)]
    assert (found.zone, found.chosen_times) == ("Asia/Dubai", {"pain": time(19)})


async def test_alerts_are_there_with_their_owner_open_and_done(stage: Stage, amina):
    actor = await stage.actor()
    done, taken = await stage.alert(amina, "dizzy"), await stage.alert(amina, "sick", now=T0 + timedelta(hours=1))
    await close_alert(stage.db, alert_id=done, actor=actor, now=FRIDAY)
    await see_alert(stage.db, alert_id=taken, actor=actor, now=FRIDAY)
    found = await record(stage.db, "P-001", None, FRIDAY)

    assert [(one.text, one.owner, one.alert.done_at) for one in found.alerts] == [
        ("sick", "nour", None),
        ("dizzy", "nour", FRIDAY),
    ]
    assert [alert.id for alert in found.overview.open_alerts] == [taken]
    assert [(note.kind, note.text) for note in found.notes] == [("side-effect", "dizzy"), ("side-effect", "sick")]
    assert found.notes[0].passed_on_at == T0


async def test_the_trail_is_that_of_the_patient_the_newest_first(stage: Stage, amina, elsewhere):
    found = await record(stage.db, "P-001", None, FRIDAY)
    assert list(found.trail) == await trail(stage.db, None, code="P-001", limit=1000)
    assert {line.code for line in found.trail} == {"P-001"}


async def test_pain_is_a_series_of_the_scores_that_hold(stage: Stage, amina):
    await correct(stage, amina.id, "pain 2026-11-26", scored(2), "2026-11-26 23:30")
    series = pain_series(await record(stage.db, "P-001", None, FRIDAY))

    assert [(point.at.strftime("%d %H:%M"), point.score, point.kind) for point in series] == [
        ("24 20:00", 7, "on time"),
        ("26 20:00", 2, "late"),
    ]


async def test_a_patient_who_has_said_nothing_has_a_record_too(stage: Stage):
    await stage.add()
    found = await record(stage.db, "P-001", None, T0)
    assert (pain_series(found), found.notes, found.consents, found.alerts) == ([], (), (), ())
    assert {line.slot.state for line in found.lines} == {"coming"}
    assert len(visit_dates(found.protocol, found.phase_starts)) == 5


async def test_a_patient_of_another_site_has_no_record(stage: Stage, amina, elsewhere):
    for code in ("P-001", "P-404"):
        with pytest.raises(UnknownCodeError):
            await record(stage.db, code, elsewhere, FRIDAY)
    found = await record(stage.db, "P-900", elsewhere, FRIDAY)
    assert {one.entry.patient_id for line in found.lines for one in line.entries} == set()
    assert {line.code for line in found.trail} == {"P-900"}
