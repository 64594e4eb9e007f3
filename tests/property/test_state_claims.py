"""Whatever order claims, records, failures and new runs come in, data is never doubled or lost."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rivet.errors import InternalError, RefusedError
from rivet.model.chunk import Chunk, Claim
from rivet.model.finish import Finish
from rivet.model.run import RunOutcome, RunStatus
from rivet.model.source import Position
from rivet.model.span import Span, SpanKind
from rivet.state import watermarks
from rivet.state.locks import lock_file_name
from rivet.state.sqlite import SqliteDatabase
from rivet.state.store import StateStore, open_store
from unit.state.behaviour import NOON, a_part, a_run

if TYPE_CHECKING:
    from rivet.model.part import RecordedPart

CHUNKS = tuple(Chunk(index) for index in range(3))


class ClaimsMachine(RuleBasedStateMachine):
    """The store against a plain model of it: the newest claim of the newest run, and its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = open_store(Path(self.folder.name), url="")
        self.run_number = 0
        self.claims: list[Claim] = []
        self.newest: dict[int, Claim] = {}
        self.data: dict[int, list[RecordedPart]] = {}
        self.done: set[int] = set()
        self.ordinal = 0
        self.begin()

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    @property
    def run_id(self) -> str:
        return f"run {self.run_number}"

    @rule()
    def begin(self) -> None:
        expected = () if self.run_number == 0 or self.is_over() else (self.run_id,)
        self.run_number += 1
        assert self.store.begin_run(a_run(self.run_id)) == expected
        self.store.plan_chunks(self.run_id, CHUNKS)
        self.newest, self.data, self.done = {}, {}, set()

    def is_over(self) -> bool:
        row = self.store.run(self.run_id)
        assert row is not None
        return row.status is not RunStatus.RUNNING

    @rule(chunk=st.sampled_from(CHUNKS))
    def claim(self, chunk: Chunk) -> None:
        if chunk.index in self.done or self.is_over():
            with pytest.raises(InternalError):
                self.store.claim(self.run_id, "orders", chunk)
            return
        claim = self.store.claim(self.run_id, "orders", chunk)
        earlier = self.newest.get(chunk.index)
        assert claim.number == (earlier.number + 1 if earlier else 1)
        self.newest[chunk.index] = claim
        self.data[chunk.index] = []
        self.claims.append(claim)

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), parts=st.integers(0, 2), chunk_done=st.booleans())
    def record(self, data: st.DataObject, parts: int, *, chunk_done: bool) -> None:
        claim = data.draw(st.sampled_from(self.claims))
        index = claim.chunk.index
        stored = [a_part(f"{self.ordinal + n}", self.ordinal + n) for n in range(parts)]
        self.ordinal += parts
        stands = self.newest.get(index) == claim and index not in self.done
        if not stands or self.is_over():
            with pytest.raises((RefusedError, InternalError)):
                self.store.record(claim, stored, chunk_done=chunk_done)
            return
        self.data[index].extend(self.store.record(claim, stored, chunk_done=chunk_done))
        if chunk_done:
            self.done.add(index)

    @rule()
    def finish(self) -> None:
        outcome = RunOutcome(RunStatus.SUCCESS, datetime(2026, 1, 1, tzinfo=UTC))
        if self.is_over() or len(self.done) < len(CHUNKS):
            with pytest.raises(InternalError):
                self.store.finish(self.run_id, Finish(outcome))
            return
        self.store.finish(self.run_id, Finish(outcome))
        assert self.store.current_parts("orders") == self.store.parts(self.run_id)

    @invariant()
    def parts_are_those_of_the_newest_claims(self) -> None:
        expected = [part for _, parts in sorted(self.data.items()) for part in parts]
        assert list(self.store.parts(self.run_id)) == expected
        assert self.store.incomplete_chunks(self.run_id) == len(CHUNKS) - len(self.done)
        assert len({part.part_id for part in expected}) == len(expected)


TestClaims = ClaimsMachine.TestCase
TestClaims.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> StateStore:
    return open_store(tmp_path_factory.mktemp("state"), url="")


@settings(deadline=None, max_examples=50)
@given(export_name=TEXTS, position=TEXTS, kind=TEXTS, columns=st.lists(st.tuples(TEXTS, TEXTS)))
def test_any_text_survives(
    store: StateStore, export_name: str, position: str, kind: str, columns: list[tuple[str, str]]
) -> None:
    run_id = f"run of {export_name}"
    assert isinstance(store.database, SqliteDatabase)
    if store.run(run_id) is None:
        store.begin_run(a_run(run_id, export_name))
        store.plan_chunks(run_id, [Chunk(0, Span(SpanKind.KEY, (kind,), (position,)))])
    claim = store.claim(run_id, export_name, store.chunks(run_id)[0])
    (part,) = store.record(claim, [a_part("a")], chunk_done=False)
    with store.database.write() as db:
        watermarks.advance(db, export_name, run_id, Position("e", kind, position), NOON)
        watermarks.save_schema(db, export_name, columns, NOON)
    assert store.watermark(export_name) == Position("e", kind, position)
    assert store.schema_of(export_name) == tuple(columns)
    assert store.parts(run_id) == (part,)


@given(names=st.sets(TEXTS, min_size=2, max_size=6))
def test_every_export_has_its_own_lock(names: set[str]) -> None:
    assert len({lock_file_name(name).lower() for name in names}) == len(names)
