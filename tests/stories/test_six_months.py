"""A whole patient's trial, day by day, from the invite to the export, in each language."""

import csv
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from bot.words import words_in
from diary.service import next_message_at
from protocol.calendar import zone_of
from protocol.load import load_protocol
from rehearsal.chats import Seen
from rehearsal.people import Person
from reports.adherence import By, adherence
from reports.export import export_bundle
from tests.cast import Stage
from tests.world import World, living

CAIRO = zone_of("Africa/Cairo")
LAST_DAY = timedelta(days=184)
# A lock screen is read by others: no drug, no disease, no title of the study.
NEVER_TOLD = (
    "magnesium",
    "مغنيسيوم",
    "placebo",
    "sulphate",
    "neuropath",
    "back pain",
    "mg ",
    load_protocol("magnesium-clbp").protocol.trial.title.casefold(),
)


async def join_in(world: World, language: str):
    """Join as a patient does, always taking the first button, and the third time offered (20:00 comes fifth)."""
    person = await world.newcomer(language=language)
    words = words_in(language)
    await world.tap(person, words("language.name"), words("consent.agree"), words("button.yes"))
    await world.tap(person, words.digits("20:00"))
    return person


def slot_of(person: Person, question: Seen) -> str:
    """Which slot a question's first button is for."""
    keyboard = person.chat().messages[question.id].keyboard or []
    return keyboard[0][0]["callback_data"].split(".")[1].partition("~")[0]


async def live(world: World, person: Person, language: str) -> Counter[str]:
    """Answer what comes: ratings by tap and by text in turn, doses by tap; every ninth slot is left alone."""
    words, said, slots = words_in(language), Counter(), list[str]()
    end, seen = world.clock() + LAST_DAY, len(person.screen())
    while (at := await next_message_at(world.db, now=world.clock())) is not None and at < end:
        world.clock.move_to(at)
        await world.tick()
        for question in [m for m in person.screen()[seen:] if not m.mine and len(m.labels) > 2]:
            slot = slot_of(person, question)
            if slot not in slots:
                slots.append(slot)
            number = slots.index(slot) + 1
            if number % 9 == 0:
                continue
            if len(question.labels) > 5:
                score = words.digits(str(number % 11))
                if number % 2:
                    person.tap(score, message=question)
                else:
                    person.type(score)
                said["rated"] += 1
            elif number % 7 == 0:
                person.tap(words("button.not-taken"), message=question)
                await world.settle()
                person.tap(words("button.no-reason"), message=question)
                said["not taken"] += 1
            else:
                person.tap(words("button.taken"), message=question)
                said["taken"] += 1
            await world.settle()
        seen = len(person.screen())
    world.clock.move_to(end)
    await world.tick()
    return said


@pytest.mark.parametrize("language", ["en", "ar"])
async def test_a_whole_patient_from_invite_to_export(stage: Stage, tmp_path: Path, monkeypatch, language: str):
    monkeypatch.setattr("diary.service.LARGE", 1)  # what is tallied of a large trial must be true of one patient
    async with living(stage) as world:
        person = await join_in(world, language)
        said = await live(world, person, language)

        figures = {row.key["item"]: row.figures for row in await adherence(world.db, now=world.clock(), by=By.ITEM)}
        assert {item: f.expected for item, f in figures.items()} == {"infusion": 14, "pain": 74, "capsule": 56}
        for by in By:  # what the service tallied on its way is what a recount gives
            now = world.clock()
            assert await adherence(world.db, now=now, by=by) == await adherence(world.db, now=now, by=by, as_of=now)
        answered = sum(f.on_time + f.late for f in figures.values())
        assert answered == said["rated"] + said["taken"] + said["not taken"]
        assert sum(f.missed for f in figures.values()) == 144 // 9
        assert figures["capsule"].taken + figures["infusion"].taken == said["taken"]

        files = await export_bundle(world.db, tmp_path / "out", formats=["csv"], now=world.clock())
        written = {file.name: file.rows for file in files}
        assert written["entries.csv"] == answered
        assert written["slots.csv"] == 144
        with (tmp_path / "out" / "entries.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert Counter(row["source"] for row in rows).keys() == {"button", "text"}
        night = [m.at.astimezone(CAIRO).time() for m in person.screen() if not m.mine and len(m.labels) > 2]
        assert all(7 <= at.hour < 23 for at in night)
        refused = [call for call in world.telegram.sent if call.method != "getUpdates" and not call.ok]
        assert refused == []
        told = "\n".join(m.text for m in person.screen() if not m.mine).casefold()
        assert not [word for word in NEVER_TOLD if word in told]


async def test_another_protocol_of_another_shape_runs_the_same_way(db, tmp_path: Path):
    stage = Stage(db)
    await stage.set_up("postop-week", timezone="Europe/Berlin")
    async with living(stage) as world:
        person = await world.newcomer()
        await world.tap(person, "English", "I agree", "Yes", "21:00")
        await live(world, person, "en")
        rows = await adherence(world.db, now=world.clock(), by=By.ITEM)

        assert {row.key["item"]: row.figures.expected for row in rows} == {"pain": 21, "tablet": 7}
