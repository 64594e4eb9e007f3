"""`rivet files` of exports that go on from their last run: every row there, none of them twice."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rivet.config.load import load_config
from rivet.errors import RefusedError, StateDamagedError, UnsupportedPlanError
from rivet.execution.context import RunContext, RunOptions
from rivet.execution.run.prune import plan_prune, prune
from rivet.execution.upkeep.current_files import Choice, current_files
from rivet.execution.upkeep.repair_state import repair_state
from rivet.execution.upkeep.state_commands import forget_progress
from rivet.state.store import open_store
from support.forgetful import Export, no_folder


class Followed(Export):
    """An export whose runs are listed; two rows in its first run, a third waits."""

    def listed(self, **choice):
        (entry,) = current_files(
            load_config(self.config.path), env=self.env, choice=Choice(**choice)
        )
        return entry

    def read(self, **choice):
        """Return the rows of the listed files in their order."""
        found = []
        for part in self.listed(**choice).parts:
            found += Path(part.location).read_text().split()[1:]
        return [int(one) for one in found]

    def run_id(self, **options):
        assert self.run(**options) is None
        return self.report.run_id

    def change(self, before, after):
        path = self.config.path
        path.write_text(path.read_text().replace(before, after))

    def reset(self):
        forget_progress(load_config(self.config.path), "t", self.env)


def failing(export):
    """Let the next run fail after it has read, as its quality rule asks for more rows."""
    export.change("format: csv,", "format: csv, quality: {row_count_min: 100},")
    failure = export.run()
    assert failure is not None
    assert failure.exit_code == 3
    export.change(" quality: {row_count_min: 100},", "")
    return export.report.run_id


@pytest.mark.parametrize("mode", ["incremental", "keyset"])
@pytest.mark.parametrize("place", ["file", "shared"])
def test_every_row_is_listed_once_whatever_came_between(mode, place, tmp_path, request):
    url = request.getfixturevalue("any_postgres").url if place == "shared" else ""
    export = Followed(tmp_path, mode, state_url=url)
    first = export.report.run_id
    second = export.run_id()
    assert export.read() == [1, 2, 3]
    assert export.listed().run_ids == (first, second)
    assert [part.run_id for part in export.report.files] == [second]  # a report stays its own run's
    skipped = export.run_id()
    assert export.report.status == "skipped"
    assert export.read() == [1, 2, 3]
    export.insert(4)
    failed = failing(export)
    assert export.read() == [1, 2, 3]
    third = export.run_id()
    assert export.read() == [1, 2, 3, 4]
    # What came after a run, also after one that took nothing.
    assert export.read(since=first) == [3, 4]
    assert export.read(since=second) == export.read(since=skipped) == [4]
    assert export.read(since=failed) == [4]
    assert export.read(since=third) == []
    assert export.read(run_id=second) == [3]
    assert export.read(is_last_only=True) == [4]
    with pytest.raises(UnsupportedPlanError, match="is failed"):
        export.read(run_id=failed)
    with pytest.raises(UnsupportedPlanError, match="there is no run"):
        export.read(since="t_20240101T000000.000_00000000")
    # Anew, on purpose, in each of the two ways.
    export.reset()
    assert export.read() == [1, 2, 3, 4]
    fourth = export.run_id()
    assert export.read() == [1, 2, 3, 4]
    assert export.listed().run_ids == (fourth,)
    export.insert(5)
    export.run_id()
    assert export.read() == [1, 2, 3, 4, 5]
    with pytest.raises(RefusedError) as refused:
        export.read(since=third)
    assert refused.value.error_code == "RIVET_REFUSED_NOT_FOLLOWED"
    fresh = export.run_id(fresh=True)
    assert export.listed().run_ids == (fresh,)
    assert export.read() == [1, 2, 3, 4, 5]


def test_a_full_run_between_two_increments_is_none_of_them(tmp_path):
    export = Followed(tmp_path)
    second = export.run_id()
    incremental = "incremental, cursor_column: id"
    export.change(incremental, "full")
    full = export.run_id()
    assert export.listed().run_ids == (full,)
    assert export.read() == [1, 2, 3]
    with pytest.raises(RefusedError, match="does not go on"):
        export.read(since=second)
    export.insert(4)
    again = export.run_id()
    assert export.listed().run_ids == (again,)
    export.change("mode: full", f"mode: {incremental}")
    assert export.read() == [1, 2, 3, 4]
    export.insert(5)
    export.run_id()
    assert export.read() == [1, 2, 3, 4, 5]  # the third run before goes on from the second
    assert export.read(since=second) == [4, 5]


def test_files_that_were_pruned_are_missed_not_passed_over(tmp_path):
    export = Followed(tmp_path)
    second = export.run_id()
    export.change("incremental, cursor_column: id", "full")
    export.run_id()
    config = load_config(export.config.path)
    with open_store(export.folder, url="") as state:
        context = RunContext(config, RunOptions(), state, lambda _: None, {})
        assert len(prune(config, plan_prune(config, None, context, 1), context)) == 2
    assert export.read() == [1, 2, 3]
    export.change("mode: full", "mode: incremental, cursor_column: id")
    export.insert(4)
    third = export.run_id()
    with pytest.raises(StateDamagedError, match="pruned") as torn:
        export.read()
    assert "rivet state reset -e t" in str(torn.value.hint)
    with pytest.raises(StateDamagedError, match="pruned"):
        export.read(run_id=second)
    assert export.read(since=second) == export.read(run_id=third) == [4]
    export.reset()
    export.run_id()
    assert export.read() == [1, 2, 3, 4]


def test_a_rebuilt_state_knows_the_same_chain(tmp_path):
    export = Followed(tmp_path)
    export.run_id(fresh=True)  # all three, once more
    export.insert(4)
    export.run_id()
    before = export.listed()
    no_folder(export)
    assert repair_state(export.config, None, {}).is_whole
    assert export.listed().to_json() == before.to_json()
    export.insert(5)
    export.run_id()
    assert export.read() == [1, 2, 3, 4, 5]
    told = [json.loads(one.read_text()) for one in tmp_path.glob("out/manifest-*.json")]
    follows = {one["run_id"]: one["source"]["extraction"]["follows"] for one in told}
    newest = export.listed().run_ids
    assert [follows[one] for one in newest] == [None, *newest[:-1]]


def test_runs_of_an_earlier_version_are_told_by_their_order(tmp_path):
    export = Followed(tmp_path)
    export.run_id()
    export.reset()
    export.run_id()
    export.insert(4)
    export.run_id()
    export.sql("UPDATE runs SET plan_json = json_remove(plan_json, '$.follows')")
    assert export.read() == [1, 2, 3, 4]
    export.sql("UPDATE audits SET action = 'accept'")
    assert export.read() == [1, 2, 3, 1, 2, 3, 4]  # what only an audit tells


def test_a_window_of_days_and_a_lookback(tmp_path, rivet):
    export = Followed(tmp_path)
    export.change("cursor_column: id,", "cursor_column: id, lookback: 1,")
    export.run_id()
    assert export.read() == [1, 2, 1, 2, 3]
    done = rivet("files", "-c", export.config.path).expect(0)
    assert "takes rows again" in done.stderr
    assert rivet("files", "-c", export.config.path, "--json").expect(0).json[0]["reads_again"]
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute("ALTER TABLE t ADD COLUMN at timestamp")
        connection.execute("UPDATE t SET at = datetime('now')")
    export.change(
        "incremental, cursor_column: id, lookback: 1",
        "time_window, time_column: at, days_window: 3",
    )
    export.change("name: t, table: t,", "name: days, query: 'SELECT id, at FROM t', ")
    export.change("path: 'out'", "path: 'days'")
    for _ in range(2):
        rivet("run", "-c", export.config.path).expect(0)
    done = rivet("files", "-c", export.config.path, "--json").expect(0)
    assert done.json[0]["rows"] == 3
    assert len(done.json[0]["runs"]) == 1


def test_the_options_of_the_command(tmp_path, rivet):
    export = Followed(tmp_path)
    first, config = export.report.run_id, export.config.path
    second = export.run_id()

    def lines(*options):
        return rivet("files", "-c", config, *options).expect(0).stdout.splitlines()

    assert [first in lines()[0], second in lines()[1]] == [True, True]
    assert lines("--last-run") == lines("--run", second) == lines("--since", first) == lines()[1:]
    assert lines("--since", second) == []
    failed = rivet("files", "-c", config, "--last-run", "--run", first).expect(1)
    assert "exclude one another" in failed.stderr
    assert "RIVET_REFUSED" not in rivet("files", "-c", config, "--run", "t").expect(1).stderr


def test_a_cursor_of_another_mode_is_none(tmp_path):
    export = Followed(tmp_path, "keyset")
    export.change(
        "chunk_by_key: id,", "chunk_by_key: id, cursor_column: no, cursor_fallback_column: no,"
    )
    assert [
        w for w in load_config(export.config.path).warnings if "`cursor_column` has no effect" in w
    ]
    export.run_id()
    assert export.read() == [1, 2, 3]
