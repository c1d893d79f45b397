"""SIGKILL at seeded moments, again and again, while patients answer: nothing acknowledged is lost or doubled."""

import asyncio
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearsal.faults import Call, silent
from tests.process.deployment import Deployment, Process, deployed
from tests.process.patients import Patient, living
from tests.process.reckoning import asks, reckon, stuck

KILLS = int(os.environ.get("DAYBOOK_KILLS", "15"))
SEED = 20_261_123
_SECONDS_A_LIFE = 2.0
# Each leaves something else in hand: a page kept and not confirmed, a question that arrived and is not written
# down, an answer recorded and not shown, a receipt shown and its update not finished.
_ON_THE_WIRE: dict[str, Callable[[Call], object]] = {
    "page": lambda call: call.method == "getUpdates" and "offset" in call.parameters,
    "question": asks,
    "receipt": lambda call: call.method == "editMessageText",
    "toast": lambda call: call.method == "answerCallbackQuery",
}
_MOMENTS = ("starting", "any", "any", "question", "question", "receipt", "toast", "page")


@dataclass(slots=True)
class Reaper:
    """Ends one life of the service after another, by the dice."""

    deployment: Deployment
    chance: random.Random
    kills: int = 0
    restarts: list[float] = field(default_factory=list)
    _moments: list[str] = field(default_factory=list)

    async def one_life(self) -> None:
        """Start the service and kill it: while it starts, at any moment, or as a certain call arrives."""
        loop, polls = asyncio.get_running_loop(), len(self.deployment.telegram.calls("getUpdates"))
        began, moment = loop.time(), self._moment()
        process = await self.deployment.start()
        if moment == "starting":
            await asyncio.sleep(self.chance.uniform(0.1, 1.0))
        else:
            await self.deployment.polls(process, after=polls)
            self.restarts.append(loop.time() - began)
            if moment == "any":
                await asyncio.sleep(self.chance.uniform(0.0, 1.3))
            else:
                await self._arrives(process, _ON_THE_WIRE[moment])
        assert process.handle.returncode in (None, -9), process.said
        await self.kill(process)

    async def kill(self, process: Process) -> None:
        """End this life."""
        process.kill()
        await process.ended()
        self.kills += 1

    def _moment(self) -> str:
        """The next kind of moment: all of them come up, in an order of chance."""
        if not self._moments:
            self._moments = self.chance.sample(_MOMENTS, len(_MOMENTS))
        return self._moments.pop()

    async def _arrives(self, process: Process, awaited: Callable[[Call], object]) -> None:
        """Kill it as such a call is on the wire; Telegram carries it out, and nobody hears of that."""
        left = self.chance.randint(1, 3)

        def strike(call: Call) -> bool:
            nonlocal left
            left -= bool(awaited(call))
            if left <= 0:
                process.kill()
            return False

        faults = self.deployment.telegram.faults
        faults.when(strike, silent())
        try:
            await process.ended(within=1.5)
        except TimeoutError:
            pass
        finally:
            faults.clear()


async def test_nothing_acknowledged_is_lost_or_doubled_however_often_the_service_is_killed(
    tmp_path: Path, template: Path, capsys: Any
):
    chance = random.Random(SEED)
    lasts = KILLS * _SECONDS_A_LIFE
    async with deployed(tmp_path, template, patients=24, ratings=3, doses=max(2, KILLS // 6)) as deployment:
        deployment.fall_due(chance, earliest=-lasts / 2, latest=lasts)
        patients = [Patient(person, random.Random(chance.random())) for person in deployment.people]
        reaper = Reaper(deployment, chance)
        calm = await deployment.listening()  # what is due by now arrives; the rest falls due between the kills
        await deployment.until(lambda: all(patient.questions() for patient in patients))
        async with living(patients):
            await reaper.kill(calm)
            while reaper.kills < KILLS:
                await reaper.one_life()
            last = await deployment.listening()
            await _all_answered(deployment, patients)
        last.stop()
        assert await last.ended() == 0
        found = reckon(deployment, patients)
    with capsys.disabled():
        print(f"\n{reaper.kills} kills: {found}; polling again {_spread(reaper.restarts)} after a start")  # noqa: T201
    found.holds()
    assert found.receipts > KILLS  # the patients were at it all the time


async def _all_answered(deployment: Deployment, patients: list[Patient]) -> None:
    """Wait until no phone shows a question any more and the service has nothing in hand."""
    pending = deployment.telegram.only_bot().updates.pending
    await deployment.until(
        lambda: not (any(patient.questions() for patient in patients) or pending() or stuck(deployment)), within=60
    )


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.1f} s (at most {ordered[-1]:.1f} s)"
