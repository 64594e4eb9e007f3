"""The meta columns."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from rivet.errors import PlanError
from rivet.execution.worker.enrich import EXPORTED_AT, ROW_HASH, Enricher
from rivet.model.output import OutputPlan

AT = datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC)


def enricher(schema: pa.Schema, *, at: bool = False, row_hash=None) -> Enricher:
    return Enricher(schema, OutputPlan("parquet", add_exported_at=at, row_hash=row_hash), AT)


def hashes(batch: pa.RecordBatch, row_hash=()) -> list[int]:
    return enricher(batch.schema, row_hash=row_hash).apply(batch)[ROW_HASH].to_pylist()


def expected(*texts: str | None) -> int:
    framed = b""
    for text in texts:
        if text is None:
            framed += b"\0"
        else:
            framed += b"\1" + struct.pack("<I", len(text.encode())) + text.encode()
    return struct.unpack("<q", struct.pack("<Q", xxhash.xxh3_128_intdigest(framed) % 2**64))[0]


def test_nothing_asked_changes_nothing() -> None:
    batch = pa.record_batch({"a": [1]})
    plain = enricher(batch.schema)
    assert plain.schema is batch.schema
    assert plain.apply(batch) is batch


def test_the_added_columns_come_last_and_are_never_missing() -> None:
    batch = pa.record_batch({"a": [1, None]})
    both = enricher(batch.schema, at=True, row_hash=())
    found = both.apply(batch)
    assert found.schema.equals(both.schema, check_metadata=True)
    assert both.schema.names == ["a", EXPORTED_AT, ROW_HASH]
    assert both.schema.field(EXPORTED_AT).type == pa.timestamp("us", tz="UTC")
    assert not both.schema.field(EXPORTED_AT).nullable
    assert both.schema.field(ROW_HASH).type == pa.int64()
    assert found[EXPORTED_AT].to_pylist() == [AT, AT]
    assert both.apply(batch[:0]).schema.equals(both.schema)
    found.validate(full=True)


def test_the_recipe_is_pinned() -> None:
    batch = pa.record_batch({"n": [1, None], "t": ["é", ""]})
    assert hashes(batch) == [expected("1", "é"), expected(None, "")]
    assert hashes(batch)[0] == 3595523539628373724


ROW = st.tuples(*[st.none() | st.text(st.sampled_from("a|,\0\1NULL"), max_size=4)] * 2)


@given(st.lists(ROW, min_size=2, max_size=6))
def test_different_rows_never_frame_alike(rows) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    found = hashes(pa.record_batch(columns, names=["a", "b"]))
    assert len(set(found)) == len(set(rows))
    assert found == [expected(*row) for row in rows]


def test_batch_sizes_and_slices_do_not_matter() -> None:
    batch = pa.record_batch(
        {
            "n": pa.array([None if n % 5 == 0 else n for n in range(100)], pa.int32()),
            "b": pa.array([bytes([n]) * (n % 4) for n in range(100)]),
            "l": pa.array([[n, None] if n % 3 else None for n in range(100)]),
            "at": pa.array(range(100), pa.int64()).cast(pa.timestamp("us", tz="UTC")),
        }
    )
    whole = hashes(batch)
    assert len(set(whole)) == 100
    assert [value for n in range(0, 100, 7) for value in hashes(batch.slice(n, 7))] == whole


def test_columns_are_chosen_and_their_order_is_the_files() -> None:
    batch = pa.record_batch({"a": ["x"], "b": ["y"], "c": ["z"]})
    assert hashes(batch, ("c", "a")) == hashes(batch, ("a", "c")) == [expected("x", "z")]


def test_what_cannot_be_done_is_refused_by_name() -> None:
    with pytest.raises(PlanError, match="'_rivet_row_hash'"):
        enricher(pa.schema([(ROW_HASH, pa.int8())]), row_hash=())
    with pytest.raises(PlanError, match="'_rivet_exported_at'"):
        enricher(pa.schema([(EXPORTED_AT, pa.int8())]), at=True)
    with pytest.raises(PlanError, match="'nope'"):
        enricher(pa.schema([("a", pa.int8())]), row_hash=("a", "nope"))
    with pytest.raises(PlanError, match="'s'"):
        enricher(pa.schema([("s", pa.struct([("x", pa.int8())]))]), row_hash=())
