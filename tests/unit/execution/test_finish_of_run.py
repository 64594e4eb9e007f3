"""The finish of a run: the verdict, the watermark and the schema are one step of the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow as pa
import pytest

from rivet.errors import InternalError, RefusedError, StateError
from rivet.execution.context import RunOptions
from rivet.execution.progress import RunProgress
from rivet.execution.run.finish import finish_run, recorded_end
from rivet.model.chunk import Chunk
from rivet.model.owner import Owner, SourceIdentity
from rivet.model.plan import Mode
from rivet.model.run import RunStatus
from rivet.model.source import Position
from rivet.model.window import Window
from rivet.state.store import open_store
from unit.state.behaviour import a_part, a_run

RUN = "orders_20260501T120000.123_0011aabb"
NOW = datetime(2026, 5, 1, 13, tzinfo=UTC)
END = Position("postgresql", "integer", "9")


class World:
    """A run into a stream, which has no manifest: what is left of the finish is the record."""

    def __init__(self, folder):
        self.state = open_store(folder, url="")
        self.state.begin_run(a_run(RUN), [Chunk(0)])
        self.events = []
        self.context = SimpleNamespace(
            state=self.state, options=RunOptions(), clock=lambda: NOW, emit=self.events.append
        )
        self.progress = RunProgress("orders", RUN, NOW)
        self.progress.is_begun = True
        owner = Owner("postgresql", SourceIdentity("s", "t"), "id", "local out", "csv")
        export = SimpleNamespace(mode=Mode.INCREMENTAL, keyset_incremental=False)
        output = SimpleNamespace(skip_empty=False)
        self.job = SimpleNamespace(
            plan=SimpleNamespace(run_id=RUN, export_name="orders", output=output),
            window=Window((), "0", "9", position=END),
            owner=owner,
            export=export,
            schema=pa.schema({"id": pa.int64()}),
            is_listable=False,
        )

    def read(self, *, parts=1):
        claim = self.state.claim(RUN, "orders", Chunk(0))
        stored = [replace(a_part(f"{RUN}-{n}"), ordinal=n) for n in range(parts)]
        self.progress.add_parts(self.state.record(claim, stored, chunk_done=True))

    def finish(self):
        return finish_run(self.job, None, self.context, self.progress)

    @property
    def remembered(self):
        row = self.state.run(RUN)
        watermark, columns = self.state.watermark("orders"), self.state.schema_of("orders")
        return row.status, watermark, columns


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.state.close()


def test_all_of_it_is_on_record_at_once(world):
    world.read()
    assert world.finish() == "success"
    assert world.remembered == (RunStatus.SUCCESS, END, (("id", "int64"),))
    assert (world.events[-1].type, world.events[-1].status) == ("run_recorded", "success")
    assert recorded_end(world.context, world.progress) == "success"


def test_a_run_without_rows_moves_no_watermark(world):
    world.read(parts=0)
    assert world.finish() == "success"
    assert world.remembered == (RunStatus.SUCCESS, None, (("id", "int64"),))


def test_one_that_is_to_be_skipped_remembers_nothing(world):
    world.job.plan.output.skip_empty = True
    world.read(parts=0)
    assert world.finish() == "skipped"
    assert world.progress.skip_reason == "source returned 0 rows"
    assert world.remembered == (RunStatus.SKIPPED, None, None)


def test_chunks_that_are_left_are_no_good_end(world):
    with pytest.raises(InternalError, match="1 chunks are not complete"):
        world.finish()
    assert world.remembered == (RunStatus.RUNNING, None, None)
    assert recorded_end(world.context, world.progress) is None


def test_a_run_that_another_one_took_over_finishes_nothing(world):
    world.read()
    world.state.begin_run(a_run(RUN.replace("0011", "2233")), [Chunk(0)])
    with pytest.raises(RefusedError):
        world.finish()
    assert world.remembered == (RunStatus.SUPERSEDED, None, None)
    assert world.events == []


def test_an_answer_that_was_lost_takes_nothing_from_a_good_end(world):
    world.read()
    finish = world.state.finish

    def lose(*arguments):
        finish(*arguments)
        raise StateError("the connection was lost")

    world.context.state = SimpleNamespace(
        finish=lose, incomplete_chunks=world.state.incomplete_chunks, run=world.state.run
    )
    with pytest.raises(StateError):
        world.finish()
    assert world.progress.finished_as is None
    assert recorded_end(world.context, world.progress) == "success"
