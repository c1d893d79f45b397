"""Who may do what, held against every verb that staff can call."""

from importlib import import_module
from inspect import isfunction, signature
from pkgutil import iter_modules
from types import SimpleNamespace

import pytest
from sqlalchemy import select

import diary
from diary import SYSTEM, Actor, PatientStatus
from diary.alerts import close_alert, see_alert
from diary.answers import correct_entry, enter_answer, scored
from diary.comments import add_comment
from diary.enrolment import (
    add_patient,
    change_status,
    erase_patient,
    invite_patient,
    move_effect,
    move_phase,
    stop_use,
)
from diary.exports import note_export
from diary.joining import ZoneAndTimes, choose_time, choose_zone, choose_zone_and_times, join, who_is
from diary.roles import MAY, Act, Role, actor_of, may
from diary.signing_in import make_link, reset_passphrase, sign_in, take_link
from diary.team import (
    add_site,
    add_staff,
    change_staff,
    disable_staff,
    id_of_staff,
    invite_staff,
    list_sites,
    readmit_staff,
    sites_of,
)
from diary.tokens import list_tokens, make_token, revoke_token
from diary.visits import record_visit
from protocol.errors import (
    AlreadyThereError,
    ConflictError,
    NotAllowedError,
    UnknownCodeError,
    WrongCallError,
)
from protocol.values import parse_wall
from storage import tables
from tests.cast import BOT, NOUR_CHAT, START, T0, Stage


def staff(role, *sites):
    return Actor("staff", 1, role=role, sites=frozenset(sites))


def verbs(patient, actor):
    """Every verb that takes an actor, with the act it is and a call of it."""
    now = T0
    who = {"patient_id": patient.id, "actor": actor, "now": now}
    by = {"actor": actor, "now": now}
    code = {"code": patient.code, **by}
    nour = {"code": "nour", **by}
    zone_and_times = ZoneAndTimes("Europe/Paris", {})
    return {
        add_patient: (Act.ADD_PATIENT, {
            "code": "P-777", "start": START, "site": "main", "protocol_id": 1, "timezone": None, "language": None,
            **by,
        }),
        invite_patient: (Act.INVITE, code),
        move_phase: (Act.MOVE_PHASE, {"phase": "oral", "start": START, "reason": "r", **code}),
        move_effect: (Act.MOVE_PHASE, {"phase": "oral", "start": START, "code": patient.code, "actor": actor}),
        choose_zone: (Act.CHANGE_TIMES, {"zone": "Europe/Paris", **who}),
        choose_time: (Act.CHANGE_TIMES, {"item": "pain", "at": parse_wall("19:00"), **who}),
        choose_zone_and_times: (
            Act.CHANGE_TIMES, {"wanted": zone_and_times, "seen": ZoneAndTimes(None, {}), **who},
        ),
        change_status: (Act.CHANGE_STATUS, {"status": PatientStatus.PAUSED, "reason": "r", **who}),
        stop_use: (Act.WITHDRAW, {"reason": "r", **code}),
        erase_patient: (Act.ERASE, {"reason": "r", **code}),
        enter_answer: (
            Act.ENTER_ANSWER, {"slot_id": 1, "answer": scored(3), "source": "phone", "said_at": None, **code},
        ),
        correct_entry: (
            Act.CORRECT_ANSWER, {"slot_id": 1, "entry_id": 1, "answer": scored(3), "reason": "r", **code},
        ),
        record_visit: (Act.ENTER_VISIT, {
            "visit": "baseline", "held_on": T0.date(), "measured": {}, "supersedes": None, "reason": None, **code,
        }),
        add_comment: (Act.COMMENT, {"text": "why?", "form": "f", **code}),
        see_alert: (Act.TAKE_ALERTS, {"alert_id": 1, **by}),
        close_alert: (Act.TAKE_ALERTS, {"alert_id": 1, **by}),
        note_export: (Act.EXPORT, {"site": "main", **by}),
        add_site: (Act.MANAGE_TEAM, {"code": "south", "name": "South", "timezone": "Africa/Cairo", **by}),
        add_staff: (Act.MANAGE_TEAM, {"code": "x", "role": "monitor", "sites": ["main"], "language": "en", **by}),
        invite_staff: (Act.MANAGE_TEAM, nour),
        change_staff: (Act.MANAGE_TEAM, {"role": "monitor", "sites": ["main"], "reason": "r", **nour}),
        disable_staff: (Act.MANAGE_TEAM, {"reason": "r", **nour}),
        readmit_staff: (Act.MANAGE_TEAM, {"reason": "r", **nour}),
        reset_passphrase: (Act.MANAGE_TEAM, {"reason": "r", **nour}),
        make_link: (Act.MANAGE_TEAM, {"staff_id": 2, **by}),
        id_of_staff: (Act.MANAGE_TEAM, {"code": "nour", "actor": actor}),
        make_token: (Act.MANAGE_TEAM, {"name": "statistics server", "days": 90, **nour}),
        list_tokens: (Act.MANAGE_TEAM, {"code": "nour", "actor": actor}),
        revoke_token: (Act.MANAGE_TEAM, {"token_id": 1, "reason": "r", **nour}),
    }  # fmt: skip


def calls(patient, actor):
    """Each act with each call that does it; a withdrawal is a change of status too."""
    found = [(act, verb, given) for verb, (act, given) in verbs(patient, actor).items()]
    left = {"patient_id": patient.id, "actor": actor, "now": T0, "status": PatientStatus.WITHDRAWN, "reason": "r"}
    return [*found, (Act.WITHDRAW, change_status, left)]


def test_no_verb_is_forgotten():
    """Whatever takes a database and an actor is a verb of the list below, and so is asked for every role."""
    taking = {
        function
        for module in iter_modules(diary.__path__)
        for function in vars(import_module(f"diary.{module.name}")).values()
        if isfunction(function) and function.__module__.startswith("diary.")
        and {"db", "actor"} <= set(signature(function).parameters) and not function.__name__.startswith("_")
    }  # fmt: skip
    listed = set(verbs(SimpleNamespace(id=1, code="P-001"), None))
    # Within a transaction of a verb that has asked already.
    assert {verb.__name__ for verb in taking - listed} == {"status_changed"}


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
    await stage.nurse("omar", chat=2009)
    await stage.nurse()
    actor = staff(role, amina.site_id)
    for act, verb, given in calls(amina, actor):
        if act in MAY[role]:
            continue
        with pytest.raises(NotAllowedError, match=f"A {role} may not {act}"):
            await verb(stage.db, **given)


@pytest.mark.parametrize("role", Role)
async def test_somebody_elses_patient_or_member_does_not_exist_for_any_role(stage: Stage, role):
    amina = await stage.joined()
    await stage.alert(amina)
    await stage.nurse("omar", chat=2009)
    await stage.nurse()
    for act, verb, given in calls(amina, staff(role, amina.site_id + 1)):
        if verb in (add_site, add_staff, add_patient):
            continue  # what they are about is not there yet
        with pytest.raises((UnknownCodeError, NotAllowedError)) as refused:
            await verb(stage.db, **given)
        if act in MAY[role] or act is not Act.MANAGE_TEAM:
            assert isinstance(refused.value, UnknownCodeError), verb.__name__


async def test_a_member_without_a_role_may_do_nothing(stage: Stage):
    amina = await stage.joined()
    for _, verb, given in calls(amina, Actor("staff", 1)):
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await verb(stage.db, **given)


async def test_a_patient_acts_only_on_their_own(stage: Stage):
    amina, basma = await stage.joined(), await stage.joined("P-002", chat=1002)
    for _, verb, given in calls(basma, Actor("patient", amina.id)):
        with pytest.raises((NotAllowedError, UnknownCodeError)):
            await verb(stage.db, **given)
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


async def test_a_change_of_role_and_sites_holds_at_the_next_act_and_stands_in_the_trail(stage: Stage):
    await add_site(stage.db, code="north", name="North", timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    nour = await stage.nurse()
    assert may(await actor_of(stage.db, await stage.member(nour)), Act.WITHDRAW)
    new = {"code": "nour", "role": "monitor", "sites": ["north"], "actor": SYSTEM, "reason": "moves", "now": T0}
    for _ in range(2):
        await change_staff(stage.db, **new)
    actor = await actor_of(stage.db, await stage.member(nour))
    ids = {site.code: site.id for site in await list_sites(stage.db)}
    assert (may(actor, Act.WITHDRAW), actor.sites) == (False, frozenset({ids["north"]}))
    async with stage.db.read() as conn:
        a = tables.audit
        lines = (await conn.execute(select(a.c.details, a.c.reason).where(a.c.verb == "change staff"))).all()
    old, now = {"role": "coordinator", "sites": ["main"]}, {"role": "monitor", "sites": ["north"]}
    assert [tuple(line) for line in lines] == [({"code": "nour", "old": old, "new": now}, "moves")]


async def test_of_two_who_change_a_member_the_second_is_told(stage: Stage):
    await stage.nurse()
    new = {"code": "nour", "sites": ["main"], "actor": SYSTEM, "reason": "r", "now": T0}
    seen = ("coordinator", frozenset({"main"}))
    await change_staff(stage.db, role="monitor", seen=seen, **new)
    with pytest.raises(ConflictError):
        await change_staff(stage.db, role="investigator", seen=seen, **new)


async def test_the_last_administrator_who_can_sign_in_stays_one(stage: Stage):
    root = await actor_of(stage.db, await stage.member(await administrator(stage, "root")))
    new = {"code": "root", "role": "monitor", "sites": ["main"], "actor": root, "reason": "r", "now": T0}
    with pytest.raises(NotAllowedError, match="last administrator"):
        await change_staff(stage.db, **new)
    await administrator(stage, "boss")
    await change_staff(stage.db, **new)


async def administrator(stage, code):
    """An administrator of every site who has chosen a passphrase."""
    made = {"role": "administrator", "sites": [], "language": "en", "actor": SYSTEM, "now": T0}
    await add_staff(stage.db, code=code, **made)
    staff_id = await id_of_staff(stage.db, code=code, actor=SYSTEM)
    link = await make_link(stage.db, staff_id=staff_id, actor=SYSTEM, now=T0)
    ticket = await take_link(stage.db, token=link.token, now=T0)
    await sign_in(stage.db, ticket=ticket, passphrase="winter on the Nile", now=T0)
    return staff_id


async def test_who_was_shut_out_may_come_back_by_a_new_invite_alone(stage: Stage):
    nour = await stage.nurse()
    by = {"code": "nour", "actor": SYSTEM, "reason": "r", "now": T0}
    await disable_staff(stage.db, **by)
    for _ in range(2):
        await readmit_staff(stage.db, **by)
    assert await who_is(stage.db, bot_id=BOT, chat_id=NOUR_CHAT) is None
    invite = await invite_staff(stage.db, code="nour", actor=SYSTEM, now=T0)
    person = await join(stage.db, bot_id=BOT, chat_id=NOUR_CHAT, token=invite.token, now=T0)
    assert person.staff.id == nour


async def test_closing_needs_the_same_right_as_seeing(stage: Stage):
    amina = await stage.joined()
    alert_id = await stage.alert(amina)
    with pytest.raises(NotAllowedError):
        await close_alert(stage.db, alert_id=alert_id, actor=staff("monitor", amina.site_id), now=T0)


@pytest.mark.parametrize(
    ("code", "taken"),
    [("P-900", True), ("P-901", False), ("north-7", True), ("north-8", False), ("main-2-1", False)],
)
async def test_a_code_that_is_refused_tells_nothing_about_patients_of_other_sites(stage: Stage, code, taken):
    for site in ("north", "main-2"):
        await add_site(stage.db, code=site, name=site, timezone="Africa/Cairo", actor=SYSTEM, now=T0)
    if taken:
        await stage.add(code, site="north")
    nour = await stage.actor()
    new = {"start": START, "site": "main", "protocol_id": 1, "timezone": None, "language": None, "now": T0}
    with pytest.raises(WrongCallError, match="Codes at main begin with main-"):
        await add_patient(stage.db, code=code, actor=nour, **new)
    await add_patient(stage.db, code="Main-001", actor=nour, **new)
    with pytest.raises(AlreadyThereError):  # a patient of one's own
        await add_patient(stage.db, code="main-001", actor=nour, **new)
    both = Actor(
        "staff", nour.id, role="coordinator", sites=frozenset(site.id for site in await list_sites(stage.db))
    )
    if not taken:
        await add_patient(stage.db, code=code, actor=both, **new)
