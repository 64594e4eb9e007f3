"""A state that is empty, lost, older than the files or damaged never begins anew without a word."""

import shutil

import pytest

from rivet.execution.run.ownership import accept_progress
from rivet.execution.upkeep.state_commands import forget_progress
from support.forgetful import (
    MODES,
    Export,
    another_name,
    no_bytes,
    no_folder,
    no_rows,
    no_watermark,
    verdict,
)

LOSSES = [no_bytes, no_folder, no_rows, no_watermark, another_name]


@pytest.mark.parametrize(
    ("lose", "mode", "path"),
    [
        *((lose, "incremental", "out") for lose in LOSSES),
        (no_bytes, "keyset", "out"),
        (no_watermark, "keyset", "out"),
        (no_folder, "incremental", "out/x-{date}/{export}"),
        (no_bytes, "keyset", "{run_id}"),
    ],
)
def test_a_lost_state_is_refused_until_somebody_decides(lose, mode, path, tmp_path):
    export = Export(tmp_path, mode, path)
    lose(export)
    for _ in range(2):
        failure = export.run()
        assert (failure.code, failure.exit_code) == ("RIVET_STATE_LOST", 5)
        for way in ("rivet repair --state", "rivet state reset -e t", "--fresh"):
            assert way in failure.hint
        assert export.rows() == [1, 2]
    assert "takes everything" in forget_progress(export.config, "t", {})
    assert export.run() is None
    assert export.rows() == [1, 1, 2, 2, 3]
    export.insert(4)
    assert export.run() is None
    assert export.rows() == [1, 1, 2, 2, 3, 4]
    lose(export)
    assert export.run().code == "RIVET_STATE_LOST"
    assert export.run(fresh=True) is None
    export.insert(5)
    assert export.run() is None
    assert export.rows().count(5) == 1


def test_a_state_older_than_the_files(tmp_path):
    export = Export(tmp_path)
    backup = export.state.read_bytes()
    assert export.run() is None
    export.insert(4)
    export.state.write_bytes(backup)
    failure = export.run()
    assert (failure.code, failure.exit_code) == ("RIVET_STATE_BEHIND", 5)
    assert "rivet state accept -e t" in failure.hint
    accept_progress(export.config, "t", {})
    assert export.run() is None
    assert export.rows() == [1, 2, 3, 3, 4]


def test_what_takes_everything_goes_on_with_a_word(tmp_path):
    export = Export(tmp_path, "full")
    assert not export.report.warnings
    no_bytes(export)
    assert export.run() is None
    assert any("does not know" in text for text in export.report.warnings)
    assert export.run() is None
    assert not export.report.warnings


def test_what_is_no_loss(tmp_path):
    export = Export(tmp_path, "full")
    text = export.config.path.read_text().replace("mode: full", "mode: " + MODES["incremental"])
    export.config.path.write_text(text)
    assert export.run() is None
    export.insert(4)
    assert export.run() is None
    (tmp_path / "second").mkdir()
    other = Export(tmp_path / "second")
    shutil.rmtree(other.folder / "out")
    shutil.rmtree(other.folder / ".rivet")
    assert other.run() is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE watermarks SET position_text = '1'",
        "UPDATE watermarks SET position_text = 9",
        "UPDATE watermarks SET position_text = x'ff'",
        "UPDATE watermarks SET seal = NULL",
        "UPDATE watermarks SET owner_json = (SELECT columns_json FROM schemas)",
        "UPDATE watermarks SET kind = 'cursor:number:before'",
        "UPDATE schemas SET columns_json = '{'",
        "UPDATE schemas SET columns_json = 7",
        "UPDATE schemas SET columns_json = replace(hex(zeroblob(60000)), '0', '[')",
        "UPDATE runs SET plan_json = '[]'",
        "UPDATE runs SET finished_at = 'yesterday'",
        "DELETE FROM alembic_version",
        "UPDATE alembic_version SET version_num = '0003'",
        "UPDATE alembic_version SET version_num = '9999'",
        "CREATE TRIGGER swallow BEFORE INSERT ON runs BEGIN SELECT RAISE(IGNORE); END",
        "DROP TABLE schemas",
        "DROP TABLE watermarks",
        "ALTER TABLE watermarks RENAME COLUMN seal TO leas",
    ],
)
def test_rows_that_nobody_wrote(change, tmp_path):
    export = Export(tmp_path)
    if "UPDATE runs" in change:
        export.sql("DELETE FROM watermarks")
    export.sql(change)
    code, exit_code, hint = verdict(export)
    assert code.startswith("RIVET_STATE")
    assert exit_code == 5
    assert hint
    assert export.rows() == [1, 2]
