"""The same question has the same answer wherever it is asked: chat, pages, command, grid, doses and export."""

import csv
import re
from collections import Counter
from datetime import timedelta

from reports.adherence import By, adherence
from reports.definitions import Share, together
from reports.export import export_bundle
from reports.patient import overview
from reports.site import grid
from tests.cast import START, cairo
from tests.web.desk import Desk
from tests.world import World

COLUMNS = ("expected", "on_time", "late", "missed", "excused", "open", "doses", "taken", "not_taken")


async def lived(world: World):
    """Nine days of answers on time and late, of doses not taken, of silence; and one who has said nothing."""
    amina = await world.patient()
    await world.patient("P-002")
    for day in range(9):
        date = START + timedelta(days=day)
        await world.go_to(cairo(f"{date} {'09:10' if day % 3 else '19:00'}"))
        if day != 4:
            await world.tap(amina, "Taken")
        await world.go_to(cairo(f"{date} 20:10"))
        if day % 2:
            await world.type(amina, str(day))
    await world.go_to(cairo(f"{START + timedelta(days=9)} 10:00"))
    return amina


async def test_chat_pages_command_grid_and_export_give_the_same_number(world: World, tmp_path):
    nour = await world.nurse()
    await lived(world)
    now = world.clock()
    command = {row.key["patient"]: row.figures for row in await adherence(world.db, now=now)}
    whole = together(await adherence(world.db, now=now))
    assert whole.expected > 30
    assert 0 < whole.answered < whole.expected

    # The export's sums, and its slots counted anew.
    await export_bundle(world.db, tmp_path / "out", formats=["csv"], now=now)
    lines = rows_of(tmp_path / "out" / "adherence.csv")
    for code, figures in command.items():
        summed = {name: sum(int(line[name]) for line in lines if line["subject"] == code) for name in COLUMNS}
        assert summed == {name: getattr(figures, name) for name in COLUMNS}
    states = Counter(line["state"] for line in rows_of(tmp_path / "out" / "slots.csv"))
    assert (states["on time"], states["late"], states["missed"]) == (whole.on_time, whole.late, whole.missed)
    assert (states["excused"], states["open"]) == (whole.excused, whole.open)

    # The chat.
    await world.type(nour, "/adherence")
    told = "\n".join(message.text for message in nour.screen()[-3:])
    for figures in (whole, *command.values()):
        assert f"{figures.answered}/{figures.expected}" in told.replace(" of ", "/"), told
    # The heatmap's days, and the patient's card.
    days = [figures for row in (await grid(world.db, None, now, 30)).rows for figures in row.days.values()]
    assert sum(day.answered for day in days) == whole.answered
    assert sum(day.expected for day in days) == whole.expected
    assert (await overview(world.db, "P-001", None, now)).figures == command["P-001"]

    # The pages.
    desk = Desk(world.stage, now=now)
    nora = await desk.member("nora")
    text = re.sub(r"<[^>]+>|\s+", " ", (await nora.client.get("/adherence?by=patient")).text)
    for figures in (whole, *command.values()):
        assert f"({figures.answered} of {figures.expected})" in text, text
    await desk.close()


async def test_groups_sum_up_to_the_whole_and_weeks_and_doses_agree_with_the_export(world: World, tmp_path):
    await lived(world)
    now = world.clock()
    whole = together(await adherence(world.db, now=now))
    for by in By:
        assert together(await adherence(world.db, now=now, by=by)) == whole
    await export_bundle(world.db, tmp_path / "out", formats=["csv"], now=now)
    lines = rows_of(tmp_path / "out" / "adherence.csv")
    infusions = [line for line in lines if line["item"] == "infusion"]
    said = Share(sum(int(line["taken"]) for line in infusions), sum(int(line["doses"]) for line in infusions))
    [by_item] = [row for row in await adherence(world.db, now=now, by=By.ITEM) if row.key["item"] == "infusion"]
    assert said == by_item.figures.said
    # A dose a day, so that days covered are doses taken.
    assert sum(int(line["days_covered"]) for line in infusions) == said.numerator
    weeks = [line for line in rows_of(tmp_path / "out" / "weeks.csv") if line["subject"] == "P-001"]
    # Days 1, 3, 5 of week 1 and 7 of week 2 were rated, with the day's number: 3 of 7 are too few for a mean.
    assert [(line["week"], line["mean"], line["days_rated"], line["days_asked"]) for line in weeks] == [
        ("1", "", "3", "7"),
        ("2", "7", "1", "1"),  # the evening of day 8 may still be answered
    ]


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as text:
        return list(csv.DictReader(text))
