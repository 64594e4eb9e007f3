"""Exports that write to one folder: each has its own manifest there, and touches nothing else."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import xxhash

from rivet.config.load import load_config
from rivet.execution.context import RunOptions
from rivet.execution.many.invocation import run_exports
from rivet.execution.upkeep.current_files import current_files
from rivet.execution.upkeep.repair_state import repair_state

MODES = {
    "a": "mode: full, keep_runs: 1",
    "b": "mode: incremental, cursor_column: id",
    "c": "mode: chunked, chunk_column: id, chunk_count: 3",
}


class Shared:
    """Three tables, an export of each into one folder."""

    def __init__(self, folder: Path, names: str = "abc") -> None:
        self.folder, self.out = folder, folder / "out"
        with closing(sqlite3.connect(folder / "a.db")) as connection, connection:
            for name in "abc":
                connection.execute(f"CREATE TABLE {name} (id integer PRIMARY KEY, v text)")
        self.rows = {name: [] for name in "abc"}
        for name in "abc":
            self.insert(name, 1, 2, 3)
        self.configure(names)

    def configure(self, names: str, **more: str) -> None:
        exports = [
            f"- {{name: {name}, table: {name}, {MODES[name]}, format: csv,"
            f" destination: {{type: local, path: ./out/}}{more.get(name, '')}}}"
            for name in names
        ]
        path = self.folder / "rivet.yaml"
        path.write_text("\n".join(["source: {type: sqlite, path: a.db}", "exports:", *exports]))
        self.config = load_config(path)

    def insert(self, name: str, *ids: int) -> None:
        with closing(sqlite3.connect(self.folder / "a.db")) as connection, connection:
            rows = [(n, f"{name}{n}") for n in ids]
            connection.executemany(f"INSERT INTO {name} VALUES (?, ?)", rows)
        self.rows[name] += [value for _, value in rows]

    def run(self, *names: str, **options):
        done = run_exports(
            self.config, names=list(names) or None, options=RunOptions(**options), env={}
        )
        return self.told(done)

    def told(self, done):
        """Keep the reports of a run; return how its exports ended."""
        self.reports = {one.export_name: one for one in done.report.exports}
        return [one.status for one in done.report.exports]

    def listed(self) -> dict[str, list[str]]:
        """Return the rows of each export through `rivet files`."""
        found = {}
        for entry in current_files(self.config, env={}):
            lines = [
                line for part in entry.parts for line in Path(part.location).read_text().split()
            ]
            found[entry.export_name] = sorted(
                line.partition(",")[2] for line in lines if line[0] != "i"
            )
        return found

    def owners(self) -> dict[str, str]:
        """Return whose each current manifest is, once its marker fits."""
        found = {}
        for path in self.out.glob("manifest.*"):
            beside = path.name.removeprefix("manifest").removesuffix(".json")
            marker = (self.out / f"_SUCCESS{beside}").read_text()
            assert marker == f"xxh3:{xxhash.xxh3_64_hexdigest(path.read_bytes())}\n"
            found[path.name] = json.loads(path.read_text())["export_name"]
        return found


OWNERS = {"manifest.json": "a", "manifest.b.json": "b", "manifest.c.json": "c"}


@pytest.mark.parametrize("mode", ["", "--parallel-exports", "--parallel-export-processes"])
def test_each_export_has_its_own_manifest(mode, tmp_path, rivet):
    shared = Shared(tmp_path)
    rivet("run", "-c", shared.config.path, "--validate", *filter(None, [mode])).expect(0)
    assert shared.owners() == OWNERS
    assert shared.listed() == shared.rows
    first = json.loads((shared.out / "manifest.json").read_text())["run_id"]
    shared.insert("a", 4)
    shared.insert("b", 4)
    assert shared.run(validate=True) == ["success"] * 3
    assert shared.owners() == OWNERS
    assert shared.listed() == shared.rows
    # What `keep_runs` of one export removes is its own.
    names = [path.name for path in shared.out.iterdir()]
    assert not [name for name in names if first in name]
    assert len([name for name in names if name.startswith("b_")]) == 2
    before = {path.name: path.read_bytes() for path in shared.out.iterdir()}
    assert shared.run("b") == ["skipped"]  # nothing new: what is there stays
    assert {path.name: path.read_bytes() for path in shared.out.iterdir()} == before


def test_the_order_of_the_runs_does_not_matter_nor_that_of_a_later_configuration(tmp_path):
    shared = Shared(tmp_path)
    assert shared.run("c") == ["success"]
    assert shared.owners() == {"manifest.c.json": "c"}
    assert shared.run("a", "b") == ["success"] * 2
    assert shared.owners() == OWNERS
    shared.configure("cba")
    shared.insert("b", 4)
    assert shared.run() == ["success"] * 3
    assert shared.owners() == OWNERS
    assert shared.listed() == shared.rows


def test_an_export_that_is_not_configured_any_more_is_named(tmp_path):
    shared = Shared(tmp_path, "a")
    shared.run()
    shared.configure("b")
    shared.run()
    assert any(
        "`manifest.json` there is that of export 'a'" in w for w in shared.reports["b"].warnings
    )
    assert shared.owners() == {"manifest.json": "a", "manifest.b.json": "b"}
    shared.configure("ab")
    shared.run()
    assert not any("`manifest.json`" in told for told in shared.reports["b"].warnings)


def test_a_failed_run_is_taken_up_beside_the_others(tmp_path, rivet):
    shared = Shared(tmp_path)
    shared.run("a", "b")
    died = rivet(
        "run", "-c", shared.config.path, "-e", "c", env={"RIVET_FAULT": "kill@part_stored:1"}
    )
    assert died.code != 0
    assert shared.run("c", resume=True) == ["success"]
    assert shared.listed() == shared.rows
    quarantined = list(shared.out.glob("_quarantine/*/*"))
    assert quarantined
    assert all(path.name.startswith("c_") for path in quarantined)


def test_a_run_that_died_while_it_published_is_finished(tmp_path, rivet):
    shared = Shared(tmp_path)
    shared.run("a")
    for event in ("manifest_written:0", "manifest_written:1", "success_written:0"):
        shared.insert("b", len(shared.rows["b"]) + 1)
        died = rivet(
            "run", "-c", shared.config.path, "-e", "b", env={"RIVET_FAULT": f"kill@{event}"}
        )
        assert died.code != 0
        shared.run("b")
        assert shared.owners() == {"manifest.json": "a", "manifest.b.json": "b"}
        assert shared.listed()["b"] == shared.rows["b"]


def test_a_lost_state_is_told_and_rebuilt_for_each(tmp_path):
    shared = Shared(tmp_path)
    shared.run()
    shared.insert("b", 4)
    shared.run()
    before = [entry.to_json() for entry in current_files(shared.config, env={})]
    (tmp_path / ".rivet" / "state.db").unlink()
    shared.run("b")
    assert shared.reports["b"].failure.code == "RIVET_STATE_LOST"
    assert repair_state(shared.config, None, {}).is_whole
    assert [entry.to_json() for entry in current_files(shared.config, env={})] == before
    shared.insert("b", 5)
    assert shared.run("b") == ["success"]
    assert shared.listed() == shared.rows


def test_manifests_of_others_are_refused_or_left_alone(tmp_path):
    shared = Shared(tmp_path, "ab")
    shared.run()
    theirs = shared.out / "manifest.json"
    theirs.write_text("{")
    assert shared.run() == ["failed", "skipped"]  # each judges its own
    assert "mv " in shared.reports["a"].failure.hint
    theirs.unlink()
    body = (shared.out / "manifest.b.json").read_text()
    (shared.out / "manifest.b.json").write_text(
        body.replace('"export_name": "b"', '"export_name": "x"')
    )
    shared.run("b")
    assert shared.reports["b"].failure.code == "RIVET_REFUSED_PREFIX"
    assert "manifest.b.json" in shared.reports["b"].failure.message
    (shared.out / "manifest.b.json").unlink()
    theirs.write_text(body.replace('"mode": "batch"', '"mode": "cdc"'))
    shared.run()
    assert {one.failure.code for one in shared.reports.values()} == {"RIVET_REFUSED_PREFIX"}
