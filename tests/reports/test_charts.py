import subprocess
import sys
import zlib
from datetime import timedelta
from struct import unpack

import pytest

from reports.charts import HeatmapLabels, HistoryLabels, heatmap_picture, history_picture
from reports.definitions import Figures
from reports.page import Script
from reports.patient import history
from reports.site import Grid, GridRow, grid
from tests.cast import START, Stage, cairo
from tests.reports.diary_of import say, scored

FRIDAY = cairo("2026-11-27 10:00")
ENGLISH = HistoryLabels("Your last days", "Pain", "Doses", "taken", "not taken", "no answer", "not asked")
ARABIC = HistoryLabels("آخر الأيام", "الألم", "الجرعات", "تم تناولها", "لم يتم تناولها", "بلا إجابة")


def size_of(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = unpack(">II", png[16:24])
    return width, height


def inked(png: bytes) -> int:
    """How many bytes of the picture's lines are neither white nor opaque nor a line's filter."""
    data, at = b"", 8
    while at < len(png):
        length, kind = unpack(">I4s", png[at : at + 8])
        if kind == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += length + 12
    return sum(byte not in (0, 255) for byte in zlib.decompress(data))


@pytest.mark.parametrize(("language", "labels"), [("en", ENGLISH), ("ar", ARABIC)])
async def test_a_history_is_a_picture_for_a_phone(stage: Stage, amina, language, labels):
    past = await history(stage.db, amina.id, FRIDAY, 14)
    png = history_picture(past, language=language, labels=labels)

    width, height = size_of(png)
    assert width == 900
    assert 600 < height < 1100
    assert inked(png) > 10_000
    assert png == history_picture(past, language=language, labels=labels)


async def test_an_answer_changes_the_picture(stage: Stage, amina):
    before = history_picture(await history(stage.db, amina.id, FRIDAY, 7), language="en", labels=ENGLISH)
    later = cairo("2026-11-27 20:10")
    await say(stage, amina.id, "pain 2026-11-27", scored(1), "2026-11-27 20:10")
    assert history_picture(await history(stage.db, amina.id, later, 7), language="en", labels=ENGLISH) != before


async def test_a_history_before_the_first_day_is_an_empty_picture_not_an_error(stage: Stage):
    amina = await stage.joined(start=START + timedelta(days=30))
    past = await history(stage.db, amina.id, FRIDAY, 14)
    assert past.lines == ()
    assert size_of(history_picture(past, language="en", labels=ENGLISH))[0] == 900


async def test_several_ratings_a_day_and_a_long_history_can_be_drawn(stage: Stage, amina):
    past = await history(stage.db, amina.id, cairo("2027-03-01 12:00"), 98)
    assert size_of(history_picture(past, language="ar", labels=ARABIC))[0] == 900


async def test_patients_by_days_are_a_picture_for_staff(stage: Stage, amina, elsewhere):
    found = await grid(stage.db, None, FRIDAY, 28)
    png = heatmap_picture(found, language="en")
    assert size_of(png)[0] == 1200
    assert inked(png) > 5_000
    assert png != heatmap_picture(found, language="ar", labels=HeatmapLabels("الالتزام", "معفى", "مفتوح"))


@pytest.mark.parametrize("patients", [0, 1, 40, 1200])
def test_any_number_of_patients_fits_into_what_telegram_takes(patients):
    days = tuple(START + timedelta(days=day) for day in range(3))
    cells = {days[0]: Figures(on_time=1, missed=1), days[1]: Figures(excused=1), days[2]: Figures(open=1)}
    rows = tuple(GridRow(f"P-{number:04}", cells) for number in range(patients))

    assert sum(size_of(heatmap_picture(Grid(days, rows), language="en"))) < 10_000


def test_the_drawing_library_is_loaded_only_for_a_picture():
    seen = "import sys, reports.charts; print('matplotlib' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True).stdout == "False\n"
    )


def test_a_script_knows_its_digits_and_its_direction():
    assert (Script("ar").digits("10:45"), Script("ar").rtl) == ("١٠:٤٥", True)
    assert (Script("en").digits(10), Script("en").rtl) == ("10", False)
    assert (Script("ar-EG").day(START), Script("en").day(START)) == ("٢٤ نوفمبر", "24 Nov")
