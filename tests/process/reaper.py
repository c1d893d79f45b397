"""SIGKILL at seeded moments, again and again, while patients answer."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rehearsal.faults import Call, silent
from tests.process.deployment import Deployment, Process, deployed
from tests.process.patients import Patient, living
from tests.process.reckoning import Reckoning, asks, reckon, stuck

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
    program: Sequence[str] | None = None
    kills: int = 0
    restarts: list[float] = field(default_factory=list)
    _moments: list[str] = field(default_factory=list)

    async def one_life(self) -> None:
        """Start the service and kill it: while it starts, at any moment, or as a certain call arrives."""
        loop, polls = asyncio.get_running_loop(), len(self.deployment.telegram.calls("getUpdates"))
        began, moment = loop.time(), self._moment()
        process = await self.deployment.start(program=self.program)
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


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of a service that was killed so often, and how soon it polled again after each start."""

    kills: int
    found: Reckoning
    restarts: Sequence[float]

    def __str__(self) -> str:
        ordered = sorted(self.restarts)
        spread = f"{ordered[len(ordered) // 2]:.1f} s (at most {ordered[-1]:.1f} s)"
        return f"{self.kills} kills: {self.found}; polling again {spread} after a start"


async def killed(
    folder: Path, template: Path, *, kills: int, seed: int, program: Sequence[str] | None = None
) -> Killed:
    """Kill the service so often while 24 patients answer, let them finish, and reckon up."""
    chance = random.Random(seed)
    lasts = kills * _SECONDS_A_LIFE
    async with deployed(folder, template, patients=24, ratings=3, doses=max(2, kills // 6)) as deployment:
        deployment.fall_due(chance, earliest=-lasts / 2, latest=lasts)
        patients = [Patient(person, random.Random(chance.random())) for person in deployment.people]
        reaper = Reaper(deployment, chance, program)
        calm = await deployment.listening(program=program)  # what is due by now arrives; the rest between the kills
        await deployment.until(lambda: all(patient.questions() for patient in patients))
        async with living(patients):
            await reaper.kill(calm)
            while reaper.kills < kills:
                await reaper.one_life()
            last = await deployment.listening(program=program)
            await _all_answered(deployment, patients)
        last.stop()
        assert await last.ended() == 0
        return Killed(reaper.kills, reckon(deployment, patients), reaper.restarts)


async def _all_answered(deployment: Deployment, patients: list[Patient]) -> None:
    """Wait until no phone shows a question any more and the service has nothing in hand."""
    pending = deployment.telegram.only_bot().updates.pending
    await deployment.until(
        lambda: not (any(patient.questions() for patient in patients) or pending() or stuck(deployment)), within=60
    )
