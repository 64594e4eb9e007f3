"""The finish of a run is one step: whatever ends it, its rows are taken once and by one run."""

from __future__ import annotations

import duckdb
import pytest

from support.growing import Growing

REFUSES = "CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.export_name <> '' {body}"
BODY = "BEGIN SELECT RAISE(ABORT, 'no'); END"


@pytest.fixture
def followed(tmp_path):
    return Growing(tmp_path)


@pytest.mark.parametrize("table", ["schemas", "watermarks", "publications"])
def test_a_state_that_refuses_a_step_of_the_finish_loses_nothing(rivet, followed, table):
    rivet("run", "-c", followed.config).expect(0)
    followed.add(2)
    trigger = (
        REFUSES if table != "publications" else REFUSES.replace("WHEN NEW.export_name <> ''", "")
    )
    followed.sql(trigger.format(table=table, body=BODY), state=True)
    assert rivet("run", "-c", followed.config).code != 0
    assert followed.recorded() == 3
    followed.sql("DROP TRIGGER refuse", state=True)
    followed.add(1)
    rivet("run", "-c", followed.config).expect(0)
    assert followed.ids() == list(range(1, 7))
    assert followed.recorded() == 6
    listed = rivet("files", "-c", followed.config).expect(0).stdout.split()
    taken = duckdb.sql(f"SELECT id FROM read_parquet({listed}) ORDER BY id").fetchall()
    assert taken == [(number,) for number in range(1, 7)]


def test_progress_that_was_given_up_does_not_come_back_with_a_run_that_had_died(rivet, followed):
    rivet("run", "-c", followed.config).expect(0)
    followed.add(2)
    fault = {"RIVET_FAULT": "kill@manifest_written"}
    assert rivet("run", "-c", followed.config, env=fault).code == -9
    rivet("state", "reset", "-c", followed.config, "-e", "events").expect(0)
    done = rivet("run", "-c", followed.config).expect(0)
    assert "had died" in done.stderr
    listed = rivet("files", "-c", followed.config).expect(0).stdout.split()
    taken = duckdb.sql(f"SELECT id FROM read_parquet({listed}) ORDER BY id").fetchall()
    assert taken == [(number,) for number in range(1, 6)]
    followed.add(1)
    rivet("run", "-c", followed.config).expect(0)
    assert followed.ids() == sorted([1, 2, 3, 4, 5] * 2 + [6])


@pytest.mark.parametrize("harm", ["gone", "cut short"])
def test_files_that_are_not_whole_any_more_are_in_no_manifest_of_their_run(rivet, followed, harm):
    """What cannot be brought to its end is read again, and was listed once more."""
    rivet("run", "-c", followed.config).expect(0)
    followed.add(2)
    for _ in range(2):
        fault = {"RIVET_FAULT": "kill@manifest_written"}
        assert rivet("run", "-c", followed.config, env=fault).code == -9
        newest = max(followed.folder.glob("out/events/*.parquet"), key=lambda one: one.name)
        if harm == "gone":
            newest.unlink()
        else:
            newest.write_bytes(newest.read_bytes()[:-1])
    done = rivet("run", "-c", followed.config, "--validate").expect(0)
    assert "set aside" in done.stderr
    found = sorted(followed.folder.glob("out/events/manifest-*.json"))
    assert len(found) == 2
    assert followed.ids() == [1, 2, 3, 4, 5]
    assert len(list(followed.folder.glob("out/events/_quarantine/**/manifest-*.json"))) == 2


def test_a_run_whose_files_are_harmed_twice_goes_on_twice(rivet, followed):
    followed.keys = {"mode": "chunked", "chunk_column": "id", "chunk_count": 3}
    more: tuple[str, ...] = ()
    for _ in range(2):
        fault = {"RIVET_FAULT": "kill@manifest_written"}
        assert rivet("run", "-c", followed.config, *more, env=fault).code == -9
        more = ("--resume",)
        max(followed.folder.glob("out/events/*.parquet"), key=lambda one: one.name).unlink()
    done = rivet("run", "-c", followed.config, "--resume", "--validate").expect(0)
    assert "set aside" in done.stderr
    assert "goes on: 2 of 3 chunks were done" in done.stderr
    assert followed.ids() == [1, 2, 3]
    assert len(list(followed.folder.glob("out/events/manifest-*.json"))) == 1
