"""SIGTERM, as a container ends: what is in hand is finished within ten seconds, the rest is left for later."""

import random

from rehearsal.faults import silent, slow
from tests.process.deployment import Deployment, Process
from tests.process.patients import Patient
from tests.process.reckoning import reckon, stuck

GRACE_SECONDS = 10.0
"""How long Docker waits before it kills."""


async def _asked(deployment: Deployment) -> list[Patient]:
    """Patients who see the questions, each on a phone of their own."""
    patients = [Patient(person, random.Random(person.id), types=False) for person in deployment.people]
    await deployment.telegram.until(lambda: all(patient.questions() for patient in patients), seconds=20)
    return patients


async def _replies(deployment: Deployment) -> None:
    """Wait until it is in the middle of answering."""
    await deployment.telegram.until(lambda: deployment.telegram.calls("editMessageText"), seconds=5)


async def _stopped(process: Process) -> None:
    process.stop()
    assert await process.ended(within=GRACE_SECONDS) == 0
    assert process.events("stopped")


async def test_told_to_stop_it_finishes_the_replies_in_hand(deployment: Deployment):
    deployment.fall_due(random.Random(1), earliest=-1, latest=0)
    process = await deployment.listening()
    patients = await _asked(deployment)
    deployment.telegram.faults.always(slow(0.5), method="editMessageText")
    for patient in patients:
        patient.look()
    await _replies(deployment)
    await _stopped(process)

    found = reckon(deployment, patients)
    found.holds()
    assert found.receipts == len(patients)
    assert not process.events("updates_left_for_next_start")


async def test_what_telegram_does_not_let_it_finish_is_left_for_the_next_start(deployment: Deployment):
    deployment.fall_due(random.Random(2), earliest=-3, latest=3)
    process = await deployment.listening()
    patients = await _asked(deployment)
    deployment.telegram.faults.when(lambda _call: True, silent(carried_out=False))
    for patient in patients:
        patient.look()
    await _replies(deployment)
    await _stopped(process)
    assert process.events("updates_left_for_next_start")

    deployment.telegram.faults.clear()
    again = await deployment.listening()
    await deployment.until(lambda: not stuck(deployment))
    await _stopped(again)
    found = reckon(deployment, patients)
    found.holds()
    assert found.receipts >= len(patients)
