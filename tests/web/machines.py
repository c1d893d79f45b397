"""A trial at two clinics, and a machine that reads it with a token."""

from dataclasses import dataclass
from typing import Any

import httpx

from diary import SYSTEM, PatientStatus
from diary.answers import correct_entry, enter_answer
from diary.enrolment import change_status, stop_use
from diary.tokens import make_token
from tests.cast import Stage, cairo
from tests.reports.diary_of import correct, say, scored, slot_of, three_days

NOW = cairo("2026-11-27 10:00")
# Beside it the free text of a staff member, which no machine is to see.
TYPED = "Mrs Amina told me on the phone"


async def lived(stage: Stage) -> None:
    """Answers, late ones, corrections by a patient and by staff, an entry by staff, and a leaver out of use."""
    amina = await stage.joined("P-001")
    await three_days(stage, amina.id)
    await correct(stage, amina.id, "pain 2026-11-26", scored(3), "2026-11-26 23:20", reason="wrong-button")
    nour = await stage.actor()
    told = {
        "source": "phone",
        "said_at": cairo("2026-11-26 09:00"),
        "actor": nour,
        "now": cairo("2026-11-27 09:00"),
    }
    missed = await slot_of(stage, amina.id, "pain 2026-11-25")
    await enter_answer(stage.db, code="P-001", slot_id=missed.id, answer=scored(6), **told)
    rated = await slot_of(stage, amina.id, "pain 2026-11-24")
    await correct_entry(
        stage.db, code="P-001", slot_id=rated.id, entry_id=rated.answered_by, answer=scored(8), reason=TYPED,
        actor=nour, now=cairo("2026-11-27 09:05"),
    )  # fmt: skip
    await stage.joined("P-002", chat=1002)
    gone = await stage.joined("P-003", chat=1003)
    await say(stage, gone.id, "pain 2026-11-24", scored(2), "2026-11-24 20:10")
    left = {"actor": SYSTEM, "reason": "left", "now": cairo("2026-11-26 12:00")}
    await change_status(stage.db, patient_id=gone.id, status=PatientStatus.WITHDRAWN, **left)
    await stop_use(stage.db, code="P-003", **left)
    basma = await stage.joined("P-900", chat=1900, site="north")
    await say(stage, basma.id, "pain 2026-11-24", scored(1), "2026-11-24 20:15")


@dataclass(slots=True)
class Machine:
    """A program that holds a token."""

    client: httpx.AsyncClient
    token: str

    async def asks(self, address: str, **headers: str) -> httpx.Response:
        """One question."""
        return await self.client.get(address, headers={"Authorization": f"Bearer {self.token}", **headers})

    async def reads(self, address: str) -> dict[str, Any]:
        """One question that is answered."""
        answer = await self.asks(address)
        assert answer.status_code == 200, f"{address}: {answer.text}"
        return answer.json()

    async def walks(self, address: str) -> list[dict[str, Any]]:
        """All pages of an answer."""
        rows: list[dict[str, Any]] = []
        following: str | None = address
        while following:
            page = await self.reads(following)
            rows += page["rows"]
            following = page["next"]
        return rows


async def machine(
    desk: Any, code: str = "stella", role: str = "statistician", sites: tuple[str, ...] = ("main",)
) -> Machine:
    """A new member of the team with a token, and the program that holds it."""
    await desk.add(code, role, sites)
    made = await make_token(desk.stage.db, code=code, name="statistics server", days=90, actor=SYSTEM, now=desk.now)
    return Machine(desk.browser(), made.token)
