"""Who may do what: one table of roles and acts, which every verb of staff asks, and the pages and the chat too.

A patient of a site that is not an actor's own is as unknown to them as one that does not exist.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from protocol.errors import NotAllowedError, UnknownCodeError
from storage import patients, people
from storage.audit import Actor
from storage.database import Connection, Database
from storage.records import Patient, Site, StaffMember


class Role(StrEnum):
    """What somebody is in the study team; each is bound to sites."""

    ADMINISTRATOR = "administrator"
    COORDINATOR = "coordinator"
    INVESTIGATOR = "investigator"
    MONITOR = "monitor"
    STATISTICIAN = "statistician"


class Act(StrEnum):
    """What can be done, in the words of an error: "a monitor may not move a phase"."""

    SEE_PATIENTS = "see patients"
    SEE_FIGURES = "see adherence"
    SEE_OUTAGES = "see outages"
    SEE_AUDIT = "see the audit trail"
    SEE_TEAM = "see staff and sites"
    COMMENT = "comment"
    TAKE_ALERTS = "take alerts"
    ADD_PATIENT = "add a patient"
    INVITE = "make an invite"
    MOVE_PHASE = "move a phase"
    CHANGE_TIMES = "change times or zone"
    CHANGE_STATUS = "pause or resume a patient"
    WITHDRAW = "withdraw a patient"
    ERASE = "erase an identity"
    ENTER_ANSWER = "enter an answer"
    CORRECT_ANSWER = "correct an answer"
    ENTER_VISIT = "enter a visit"
    EXPORT = "export"
    MANAGE_TEAM = "change staff and sites"


_READS = frozenset({Act.SEE_PATIENTS, Act.SEE_FIGURES, Act.SEE_OUTAGES, Act.SEE_AUDIT})
_CARES = _READS | {
    Act.COMMENT,
    Act.TAKE_ALERTS,
    Act.ADD_PATIENT,
    Act.INVITE,
    Act.MOVE_PHASE,
    Act.CHANGE_TIMES,
    Act.CHANGE_STATUS,
    Act.WITHDRAW,
    Act.ENTER_ANSWER,
    Act.CORRECT_ANSWER,
    Act.ENTER_VISIT,
    # A site can take a complete copy of its patients' data at any time (EMA 6.6, ICH E6(R3) 3.16.1).
    Act.EXPORT,
}

MAY: Final[Mapping[Role, frozenset[Act]]] = {
    Role.ADMINISTRATOR: frozenset(Act),
    Role.COORDINATOR: _CARES,
    Role.INVESTIGATOR: _CARES | {Act.ERASE},
    Role.MONITOR: _READS | {Act.COMMENT},
    # Works with exports, which carry no identities, and with figures that name no patient.
    Role.STATISTICIAN: frozenset({Act.SEE_FIGURES, Act.EXPORT}),
}

# What patients do about themselves by verbs that staff use too.
_OWN = frozenset({Act.CHANGE_TIMES, Act.CHANGE_STATUS, Act.WITHDRAW})


def may(actor: Actor, act: Act) -> bool:
    """Tell whether an actor may do this at the sites that are theirs; the system, at the console, may do all."""
    match actor.kind:
        case "system":
            return True
        case "patient":
            return act in _OWN
        case "staff":
            return actor.role is not None and act in MAY[Role(actor.role)]


def allow(actor: Actor, act: Act, patient: Patient | None = None, *, site_id: int | None = None) -> None:
    """Refuse what the actor may not do: somebody else's patient or site is unknown, the rest is not allowed."""
    site_id = patient.site_id if patient else site_id
    foreign = (
        actor.kind == "staff" and site_id is not None and actor.sites is not None and site_id not in actor.sites
    )
    if foreign or (actor.kind == "patient" and (patient is None or patient.id != actor.id)):
        raise UnknownCodeError("There is no such patient." if patient else "There is no such site.")
    if not may(actor, act):
        raise NotAllowedError(f"A {actor.role or actor.kind} may not {act}.", "role")


async def actor_of(db: Database, member: StaffMember) -> Actor:
    """A staff member as somebody who does something, with the role and sites of this moment."""
    async with db.read() as conn:
        return await actor_in(conn, member)


async def actor_in(conn: Connection, member: StaffMember) -> Actor:
    """The same within a reading that is under way."""
    bound = await people.site_ids_of(conn, member.id)
    everywhere = member.role == Role.ADMINISTRATOR and not bound
    return Actor("staff", member.id, role=member.role, sites=None if everywhere else bound)


async def actor_called(db: Database, staff_id: int) -> Actor:
    """The staff member of this id as somebody who does something."""
    async with db.read() as conn:
        member = await people.staff_by_id(conn, staff_id)
        if member is None:
            raise UnknownCodeError("There is no such staff member.")
        return await actor_in(conn, member)


async def patient_called(conn: Connection, code: str, scope: frozenset[int] | None = None) -> Patient:
    """The patient of this code; UnknownCodeError where there is none at these sites (None: any)."""
    patient = await patients.patient_by_code(conn, code)
    if patient is None or (scope is not None and patient.site_id not in scope):
        raise UnknownCodeError(f"There is no patient {code}; `daybook patient list` shows those there are.")
    return patient


async def site_called(conn: Connection, code: str, scope: frozenset[int] | None = None) -> Site:
    """The site of this code; UnknownCodeError where it is none of these (None: of any)."""
    site = await people.site_by_code(conn, code)
    if site is None or (scope is not None and site.id not in scope):
        raise UnknownCodeError(f"There is no site {code}; `daybook site list` shows those there are.")
    return site


async def patient_for(conn: Connection, code: str, actor: Actor, act: Act) -> Patient:
    """The patient of this code for somebody who wants to do something about them."""
    patient = await patient_called(conn, code, actor.sites)
    allow(actor, act, patient)
    return patient
