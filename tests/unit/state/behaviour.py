"""What a state store does, whatever database it is in; both databases run these same tests."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from rivet.errors import (
    InternalError,
    RefusedError,
    StateDamagedError,
    StateError,
    StateLockedError,
)
from rivet.model.chunk import Chunk
from rivet.model.finish import Finish, Receipt
from rivet.model.part import ColumnStats, FileStats, StoredPart
from rivet.model.run import AggregateRecord, RunOutcome, RunRecord, RunStatus
from rivet.model.span import Span, SpanKind
from rivet.redact import Secret
from rivet.state import watermarks
from rivet.state.locks import export_lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from rivet.state.store import StateStore

NOON = datetime(2026, 5, 1, 12, 0, 0, 123456, tzinfo=UTC)
WHOLE = Chunk(0)


def ranged(index, lower, upper):
    bounds = [None if bound is None else (bound,) for bound in (lower, upper)]
    return Chunk(index, Span(SpanKind.KEY, ("id",), *bounds))


def in_two():
    kept, given = (ranged(0, *bounds) for bounds in (("5", "6"), ("6", "7")))
    return kept.span, Chunk(2, given.span)


def a_run(run_id: str, export_name: str = "orders", **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "run_id": run_id,
        "export_name": export_name,
        "started_at": NOON,
        "mode": "full",
        "engine": "sqlite",
        "destination_type": "local",
        "destination_uri": "file:///out",
        "format": "parquet",
        "compression": "zstd",
        "fingerprint": "xxh3:0",
        "host": "here",
        "pid": 7,
        "plan_json": '{"table":"orders"}',
    }
    return RunRecord(**{**values, **changes})


def a_part(name: str, ordinal: int = 0, rows: int = 5) -> StoredPart:
    stats = FileStats(
        rows=rows,
        size_bytes=2**40,
        content_hash="xxh3:0123456789abcdef",
        content_md5="q" * 24,
        columns=(ColumnStats("ключ", 0, "1", "9"), ColumnStats("b", None, None, None)),
    )
    return StoredPart(name=name, uri=f"file:///out/{name}", ordinal=ordinal, stats=stats)


def a_success(**changes: Any) -> RunOutcome:
    return RunOutcome(**{"status": RunStatus.SUCCESS, "finished_at": NOON, **changes})


def start(store: StateStore, run_id: str, *chunks: Chunk, export_name: str = "orders") -> None:
    store.begin_run(a_run(run_id, export_name))
    store.plan_chunks(run_id, chunks or (WHOLE,))


def write_columns(store: StateStore, name: str, columns: list[tuple[str, str]]) -> None:
    with store.database.write() as db:
        watermarks.save_schema(db, name, columns, NOON)


class StoreBehaviour:
    """The suite; a subclass gives the `store` and `reopen` fixtures."""

    def test_a_run_comes_back_as_it_went_in(self, store: StateStore) -> None:
        moscow = timezone(timedelta(hours=3))
        record = a_run("r1", started_at=NOON.astimezone(moscow), batch_size=2**33)
        assert store.begin_run(record) == ()
        row = store.run("r1")
        assert row is not None
        assert (row.record, row.status, row.outcome) == (record, RunStatus.RUNNING, None)
        assert row.record.started_at.tzinfo is UTC
        outcome = a_success(
            rows=10, bytes_written=2**41, longest_statement_s=0.25, is_validated=True
        )
        store.finish("r1", Finish(outcome))
        row = store.current_run("orders")
        assert row is not None
        assert row.outcome == outcome
        assert row.outcome.schema_changed is None
        assert store.run("other") is None

    def test_naive_instants_are_refused(self, store: StateStore) -> None:
        with pytest.raises(InternalError):
            store.begin_run(a_run("r1", started_at=datetime(2026, 1, 1)))  # noqa: DTZ001

    def test_a_newer_run_supersedes_by_start_order_not_by_clock(self, store: StateStore) -> None:
        store.begin_run(a_run("future", started_at=NOON + timedelta(days=900)))
        store.begin_run(a_run("elsewhere", "customers"))
        assert store.begin_run(a_run("now")) == ("future",)
        old = store.run("future")
        assert old is not None
        assert (old.status, old.superseded_by) == (RunStatus.SUPERSEDED, "now")
        assert [row.run_id for row in store.runs("orders")] == ["now", "future"]
        assert [row.run_id for row in store.runs(last=2)] == ["now", "elsewhere"]

    def test_a_superseded_run_can_do_nothing_more(self, store: StateStore) -> None:
        start(store, "old")
        claim = store.claim("old", "orders", WHOLE)
        recorded = store.record(claim, [a_part("a")], chunk_done=False)
        start(store, "new")
        for attempt in (
            lambda: store.record(claim, [a_part("b", 1)], chunk_done=True),
            lambda: store.claim("old", "orders", WHOLE),
            lambda: store.plan_chunks("old", [Chunk(1)]),
            lambda: store.intend("old", Finish(a_success())),
            lambda: store.finish("old", Finish(a_success())),
        ):
            with pytest.raises(RefusedError, match="superseded by run 'new'"):
                attempt()
        assert store.parts("old") == recorded
        assert store.watermark("orders") is None

    def test_a_run_finishes_once(self, store: StateStore) -> None:
        start(store, "r1")
        with pytest.raises(InternalError, match="1 incomplete"):
            store.finish("r1", Finish(a_success()))
        with pytest.raises(InternalError, match="superseded"):
            store.finish("r1", Finish(a_success(status=RunStatus.SUPERSEDED)))
        store.finish("r1", Finish(a_success(status=RunStatus.FAILED, error_code="RIVET_X")))
        with pytest.raises(InternalError, match="over already, with status failed"):
            store.finish("r1", Finish(a_success(status=RunStatus.INTERRUPTED)))
        assert store.current_run("orders") is None

    def test_the_current_run_is_the_newest_success(self, store: StateStore) -> None:
        for run_id, status in (
            ("r1", RunStatus.SUCCESS),
            ("r2", RunStatus.SUCCESS),
            ("r3", RunStatus.FAILED),
            ("r4", RunStatus.SKIPPED),
        ):
            start(store, run_id)
            claim = store.claim(run_id, "orders", WHOLE)
            store.record(claim, [a_part(f"{run_id}.parquet")], chunk_done=True)
            store.finish(run_id, Finish(a_success(status=status)))
        current = store.current_run("orders")
        assert current is not None
        assert current.run_id == "r2"
        assert [part.name for part in store.current_parts("orders")] == ["r2.parquet"]
        assert store.current_parts("nothing") == ()

    def test_parts_come_back_in_the_order_of_the_data(self, store: StateStore) -> None:
        start(store, "r1", ranged(0, None, "10"), ranged(1, "10", None))
        second = store.claim("r1", "orders", ranged(1, "10", None))
        first = store.claim("r1", "orders", ranged(0, None, "10"))
        late = store.record(second, [a_part("c")], chunk_done=True)
        early = store.record(first, [a_part("a", 0), a_part("b", 1)], chunk_done=True)
        assert store.parts("r1") == early + late
        assert [part.part_id for part in store.parts("r1")] == [2, 3, 1]
        assert store.incomplete_chunks("r1") == 0

    def test_a_chunk_is_complete_with_its_last_part_only(self, store: StateStore) -> None:
        start(store, "r1", Chunk(0), Chunk(1))
        claim = store.claim("r1", "orders", Chunk(0))
        store.record(claim, [a_part("a")], chunk_done=False)
        assert store.incomplete_chunks("r1") == 2
        store.record(claim, [], chunk_done=True)
        assert store.chunks("r1", is_incomplete=True) == (Chunk(1),)
        with pytest.raises(InternalError, match="complete already"):
            store.claim("r1", "orders", Chunk(0))
        with pytest.raises(InternalError, match="not planned"):
            store.claim("r1", "orders", Chunk(9))

    def test_a_later_claim_wins_and_voids_what_the_earlier_recorded(
        self, store: StateStore
    ) -> None:
        start(store, "r1")
        first = store.claim("r1", "orders", WHOLE)
        store.record(first, [a_part("first-0")], chunk_done=False)
        store.fail_chunk(first, "the connection dropped")
        second = store.claim("r1", "orders", WHOLE)
        assert (first.number, second.number) == (1, 2)
        for done in (False, True):
            with pytest.raises(RefusedError, match="claim 1 on chunk 0"):
                store.record(first, [a_part("first-1", 1)], chunk_done=done)
        with pytest.raises(RefusedError):
            store.fail_chunk(first, "again")
        recorded = store.record(second, [a_part("second-0")], chunk_done=True)
        assert store.parts("r1") == recorded
        assert [part.name for part in store.void_parts("r1")] == ["first-0"]
        for name in ("r2", "r3"):
            start(store, name)
        found = store.runs_with_files("orders", good=1)
        assert [row.run_id for row in found] == ["r3", "r1"]

    def test_a_failed_record_leaves_nothing(self, store: StateStore) -> None:
        start(store, "r1")
        claim = store.claim("r1", "orders", WHOLE)
        with pytest.raises(StateError):
            store.record(claim, [a_part("a", 0), a_part("b", 0)], chunk_done=True)
        assert store.parts("r1") == ()
        assert store.incomplete_chunks("r1") == 1
        (part,) = store.record(claim, [a_part("a")], chunk_done=True)
        assert part.part_id == 1

    def test_planned_bounds_never_change(self, store: StateStore) -> None:
        start(store, "r1", ranged(0, "1", "5"))
        store.plan_chunks("r1", [ranged(0, "1", "5"), ranged(1, "5", None)])
        assert len(store.chunks("r1")) == 2
        with pytest.raises(InternalError, match="other bounds"):
            store.plan_chunks("r1", [ranged(0, "1", "6")])

    @pytest.mark.parametrize("table", ["chunks", "parts"])
    def test_a_row_that_is_missing_is_missed(self, table: str, store: StateStore) -> None:
        start(store, "r1", ranged(0, None, "5"), ranged(1, "5", "7"))
        store.split_chunk(store.claim("r1", "orders", ranged(1, "5", "7")), *in_two())
        claim = store.claim("r1", "orders", ranged(0, None, "5"))
        store.record(claim, [a_part("a"), a_part("b", 1)], chunk_done=True)
        assert len(store.chunks("r1")) == 3
        assert len(store.whole_parts("r1")) == 2
        for left in (1, 0):
            key = "chunk_index" if table == "chunks" else "part_id - 1"
            with store.database.write() as db:
                sql = f"DELETE FROM pyrivet.{table} WHERE {key} >= :left"
                db.change(sql, left=left)
            with pytest.raises(StateDamagedError, match=f"table '{table}' is missing"):
                store.chunks("r1") if table == "chunks" else store.whole_parts("r1")

    def test_one_of_many_threads_completes_a_chunk(self, store: StateStore) -> None:
        start(store, "r1")
        gate = threading.Barrier(8)

        def compete(number: int) -> bool:
            gate.wait()
            claim = store.claim("r1", "orders", WHOLE)
            gate.wait()
            try:
                store.record(claim, [a_part(f"{number}")], chunk_done=True)
            except RefusedError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(compete, range(8))) == 1
        assert len(store.parts("r1")) == 1

    def test_of_runs_that_begin_at_once_one_is_running(self, store: StateStore) -> None:
        with ThreadPoolExecutor(6) as pool:
            superseded = list(pool.map(lambda n: store.begin_run(a_run(f"r{n}")), range(6)))
        rows = store.runs("orders")
        assert [row.status for row in rows].count(RunStatus.RUNNING) == 1
        assert rows[0].status is RunStatus.RUNNING
        assert sorted(run_id for group in superseded for run_id in group) == sorted(
            row.run_id for row in rows[1:]
        )

    def test_threads_record_different_chunks(self, store: StateStore) -> None:
        chunks = [Chunk(index) for index in range(24)]
        start(store, "r1", *chunks)

        def work(chunk: Chunk) -> None:
            claim = store.claim("r1", "orders", chunk)
            store.record(claim, [a_part(f"{chunk.index}-{n}", n) for n in (0, 1)], chunk_done=True)

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, chunks))
        parts = store.parts("r1")
        assert [part.chunk_index for part in parts] == [n for n in range(24) for _ in (0, 1)]
        assert sorted(part.part_id for part in parts) == list(range(1, 49))
        store.finish("r1", Finish(a_success()))

    def test_columns_are_remembered_in_order(self, store: StateStore) -> None:
        assert store.schema_of("orders") is None
        for run_id, second in (("r1", ("a", "decimal128(10, 2)")), ("r2", ("b\n'\"", "string"))):
            start(store, run_id)
            store.record(store.claim(run_id, "orders", WHOLE), [], chunk_done=True)
            store.finish(run_id, Finish(a_success(), columns=(("z", "int64"), second)))
        assert store.schema_of("orders") == (("z", "int64"), ("b\n'\"", "string"))

    def test_the_journal_keeps_order(self, store: StateStore) -> None:
        start(store, "r1")
        events = [json.dumps({"n": n, "text": "naïve ☃"}) for n in range(5)]
        for event in events:
            store.journal("r1", "orders", event)
        store.journal("r2", "orders", "{}")
        assert list(store.journal_events("r1")) == events

    def test_secrets_are_never_stored(self, store: StateStore) -> None:
        secret = Secret("p%40ss:w/rd?x#1")
        leak = f"postgresql://me:{secret.reveal()}@db/x failed"
        start(store, "r1")
        claim = store.claim("r1", "orders", WHOLE)
        store.fail_chunk(claim, leak)
        store.journal("r1", "orders", json.dumps({"message": leak}))
        store.finish("r1", Finish(a_success(status=RunStatus.FAILED, error_message=leak)))
        with store.database.read() as db:
            rows = [
                *db.all("SELECT * FROM pyrivet.runs"),
                *db.all("SELECT * FROM pyrivet.chunks"),
                *db.all("SELECT * FROM pyrivet.journal"),
            ]
        assert "w/rd" not in repr(rows)
        assert "failed" in repr(rows)

    def test_what_is_compared_later_is_kept_as_it_is(self, store: StateStore) -> None:
        Secret("invoices")
        uri, plan = "/out/invoices", '{"table": "invoices"}'
        record = a_run("r1", destination_uri=uri, plan_json=plan)
        store.begin_run(record)
        kept = store.run("r1")
        assert kept is not None
        assert kept.record == record

    def test_an_aggregate_is_kept_once(self, store: StateStore) -> None:
        record = AggregateRecord(
            "agg_1", NOON, NOON, 5, "rivet.yaml", "sequential", 2, 1, 1, 0, 10, 2, 2**40, "[]"
        )
        store.record_aggregate(record)
        with pytest.raises(StateError):
            store.record_aggregate(record)

    def test_a_store_survives_reopening(
        self, store: StateStore, reopen: Callable[[], StateStore]
    ) -> None:
        start(store, "r1")
        store.record(store.claim("r1", "orders", WHOLE), [], chunk_done=True)
        store.finish("r1", Finish(a_success()), [Receipt("manifest", "file:///out", "xxh3:1")])
        store.close()
        with reopen() as again:
            again.check_writable()
            row = again.run("r1")
            assert row is not None
            assert row.manifest_at is not None
            assert again.schema_of("") is None

    def test_an_export_has_one_holder(
        self, store: StateStore, reopen: Callable[[], StateStore]
    ) -> None:
        with reopen() as other:
            with export_lock(store, "orders"):
                with (
                    pytest.raises(RefusedError, match=r"pid \d+ on host") as refused,
                    export_lock(other, "orders"),
                ):
                    pass
                assert refused.value.error_code == "RIVET_REFUSED_OVERLAP"
                with (
                    pytest.raises(StateLockedError),
                    export_lock(other, "orders", wait=True, timeout_s=0.2),
                ):
                    pass
                with export_lock(other, "Orders"), export_lock(other, "../or\0ders"):
                    pass
            with export_lock(other, "orders", wait=True):
                pass

    def test_waiting_ends_when_the_holder_does(
        self, store: StateStore, reopen: Callable[[], StateStore]
    ) -> None:
        entered, order = threading.Event(), []

        def second() -> None:
            with reopen() as other:
                entered.set()
                with export_lock(other, "orders", wait=True, timeout_s=20):
                    order.append("second")

        with ThreadPoolExecutor(1) as pool:
            with export_lock(store, "orders"):
                waiting = pool.submit(second)
                entered.wait()
                order.append("first")
            waiting.result()
        assert order == ["first", "second"]
