"""`rivet repair --state` makes the record again, by which no row is lost or doubled."""

import json
import sqlite3
from contextlib import closing

import pytest

from rivet.errors import StateDamagedError
from rivet.execution.upkeep.current_files import current_files
from rivet.execution.upkeep.repair_state import repair_state
from rivet.state.store import open_store
from support.forgetful import (
    Export,
    no_bytes,
    no_folder,
    no_rows,
    no_watermark,
    verdict,
)
from unit.state.behaviour import a_run
from unit.state.units import a_unit


def repair(export):
    return repair_state(export.config, None, {})


def torn(export):
    whole = export.state.read_bytes()
    export.state.write_bytes(whole[: len(whole) // 2])


def no_database(export):
    export.state.write_bytes(b"\0" * 8192)


def other_value(export):
    export.sql("UPDATE watermarks SET position_text = '1'", "UPDATE schemas SET columns_json = 1")


def bad_run(export):
    export.sql("UPDATE runs SET plan_json = '['")


@pytest.mark.parametrize(
    ("lose", "mode", "path"),
    [
        (no_bytes, "incremental", "out"),
        (no_folder, "keyset", "out/{date}"),
        (no_rows, "incremental", "{run_id}"),
        (no_watermark, "keyset", "out"),
        (torn, "incremental", "out"),
        (no_database, "incremental", "out"),
        (other_value, "incremental", "out"),
        (bad_run, "incremental", "out"),
    ],
)
def test_exactly_the_missing_rows_come_next(lose, mode, path, tmp_path):
    export = Export(tmp_path, mode, path)
    before = [part.name for entry in current_files(export.config, env={}) for part in entry.parts]
    lose(export)
    done = repair(export)
    assert done.is_whole, done.lines
    assert any("goes on from 2" in line for line in done.lines) or lose is bad_run
    listed = current_files(export.config, env={})
    assert [part.name for entry in listed for part in entry.parts] == before
    assert export.run() is None
    assert export.rows() == [1, 2, 3]
    again = repair(export)
    assert again.lines == ["t: its progress is on record"]
    assert export.run() is None
    assert export.rows() == [1, 2, 3]


def test_a_full_export_is_on_record_again(tmp_path):
    export = Export(tmp_path, "full")
    before = current_files(export.config, env={})
    no_folder(export)
    assert repair(export).is_whole
    assert current_files(export.config, env={})[0].to_json() == before[0].to_json()
    assert export.run() is None
    assert not export.report.warnings


def test_a_state_older_than_the_files_takes_over_what_is_newer(tmp_path):
    export = Export(tmp_path)
    backup = export.state.read_bytes()
    assert export.run() is None
    export.insert(4)
    export.state.write_bytes(backup)
    assert verdict(export)[0] == "RIVET_STATE_BEHIND"
    assert repair(export).is_whole
    assert export.run() is None
    assert export.rows() == [1, 2, 3, 4]


def manifests(export):
    return [path for path in (export.folder / "out").iterdir() if path.name.startswith("manifest")]


def edit(export, change):
    for path in manifests(export):
        body = json.loads(path.read_text())
        change(body)
        path.write_text(json.dumps(body))


def test_a_manifest_of_an_earlier_version_takes_its_last_value_again(tmp_path):
    export = Export(tmp_path)
    edit(export, lambda body: body["source"]["extraction"].pop("progress"))
    no_folder(export)
    assert verdict(export)[0] == "RIVET_STATE_LOST"
    assert any("come again" in line for line in repair(export).lines)
    assert export.run() is None
    assert export.rows() == [1, 2, 2, 3]


@pytest.mark.parametrize("text", ["1", "9", "2\x1b[31m"])
def test_a_manifest_that_somebody_changed_is_not_believed(text, tmp_path):
    export = Export(tmp_path)
    edit(export, lambda body: body["source"]["extraction"]["progress"].update(text=text))
    no_folder(export)
    done = repair(export)
    assert not done.is_whole
    assert "seal" in "".join(done.lines)
    assert verdict(export)[:2] == ("RIVET_STATE_LOST", 5)
    assert export.rows() == [1, 2]


def test_names_that_are_not_ours_and_files_that_are_gone(tmp_path):
    export = Export(tmp_path)
    (tmp_path / "precious").write_text("1\n")

    def elsewhere(body):
        body["parts"][0]["path"] = "precious"

    edit(export, elsewhere)
    (tmp_path / "out/precious").write_text("1\n")
    no_folder(export)
    done = repair(export)
    assert "left out" in "".join(done.lines)
    assert not current_files(export.config, env={})[0].parts
    assert export.run() is None


def test_what_nothing_tells_stays_refused(tmp_path):
    export = Export(tmp_path)
    for path in manifests(export):
        path.unlink()
    other_value(export)
    done = repair(export)
    assert not done.is_whole
    assert "rivet state reset -e t" in "".join(done.lines)
    assert verdict(export)[:2] == ("RIVET_STATE_LOST", 5)


def test_the_command(rivet, tmp_path):
    export = Export(tmp_path)
    no_bytes(export)
    rivet("repair", "-c", "rivet.yaml").expect(1)
    done = rivet("repair", "--state", "-c", "rivet.yaml").expect(0)
    assert "goes on from 2" in done.stdout
    assert export.run() is None
    assert export.rows() == [1, 2, 3]


def no_parts(export):
    """Break the pages of one table; the rest can be read."""
    with closing(sqlite3.connect(export.state)) as base:
        base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((size,),) = base.execute("PRAGMA page_size")
        ((page,),) = base.execute("SELECT rootpage FROM sqlite_master WHERE name = 'parts'")
    with export.state.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\0" * size)


def test_a_stream_does_not_go_on_from_units_that_are_lost(tmp_path):
    """No manifest has them: the place that they led to is known still, and is not gone on from."""
    export = Export(tmp_path, "full")
    with open_store(tmp_path) as store:
        store.begin_run(a_run("r1", "t"))
        claim = store.claim_stream("r1", "t")
        for number in (1, 2):
            store.commit_unit(claim, a_unit(number, f"part-{number}.parquet"))
    no_parts(export)
    done = repair(export)
    assert any("was moved to" in line for line in done.lines)
    with open_store(tmp_path) as store:
        assert store.watermark("t") == a_unit(2).position
        store.begin_run(a_run("r2", "t"))
        with pytest.raises(StateDamagedError, match="units are lost") as caught:
            store.claim_stream("r2", "t")
        assert "rivet state reset -e t" in caught.value.hint
        store.forget_watermark("t")
        claim = store.claim_stream("r2", "t")
    assert (claim.next_unit, claim.position) == (1, None)
    assert export.run() is None  # exports of rows go on as ever
