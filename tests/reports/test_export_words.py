"""What people wrote in words of their own: in the export for whoever sees patients, and for nobody else."""

from diary.comments import add_comment
from reports.export import export_bundle
from tests.cast import T0, Stage
from tests.reports.test_export import NAMES, exported, rows_of


async def test_comments_of_the_team_are_in_the_files_with_who_wrote_them(stage: Stage, tmp_path):
    amina = await stage.joined()
    mona = await stage.actor("mona", role="monitor")
    await add_comment(stage.db, code=amina.code, text="Source checked.", form="f", actor=mona, now=T0)
    [comment] = (await exported(stage, tmp_path / "out"))["comments.csv"]
    assert (comment["subject"], comment["staff"], comment["text"]) == ("P-001", "mona", "Source checked.")
    assert comment["recorded_local"] == "2026-11-23T10:00:00.000+02:00"


async def test_who_may_not_see_identities_gets_every_line_without_words_of_somebodys_own(stage: Stage, tmp_path):
    amina = await stage.joined()
    mona = await stage.actor("mona", role="monitor")
    await add_comment(stage.db, code=amina.code, text="Asked Amina.", form="f", actor=mona, now=T0)
    await stage.alert(amina, "this is Amina, call me")
    await export_bundle(stage.db, tmp_path / "out", now=T0, free_text=False)
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) > 5 * len(NAMES)  # in every format
    assert [file.name for file in files if b"Amina" in file.read_bytes()] == []
    for name in ("notes.csv", "comments.csv"):
        assert [row["text"] for row in rows_of(tmp_path / "out" / name)] == [""]
