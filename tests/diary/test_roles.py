"""Who may do what, held against every verb that staff can call."""

from itertools import product

import pytest

from diary import SYSTEM, Actor, PatientStatus
from diary.alerts import close_alert, see_alert
from diary.answers import correct_entry, enter_answer, scored
from diary.enrolment import add_patient, change_status, erase_patient, invite_patient, move_phase
from diary.joining import choose_time, choose_zone
from diary.roles import MAY, Act, Role, actor_of, may
from diary.team import add_site, add_staff, disable_staff, invite_staff, list_sites, sites_of
from diary.visits import record_visit
from protocol.errors import NotAllowedError, UnknownCodeError
from protocol.values import parse_wall
from storage import tables
from tests.cast import START, T0, Stage


def staff(role, *sites):
    return Actor("staff", 1, role=role, sites=frozenset(sites))


def verbs(stage, patient, actor):
    """Each act with the call of a verb that does it."""
    db, now = stage.db, T0
    who = {"patient_id": patient.id, "actor": actor, "now": now}
    code = {"code": patient.code, "actor": actor, "now": now}
    return {
        Act.ADD_PATIENT: lambda: add_patient(
            db, code="P-777", start=START, site="main", protocol_id=1, timezone=None, language=None,
            actor=actor, now=now,
        ),
        Act.INVITE: lambda: invite_patient(db, **code),
        Act.MOVE_PHASE: lambda: move_phase(db, phase="oral", start=START, reason="r", **code),
        Act.CHANGE_TIMES: lambda: choose_zone(db, zone="Europe/Paris", **who),
        Act.CHANGE_STATUS: lambda: change_status(db, status=PatientStatus.PAUSED, reason="r", **who),
        Act.WITHDRAW: lambda: change_status(db, status=PatientStatus.WITHDRAWN, reason="r", **who),
        Act.ERASE: lambda: erase_patient(db, reason="r", **code),
        Act.ENTER_ANSWER: lambda: enter_answer(
            db, slot_id=1, answer=scored(3), source="phone", said_at=None, **code
        ),
        Act.CORRECT_ANSWER: lambda: correct_entry(
            db, slot_id=1, entry_id=1, answer=scored(3), reason="r", **code
        ),
        Act.ENTER_VISIT: lambda: record_visit(
            db, visit="baseline", held_on=T0.date(), measured={}, supersedes=None, reason=None, **code
        ),
        Act.TAKE_ALERTS: lambda: see_alert(db, alert_id=1, actor=actor, now=now),
    }  # fmt: skip


def test_the_roles_are_those_the_table_of_staff_takes():
    assert tuple(Role) == tables.ROLES
    assert set(MAY) == set(Role)


def test_who_only_reads_changes_nothing_and_a_statistician_sees_no_patient():
    assert MAY[Role.MONITOR] <= {Act.SEE_PATIENTS, Act.SEE_FIGURES, Act.SEE_OUTAGES, Act.SEE_AUDIT, Act.COMMENT}
    assert MAY[Role.STATISTICIAN] == {Act.SEE_FIGURES, Act.EXPORT}
    assert [role for role, acts in MAY.items() if Act.MANAGE_TEAM in acts] == [Role.ADMINISTRATOR]


@pytest.mark.parametrize("role", Role)
async def test_every_verb_asks_the_table(stage: Stage, role):
    amina = await stage.joined()
    await stage.alert(amina)
    actor = staff(role, amina.site_id)
    for act, call in verbs(stage, amina, actor).items():
        if act in MAY[role]:
            continue
        with pytest.raises(NotAllowedError, match=f"A {role} may not {act}"):
            await call()


@pytest.mark.parametrize(
    ("role", "act"), list(product(Role, [Act.MOVE_PHASE, Act.WITHDRAW, Act.ERASE, Act.TAKE_ALERTS]))
)
async def test_somebody_elses_patient_does_not_exist_for_any_role(stage: Stage, role, act):
    amina = await stage.joined()
    await stage.alert(amina)
    with pytest.raises(UnknownCodeError, match="no "):
        await verbs(stage, amina, staff(role, amina.site_id + 1))[act]()


async def test_a_member_without_a_role_may_do_nothing(stage: Stage):
    amina = await stage.joined()
    for call in verbs(stage, amina, Actor("staff", 1)).values():
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await call()


async def test_a_patient_acts_only_on_their_own(stage: Stage):
    amina, basma = await stage.joined(), await stage.joined("P-002", chat=1002)
    for call in verbs(stage, basma, Actor("patient", amina.id)).values():
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await call()
    own = Actor("patient", amina.id)
    await choose_time(stage.db, patient_id=amina.id, item="pain", at=parse_wall("19:00"), actor=own, now=T0)
    assert not may(own, Act.ERASE)


async def test_an_administrator_of_one_site_changes_nothing_of_another(stage: Stage):
    await add_site(stage.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    await stage.nurse()
    ids = {site.code: site.id for site in await list_sites(stage.db)}
    bound = staff("administrator", ids["north"])
    new = {"role": "monitor", "language": "en", "actor": bound, "now": T0}
    with pytest.raises(NotAllowedError, match="some sites"):
        await add_staff(stage.db, code="mona", sites=["main"], **new)
    with pytest.raises(NotAllowedError, match="some sites"):
        await add_staff(stage.db, code="root", sites=[], **(new | {"role": "administrator"}))
    with pytest.raises(NotAllowedError, match="some sites"):
        await add_site(stage.db, code="south", name="South", timezone="Africa/Cairo", actor=bound, now=T0)
    for verb in (disable_staff, invite_staff):
        with pytest.raises(UnknownCodeError, match="no staff member nour"):
            await verb(stage.db, code="nour", actor=bound, now=T0)
    await add_staff(stage.db, code="mona", sites=["north"], **new)
    await disable_staff(stage.db, code="mona", actor=bound, now=T0)


async def test_sites_within_a_scope_are_those_and_no_others(stage: Stage):
    await add_site(stage.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    everywhere = await sites_of(stage.db, None)
    assert [site.code for site in everywhere] == ["main", "north"]
    assert await sites_of(stage.db, frozenset({everywhere[1].id})) == everywhere[1:]
    assert await sites_of(stage.db, frozenset()) == []


async def test_a_change_of_role_holds_at_the_next_act(stage: Stage):
    nour = await stage.nurse()
    member = await stage.member(nour)
    assert may(await actor_of(stage.db, member), Act.WITHDRAW)
    async with stage.db.write() as conn:
        await conn.execute(tables.staff.update().values(role="monitor"))
    assert not may(await actor_of(stage.db, await stage.member(nour)), Act.WITHDRAW)


async def test_closing_needs_the_same_right_as_seeing(stage: Stage):
    amina = await stage.joined()
    alert_id = await stage.alert(amina)
    with pytest.raises(NotAllowedError):
        await close_alert(stage.db, alert_id=alert_id, actor=staff("monitor", amina.site_id), now=T0)
