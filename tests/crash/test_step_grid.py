"""End a run at every step from its last part to its last line; then resume, then run plainly.

Three readers, each of whom must have every row once: one who loads what runs that ended well tell
of, one who asks `rivet files`, and one who goes by manifests.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from rivet.manifest import success_marker
from support.children import wait_until
from support.chunked import Chunked, fill
from support.cli import Rivet
from support.engines import SETUPS
from support.growing import Growing
from support.steps import ENDS, MARKER, PRUNING, RECORDED, STEPS, TELLING, run_to

if TYPE_CHECKING:
    from collections.abc import Iterable

    from support.cli import Outcome

MODES: dict[str, dict[str, Any]] = {
    "full": {"mode": "full", "keep_runs": 1},
    "incremental": {"mode": "incremental", "cursor_column": "id"},
    "time_window": {"mode": "time_window", "time_column": "day", "days_window": 36500},
    "range": {"chunk_column": "id", "chunk_count": 3, "keep_runs": 2},
    "key": {"chunk_by_key": "code", "chunk_size": 40, "keep_runs": 1},
    "keyset": {"chunk_by_key": "id", "chunk_size": 40, "keyset_incremental": True},
}
ADDS = ("incremental", "keyset")  # every run has rows of its own
PRUNES = ("full", "range", "key")


class Readers:
    """What three readers have of one export, after each command.

    Attributes:
        loaded: Rows by run, of runs whose own command or the next one told that they are good.
    """

    def __init__(self, rivet: Rivet, table: Chunked, mode: str) -> None:
        self.rivet, self.table, self.mode = rivet, table, mode
        self.loaded: dict[str, Counter[Any]] = {}
        self.newest: str | None = None
        self._known: dict[Path, Counter[Any]] = {}

    def take(self, done: Outcome) -> None:
        """Load what a command tells of: its own good run, and one that it brought to its end."""
        told = self._dead(done)
        if done.code == 0 or (done.stdout and done.code in (130, 143)):
            (one,) = done.json["per_export"]
            told += [one["run_id"]] * _is_good(one)
        for run_id in told:
            assert run_id not in self.loaded, "told twice"
            if run_id != told[-1] and not (self.table.out / f"manifest-{run_id}.json").exists():
                assert "keep_runs" in self.table.keys  # the run that brought it to its end
                continue
            self.loaded[run_id] = self.rows(f"manifest-{run_id}.json")
            self.newest = run_id

    @staticmethod
    def _dead(done: Outcome) -> list[str]:
        lines = [line for line in done.stderr.splitlines() if "had died after" in line]
        return list(dict.fromkeys(line.partition("run ")[2].split()[0] for line in lines))

    def take_unsaid(self) -> None:
        """Load the run that is on record as good, whose process was killed before it told."""
        (one,) = self.rivet("files", "-c", self.table.config, "--json").expect(0).json
        self.loaded[one["run_id"]] = self.rows(f"manifest-{one['run_id']}.json")
        self.newest = one["run_id"]

    def rows(self, name: str) -> Counter[Any]:
        """Return the rows of one manifest, whose parts must be there and whole."""
        body = json.loads((self.table.out / name).read_text())
        assert body["status"] == "success"
        rows = self._read([self.table.out / part["path"] for part in body["parts"]])
        assert sum(rows.values()) == body["row_count"]
        return rows

    def _read(self, paths: Iterable[Path]) -> Counter[Any]:
        rows: Counter[Any] = Counter()
        for path in paths:
            assert path.exists()
            if path not in self._known:  # nothing under a final name is written twice
                found = pq.read_table(path, columns=["id", "code", "grp", "day", "price"])
                days = [None if day is None else str(day) for day in found["day"].to_pylist()]
                columns = [
                    days if name == "day" else found[name].to_pylist()
                    for name in found.column_names
                ]
                self._known[path] = Counter(zip(*columns, strict=True))
            rows.update(self._known[path])
        return rows

    def judge_manifests(self) -> list[Counter[Any]]:
        """Nothing that a manifest names is missing, at any time."""
        found = sorted(self.table.out.glob("manifest-*.json"))
        return [self.rows(path.name) for path in found]

    def judge(self, note: object) -> None:
        """Compare all three with the source, after a run that ended well."""
        source = Counter(
            row for row in self.table.source() if self.mode != "time_window" or row[3] is not None
        )
        body = (self.table.out / "manifest.json").read_bytes()
        assert (self.table.out / "_SUCCESS").read_bytes() == success_marker(body), note
        current = self.rows("manifest.json")
        listed = self.rivet("files", "-c", self.table.config).expect(0).stdout.split()
        assert self._read(map(Path, listed)) == (source if self.mode in ADDS else current), note
        by_manifest = self.judge_manifests()
        if self.mode in ADDS:
            assert sum(by_manifest, Counter()) == source, note
            assert sum(self.loaded.values(), Counter()) == source, note
            return
        assert current == source, note
        assert self.newest is not None
        assert self.loaded[self.newest] == source, note
        assert all(max(rows.values()) == 1 for rows in by_manifest), note


def _is_good(told: dict[str, Any]) -> bool:
    """Whether a run of its own ended well; one that found nothing new is told as a success, too."""
    return told["status"] == "success" and not told["skip_reason"]


def _code(step: str, way: str) -> set[int]:
    if way != "error":
        return {ENDS[way]}
    return {0} if step in RECORDED else {1, 2}


def _walk(
    rivet: Rivet, table: Chunked, mode: str, cases: list[tuple[str, str]], *more: str
) -> None:
    """Every case: a run that ends at a step, one that resumes, and a plain one."""
    words = ("run", "-c", table.folder / "rivet.yaml", "--json", *more)
    table.keys = dict(MODES[mode])
    readers = Readers(rivet, table, mode)
    assert table.config == words[2]
    readers.take(rivet(*words).expect(0))
    at = 200
    for step, way in cases:
        note = (mode, step, way)
        fill(table.engine, at, 11)
        done = run_to(rivet, step, way, *words)
        assert done.code in _code(step, way), (note, done.code, done.stderr)
        readers.judge_manifests()
        readers.take(done)
        if step in RECORDED and way in ("kill", "exit"):
            readers.take_unsaid()
        resumed = rivet(*words, "--resume", "--validate").expect(0)
        readers.take(resumed)
        if not _is_good(resumed.json["per_export"][0]):
            readers.judge(note)
        fill(table.engine, at + 11, 5)
        readers.take(rivet(*words, "--validate").expect(0))
        readers.judge(note)
        at += 16


WAYS = (*ENDS, "error")
IN_TURN = ("kill", "interrupt", "error")


def _cases(mode: str, ways: tuple[str, ...], first: int = 0) -> list[tuple[str, str]]:
    """Every step of a mode in the next of some ways; what only tells has no errors of its own."""
    steps = [step for step in STEPS if step not in PRUNING or mode in PRUNES]
    turns = ((step, ways[(first + number) % len(ways)]) for number, step in enumerate(steps))
    return [(step, way) for step, way in turns if way != "error" or step not in TELLING]


@pytest.mark.parametrize("mode", ["full", "incremental", "range"])
def test_an_end_at_any_step_loses_and_doubles_nothing(rivet, request, tmp_path, mode):
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create(200)
    cases = _cases(mode, IN_TURN, [*MODES].index(mode))
    # Exports that take everything share the steps; each has all of them in the soak.
    _walk(rivet, table, mode, cases if mode in ADDS else cases[mode == "full" :: 2])


SIBLINGS = {
    "state on a server": (True, (), (("manifest", "kill"), ("after finish", "interrupt"))),
    "threads": (False, ("--parallel-exports=2",), (("manifest", "error"), ("_SUCCESS", "kill"))),
}


@pytest.mark.live("postgresql")
@pytest.mark.parametrize("sibling", SIBLINGS)
def test_elsewhere_as_beside_a_file(request, tmp_path, any_postgres, sibling):
    is_shared, more, cases = SIBLINGS[sibling]
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create(200)
    shared = Rivet(tmp_path, {"RIVET_STATE_URL": any_postgres.url} if is_shared else {})
    _walk(shared, table, "incremental", list(cases), *more)


@pytest.mark.parametrize("step", ["manifest", "after finish"])
def test_a_shell_that_waited_finishes_what_the_killed_one_had_begun(rivet, tmp_path, step):
    events = Growing(tmp_path)
    events.keys["on_overlap"] = "wait"
    words = ("run", "-c", events.config, "--json")
    rivet(*words).expect(0)
    events.add(2)
    marker = tmp_path / "held"
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_to, rivet, step, "pause", *words, env={MARKER: str(marker)})
        wait_until(marker.exists, limit_s=60)
        second = pool.submit(rivet, *words, "--resume")
        wait_until(second.running, limit_s=60)
        os.kill(int(marker.read_text()), signal.SIGKILL)
        assert first.result().code == -9
        done = second.result().expect(0)
    assert ("had died after" in done.stderr) == (step == "manifest")
    assert events.ids() == [1, 2, 3, 4, 5]
    assert events.recorded() == 5


@pytest.mark.parametrize(("step", "way"), [*zip(PRUNING, IN_TURN, strict=True)])
def test_pruning_that_ends_at_a_step_is_done_by_the_next(rivet, tmp_path, step, way):
    events = Growing(tmp_path)
    events.keys = {"mode": "chunked", "chunk_column": "id", "chunk_count": 2}
    for _ in range(3):
        rivet("run", "-c", events.config).expect(0)
    done = run_to(rivet, step, way, "prune", "-c", events.config, "--execute", "--keep", "1")
    assert done.code in _code("before finish", way), done.stderr
    for name in (out := tmp_path / "out/events").glob("manifest*.json"):
        for part in json.loads(name.read_text())["parts"]:
            assert (out / part["path"]).exists()
    rivet("prune", "-c", events.config, "--execute", "--keep", "1").expect(0)
    assert events.ids() == [1, 2, 3]
    assert len(list(out.glob("*.parquet"))) == 2
    rivet("files", "-c", events.config).expect(0)


CHILD = """
import os, sys
sys.path.append({folder!r})
from support import steps
if sys.argv[-1] == "events":
    os.environ[steps.VARIABLE] = {fault!r}
    steps.main()
from rivet.__main__ import main
main()
"""


@pytest.mark.parametrize(
    ("step", "way", "code"),
    [("manifest", "kill", 2), ("after finish", "exit", 0)],
)
def test_a_child_that_ends_at_a_step(rivet, tmp_path, step, way, code):
    """Its parent lives to tell what is on record, so that nobody has to look there."""
    events = Growing(tmp_path)
    events.names = ("events", "others")
    words = ("run", "-c", events.config, "--json")
    rivet(*words).expect(0)
    events.add(2)
    script = tmp_path / "child.py"
    folder = str(Path(__file__).parents[1])
    script.write_text(CHILD.format(folder=folder, fault=f"{way}@{step}"))
    command = json.dumps([sys.executable, str(script)])
    side_by_side = (*words, "--parallel-export-processes=2")
    done = rivet(*side_by_side, env={"RIVET_CHILD_COMMAND": command}).expect(code)
    told = {one["export_name"]: one for one in done.json["per_export"]}
    assert [told[name]["rows"] for name in events.names] == [2, 2]
    assert told["events"]["status"] == ("failed" if code else "success")
    assert ("once the run was on record as good" in done.stderr) == (not code)
    resumed = rivet(*words, "--resume").expect(0)
    assert ("had died after" in resumed.stderr) == (code != 0)
    events.add(1)
    rivet(*words).expect(0)
    assert events.ids() == sorted([*range(1, 7)] * 2)
    assert events.recorded() == 12


def test_a_stream_gets_rows_again_until_the_run_is_on_record(rivet, tmp_path):
    """Standard output has no manifest: what was written before the finish is written again."""
    events = Growing(tmp_path)
    events.keys |= {"destination": {"type": "stdout"}, "format": "csv"}
    words = ("run", "-c", events.config)
    for step, way, again in [
        ("before finish", "kill", [1, 2, 3]),
        ("before finish", "interrupt", [1, 2, 3]),
        ("after finish", "interrupt", []),
        ("before finish", "error", []),
    ]:
        done = run_to(rivet, step, way, *words)
        assert done.code in _code(step, way), (step, way, done.stderr)
        if again:
            assert _ids(done) == again, (step, way)
    events.add(1)
    assert _ids(rivet(*words).expect(0)) == [4]


def _ids(done: Outcome) -> list[int]:
    return [int(line.split(",")[0]) for line in done.stdout.splitlines()[1:]]


@pytest.mark.parametrize(("step", "mode"), [("manifest", "range"), ("before forget", "full")])
def test_a_second_shell_leaves_a_run_at_its_end_alone(rivet, request, tmp_path, step, mode):
    """It holds the lock to its last step, also while it prunes; then all goes on as always."""
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create(200)
    table.keys = {**MODES[mode], "keep_runs": 1}
    readers = Readers(rivet, table, mode)
    readers.take(rivet("run", "-c", table.config, "--json").expect(0))
    fill(table.engine, 200, 11)
    marker = tmp_path / "held"
    words = ("run", "-c", table.config, "--json")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(run_to, rivet, step, "pause", *words, env={MARKER: str(marker)})
        wait_until(marker.exists, limit_s=60)
        before = {path.name for path in table.out.iterdir()}
        refused = [rivet(*words), rivet(*words, "--resume")]
        after = {path.name for path in table.out.iterdir()}
        marker.unlink()
        done = first.result()
    assert [one.code for one in refused] == [5, 5], refused
    assert all("RIVET_REFUSED_OVERLAP" in one.stderr for one in refused)
    assert after == before
    readers.take(done)
    readers.judge(step)
    rivet(*words, "--resume").expect(0)
    readers.judge_manifests()


@pytest.fixture
def items(engine, tmp_path):
    table = Chunked(engine, tmp_path)
    table.create(200)
    return table


@pytest.mark.soak
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", MODES)
def test_the_whole_grid(rivet, items, mode, way):
    _walk(rivet, items, mode, _cases(mode, (way,)))


@pytest.mark.soak
@pytest.mark.live("postgresql")
@pytest.mark.parametrize("sibling", SIBLINGS)
@pytest.mark.parametrize("mode", MODES)
def test_the_whole_grid_elsewhere(request, tmp_path, any_postgres, mode, sibling):
    is_shared, more, _ = SIBLINGS[sibling]
    table = Chunked(SETUPS["sqlite"](request), tmp_path)
    table.create(200)
    shared = Rivet(tmp_path, {"RIVET_STATE_URL": any_postgres.url} if is_shared else {})
    _walk(shared, table, mode, _cases(mode, IN_TURN), *more)
