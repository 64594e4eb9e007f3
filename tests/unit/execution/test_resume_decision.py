"""Resume: which run goes on, and what of it still stands; one decision, then one look at files."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from rivet.errors import StateDamagedError
from rivet.execution.context import RunOptions
from rivet.execution.progress import RunProgress
from rivet.execution.run.resume import decide_resume, run_state
from rivet.execution.worker.observe import Observations
from rivet.model.chunk import Chunk
from rivet.model.finish import Finish
from rivet.model.plan import Mode
from rivet.model.quality import QualityRules
from rivet.model.resume import ResumeDecision, RunState
from rivet.model.run import RunOutcome, RunStatus
from rivet.model.source import Position
from rivet.plan.naming import part_name
from rivet.state.store import open_store
from unit.state.behaviour import NOON, a_part, a_run

RUN = "orders_20260501T120000.123_0011aabb"
TODAY = datetime(2026, 5, 3, 0, 10, tzinfo=UTC)
CHUNKS = tuple(Chunk(index) for index in range(4))
LASTING = json.dumps({"is_lasting": True, "day": "2026-05-01"})


class Prefix:
    """A destination that holds what it is told to."""

    def __init__(self):
        self.sizes, self.moved = {}, []

    def stat(self, name):
        size = self.sizes.get(name)
        return None if size is None else SimpleNamespace(name=name, size_bytes=size)

    def walk(self):
        return [SimpleNamespace(name=name) for name in self.sizes]

    def move(self, name, target):
        self.moved.append(target)


class Planned:
    """An export that is planned, with rules or without."""

    def __init__(self, world):
        self._world = world
        self.plan = SimpleNamespace(run_id=RUN)

    @property
    def rules(self):
        return self._world.rules

    def observations(self):
        return Observations.of(self.rules, pa.schema([("id", pa.int64())]))


class World:
    """A record of one export's runs, and the files that they left."""

    def __init__(self, folder, **options):
        self.state = open_store(folder, url="")
        self.export = SimpleNamespace(name="orders", mode=Mode.CHUNKED)
        self.events, self.files, self.rules = [], Prefix(), None
        self.context = SimpleNamespace(
            state=self.state,
            options=RunOptions(**{"resume": True, **options}),
            run_started_at=TODAY,
            emit=self.events.append,
        )
        self.progress = RunProgress("orders", "orders_of_now", TODAY)
        self.job = Planned(self)

    def begin(self, run_id=RUN, plan_json=LASTING):
        self.state.begin_run(a_run(run_id, plan_json=plan_json), CHUNKS)

    def end(self, status, run_id=RUN):
        outcome = RunOutcome(status=status, finished_at=NOON)
        self.state.finish(run_id, Finish(outcome))

    def record(self, index, place=None, observed='{"nulled":{}}'):
        claim = self.state.claim(RUN, "orders", CHUNKS[index])
        name = part_name(claim, 0, "parquet")
        stored = replace(a_part(name), instant=place and Position("postgresql", "lsn", place))
        self.files.sizes[name] = stored.stats.size_bytes
        self.state.record(claim, [stored], chunk_done=True, observed=observed)
        return name

    def decide(self):
        return decide_resume(self.export, self.context, self.progress.started_at)

    def go_on(self):
        decision = self.decide()
        return run_state(self.job, CHUNKS, decision, self.files, self.context, self.progress)


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.state.close()


def test_an_export_that_was_never_run_begins(world):
    assert world.decide() == ResumeDecision(day="2026-05-03")
    state = world.go_on()
    assert state == RunState.fresh(CHUNKS)
    assert (state.pending, state.parts, state.chunks_done) == (CHUNKS, (), 0)


@pytest.mark.parametrize("status", [None, RunStatus.FAILED, RunStatus.INTERRUPTED])
def test_an_unfinished_run_goes_on_as_of_its_own_day(world, status):
    world.begin()
    if status:
        world.end(status)
    decision = world.decide()
    assert decision.row.run_id == RUN
    assert (decision.day, decision.complete, decision.note) == ("2026-05-01", None, None)
    world.progress.begin_as(decision)
    assert (world.progress.run_id, world.progress.started_at) == (RUN, NOON)
    assert (world.progress.resumed_at, world.progress.day) == (TODAY, "2026-05-01")


@pytest.mark.parametrize("status", [RunStatus.SUCCESS, RunStatus.SKIPPED])
def test_a_complete_run_is_not_run_again_unless_asked(world, status):
    world.begin()
    for chunk in CHUNKS:
        world.record(chunk.index)
    world.end(status)
    decision = world.decide()
    assert (decision.row, decision.complete.run_id) == (None, RUN)
    world.context.options = RunOptions(resume=True, force=True)
    decision = world.decide()
    assert (decision.row, decision.complete) == (None, None)
    assert "is complete; a new one begins" in decision.note


def test_chunks_that_rows_may_have_left_are_not_taken_up(world):
    world.begin(plan_json=json.dumps({"is_lasting": False}))
    decision = world.decide()
    assert (decision.row, decision.day) == (None, "2026-05-03")
    assert "may have moved between chunks" in decision.note


@pytest.mark.parametrize("change", ["no --resume", "another mode"])
def test_nobody_asked_to_go_on(world, change):
    world.begin()
    if change == "another mode":
        world.export.mode = Mode.FULL
    else:
        world.context.options = RunOptions()
    assert world.decide() == ResumeDecision(day="2026-05-03")


def test_a_run_of_another_name_is_damage(world):
    world.begin("../elsewhere")
    with pytest.raises(StateDamagedError, match="none of its runs"):
        world.decide()


def test_whole_parts_stand_and_the_others_are_read_again(world):
    world.begin()
    late, early, lost, cut = (world.record(n, f"0/{9 - n}") for n in range(4))
    del world.files.sizes[lost]
    world.files.sizes[cut] -= 1
    world.files.sizes[early.replace("-1-", "-7-")] = 1
    state = world.go_on()
    assert [part.name for part in state.parts] == [late, early]
    assert [chunk.index for chunk in state.pending] == [2, 3]
    assert (state.chunks_done, state.instants) == (2, 2)
    assert state.observed == ('{"nulled":{}}',) * 2
    # Its files of other claims, and the one that is cut off, are out of everybody's way.
    assert sorted(name.rsplit("-", 3)[1] for name in world.files.moved) == ["00001", "00003"]
    told = world.progress.warnings
    assert told[:2] == [
        f"chunk {index} is read again: a part of it is not whole" for index in (2, 3)
    ]
    assert told[-1] == f"run {RUN} goes on: 2 of 4 chunks were done"


def test_it_is_counted_in_one_place(world):
    world.begin()
    world.record(0, "0/10")
    world.record(1, "0/A")  # recorded later, read earlier
    state = world.go_on()
    world.progress.go_on_from(state)
    assert world.progress.rows == 10
    assert (world.progress.chunks_done, world.progress.earlier_instants) == (2, 2)
    assert world.progress.position.text == "0/A"
    assert world.progress.observed == state.observed


@pytest.mark.parametrize("observed", [None, "{}", '{"nulled": 7}', "no JSON"])
@pytest.mark.parametrize("has_rules", [True, False])
def test_chunks_whose_rows_nobody_judged_are_read_again(world, observed, has_rules):
    world.begin()
    world.record(0, observed=observed)
    world.rules = QualityRules(row_count_min=1) if has_rules else None
    state = world.go_on()
    if observed is None and not has_rules:  # nothing was to be counted
        assert state.chunks_done == 1
        return
    assert (state.chunks_done, state.parts, state.observed) == (0, (), ())
    assert "what was counted in its rows is not known" in "".join(world.progress.warnings)
