"""Chunk tasks, results and failures as JSON: all of it comes back, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

import rivet.errors
from rivet.errors import InternalError, RivetError
from rivet.execution.worker.contract import ChunkResult, ChunkTask
from rivet.execution.worker.observe import Observations
from rivet.execution.worker.taskjson import (
    error_from_json,
    error_to_json,
    result_from_json,
    result_to_json,
    task_from_json,
    task_to_json,
)
from rivet.model import types
from rivet.model.chunk import Chunk, Claim
from rivet.model.columns import Column, Mask
from rivet.model.output import Compression, OutputPlan, RowGroups, WriterOptions
from rivet.model.part import ColumnStats, FileStats, StoredPart
from rivet.model.plan import Consistency, ExportPlan, Mode, ReadTuning
from rivet.model.quality import QualityRules
from rivet.model.relation import Key, Relation, TableFacts
from rivet.model.shape import Shape, ShapeKind
from rivet.model.sink import SinkRef
from rivet.model.source import (
    Position,
    SessionSettings,
    SharedSnapshot,
    Snapshot,
    SourceAddress,
    TlsMode,
    TlsOptions,
)
from rivet.model.sourceref import source_ref
from rivet.model.span import Span, SpanKind
from rivet.model.types import Fidelity, InvalidPolicy
from rivet.redact import Secret
from rivet.sources.base import ReadCounters

SECRETS = ("postgresql://u:q7Lx9vTz@h/d", "Zk3WmR8u")
ADDRESS = SourceAddress(
    "postgresql",
    url=Secret(SECRETS[0]),
    password=Secret(SECRETS[1]),
    tls=TlsOptions(TlsMode.VERIFY_CA, Path("ca.crt")),
    server_public_key=Path("/etc/key.pem"),
    base_dir=Path("/srv"),
)
SETTINGS = SessionSettings(
    statement_timeout_s=1.5, variables={"TimeZone": "UTC"}, is_stopped=lambda: False
)
COLUMNS = (
    Column("id", "bigint", types.INT64, Fidelity.EXACT, 20, nullable=False),
    Column("n\u00e9", "numeric(5,2)", types.decimal(5, 2), Fidelity.EXACT, origin="x\ud7ff\n"),
    Column("l", "int[]", types.list_of(types.INT32), Fidelity.TEXT, is_text_cast=True),
    Column("m", "text", types.STRING, Fidelity.LOSSY, mask=Mask.HASH, invalid=InvalidPolicy.NULL),
)
PLAN = ExportPlan(
    export_name="t",
    run_id="t_1",
    started_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    engine="postgresql",
    relation=Relation("s", 'we"ird'),
    columns=COLUMNS,
    facts=TableFacts(
        10, keys=(Key(("id",), is_integer=True, correlation=0.5),), quantiles={"id": ("1", "2")}
    ),
    mode=Mode.CHUNKED,
    output=OutputPlan(
        "parquet", WriterOptions(Compression.NONE, 3, RowGroups(5, 6)), 7, row_hash=()
    ),
    tuning=ReadTuning("fast", 1, 2, throttle_ms=3, max_snapshot_age_s=0.25),
    destination_type="local",
    destination_uri="file:///x",
    fingerprint="f",
    shape=Shape(ShapeKind.RANGE, ("id",), 5),
    workers=3,
    consistency=Consistency.RUN,
)
TASK = ChunkTask(
    PLAN,
    Claim("t_1", "t", Chunk(3, Span(SpanKind.KEY, ("id",), ("-5",), None, takes_lower=True)), 2),
    source_ref(ADDRESS, SETTINGS)[0],
    SinkRef("local", {"path": "out"}, Path("/srv")),
    SharedSnapshot("0003-1", Position("postgresql", "lsn", "0/1", is_approximate=False), 12.5),
    QualityRules(1, None, {"id": 0.5}, ("id",)),
    takes_all_columns=False,
    holds_snapshot=True,
    validates=True,
)


def test_a_task_comes_back_whole() -> None:
    text = task_to_json(TASK)
    assert "\n" not in text
    assert task_from_json(text) == TASK
    assert [one for one in ("q7Lx9vTz", "Zk3WmR8u") if one in text] == []


def test_secrets_are_found_by_their_names() -> None:
    ref, secrets = source_ref(ADDRESS, SETTINGS)
    assert sorted(secrets.values()) == sorted(SECRETS)
    assert ref.resolve(secrets) == ADDRESS
    assert ref.settings == replace(SETTINGS, is_stopped=None)
    with pytest.raises(RivetError, match="RIVET_TASK_SOURCE_URL"):
        ref.resolve({})


def test_a_result_comes_back_whole() -> None:
    seen = Observations.of(TASK.rules, TASK.schema)
    rows = {"id": [1, 1, None], "n\u00e9": [None] * 3, "l": [None] * 3, "m": ["a"] * 3}
    seen.observe(pa.RecordBatch.from_pydict(rows, schema=TASK.schema))
    seen.nulled = {"m": 4}
    stats = FileStats(3, 99, "xxh3:0", "md5==", (ColumnStats("id", 1, "1", None),))
    result = ChunkResult(
        (StoredPart("a.parquet", "file:///a.parquet", 0, stats, Position("e", "k", "p")),),
        seen,
        ReadCounters(3, 55, {"m": 4}, 0.5, {"a remark"}),
        Snapshot(7, None),
    )
    found = result_from_json(result_to_json(result), TASK)
    assert (found.stored, found.counters, found.snapshot) == (
        result.stored,
        result.counters,
        result.snapshot,
    )
    assert found.observations.to_json() == seen.to_json()
    assert found.observations.gate.verdict() == seen.gate.verdict()


def changed(path, value):
    body = json.loads(task_to_json(TASK))
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(body)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"version":1}',
        "[" * 100_000,
        changed(["version"], 2),
        changed(["task", "later"], 1),
        changed(["task", "plan", "tuning", "later"], 1),
        changed(["task", "claim", "number"], "2"),
        changed(["task", "claim", "chunk", "span", "kind"], "keys"),
        changed(["task", "validates"], 1),
        changed(["task", "plan"], None),
    ],
)
def test_what_is_not_known_is_refused(text) -> None:
    with pytest.raises(InternalError):
        task_from_json(text)


def errors():
    kinds = {
        one for name in rivet.errors.__all__ if isinstance(one := getattr(rivet.errors, name), type)
    }
    return sorted(
        (one for one in kinds if issubclass(one, RivetError)), key=lambda one: one.__name__
    )


@pytest.mark.parametrize("kind", errors())
def test_failures_come_back_as_what_they_were(kind) -> None:
    try:
        error = kind("it broke", hint="mend it", code="RIVET_SOME_CODE", column="c")
    except TypeError:
        pytest.fail(f"{kind} is not built as the others are")
    found = error_from_json(error_to_json(error))
    assert type(found) is kind
    assert found.to_json() == error.to_json()
    assert (found.retryable, found.settle_s) == (error.retryable, error.settle_s)


@pytest.mark.parametrize("kind", ["ValueError", "Secret", "", None])
def test_failures_of_no_kind_that_is_known_are_refused(kind) -> None:
    body = json.loads(error_to_json(RivetError("x")))
    with pytest.raises(InternalError):
        error_from_json(json.dumps({**body, "kind": kind}))
