"""What is logged at the most talkative level while much goes wrong: no secret, and nothing personal."""

import random
import sqlite3
from pathlib import Path

from rehearsal.faults import bad_gateway, broken, captive_portal, dropped, flood
from rehearsal.telegram import TOKEN
from tests.conftest import KEY
from tests.process.deployment import deployed
from tests.process.patients import Patient, living
from tests.process.reckoning import stuck

MARKER = "zebra-in-the-attic"
_POISON = (
    '{"update_id": %d, "message": {"text": "' + MARKER + '", "chat": {"id": "%d"}}}',
    '{"update_id": %d, "callback_query": {"id": 7, "from": {"id": %d}, "data": "' + MARKER + '"',
)


async def test_no_token_key_chat_or_word_of_a_patient_is_ever_logged(tmp_path: Path, template: Path):
    chance = random.Random(7)
    async with deployed(tmp_path, template, patients=8, ratings=3, doses=1) as deployment:
        deployment.fall_due(chance, earliest=-2, latest=4)
        telegram, patients = deployment.telegram, [Patient(each, chance) for each in deployment.people]
        process = await deployment.listening(DAYBOOK_LOG_LEVEL="debug")
        async with living(patients):
            await telegram.until(lambda: any(patient.questions() for patient in patients), seconds=20)
            telegram.faults.next(bad_gateway(), flood(), broken(carried_out=True), method="sendMessage")
            telegram.faults.next(broken(), captive_portal(), dropped(), method="editMessageText")
            telegram.faults.next(broken(), dropped(), method="getUpdates")
            queue = telegram.only_bot().updates
            for poison in _POISON:
                queue.poison(poison % (queue.next_id, deployment.people[0].id))
            for patient in patients:
                patient.tell(f"{MARKER} {patient.person.id}")
            await deployment.until(lambda: not telegram.faults.waiting)
            with sqlite3.connect(deployment.file) as conn:  # a database error in the middle of a note
                conn.execute("ALTER TABLE notes RENAME TO notes_away")
                for patient in patients:
                    patient.tell(f"{MARKER} again")
                conn.commit()
                await process.logged("update_failed")
                conn.execute("ALTER TABLE notes_away RENAME TO notes")
            conn.close()
            await deployment.until(lambda: not stuck(deployment), within=30)
        process.stop()
        assert await process.ended() == 0
        text = process.said

    events = {"poll_failed", "update_failed", "update_quarantined", "stopped"}
    assert events <= {event for event in events if process.events(event)}, text
    secrets = {TOKEN, TOKEN.partition(":")[2], KEY, MARKER, "a story that is told once"}
    secrets |= {str(patient.person.id) for patient in patients}
    assert {secret for secret in secrets if secret in text} == set()
