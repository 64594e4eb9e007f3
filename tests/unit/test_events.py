"""Events survive the line they are written on, and foreign lines are no events."""

import dataclasses
import json

import pytest

from rivet.events import EVENT_TYPES, ExportFinished, Progress, from_line, to_line


def _sample(cls):
    samples = {
        "str": "ünï\n\x1b",
        "int": 7,
        "float": 0.5,
        "bool": True,
        "tuple[str, ...]": ("a", "b"),
        "dict[str, Any]": {"warnings": ["ü"], "position": None, "deep": {"n": 1.5}},
    }
    values = {
        field.name: samples[str(field.type).removesuffix(" | None")]
        for field in dataclasses.fields(cls)
    }
    return cls(**values)


@pytest.mark.parametrize("cls", EVENT_TYPES.values(), ids=lambda cls: cls.type)
def test_every_event_survives_its_line(cls):
    event = _sample(cls)
    line = to_line(event)
    assert "\n" not in line
    assert from_line(line) == event


def test_unknown_fields_are_dropped_and_missing_ones_default():
    line = '{"type":"progress","export_name":"a","chunks_done":1,"rows":5,"new_field":true}'
    assert from_line(line) == Progress("a", chunks_done=1, rows=5)


PROGRESS = {"type": "progress", "export_name": "a", "chunks_done": 1, "rows": 5}
FINISHED = {
    "type": "finished", "export_name": "a", "run_id": "r", "status": "success", "total_rows": 0,
    "files_produced": 0, "bytes_written": 0, "duration_ms": 0, "peak_rss_mb": 0,
}  # fmt: skip
RETRY = {
    "type": "retry_attempted", "export_name": "a", "run_id": "r", "chunk_index": 0, "attempt": 1,
    "wait_s": 1, "reason": "x",
}  # fmt: skip
SCHEMA = {"type": "schema_changed", "export_name": "a", "added": [], "removed": [], "changed": []}


@pytest.mark.parametrize("body", [PROGRESS, FINISHED, RETRY, SCHEMA], ids=lambda body: body["type"])
def test_fields_of_the_declared_types_are_read(body):
    assert from_line(json.dumps(body)) is not None


@pytest.mark.parametrize(
    ("body", "change"),
    [
        (PROGRESS, {"rows": "5"}),
        (PROGRESS, {"rows": 5.0}),
        (PROGRESS, {"rows": True}),
        (PROGRESS, {"rows": None}),
        (PROGRESS, {"rows": 2**63}),
        (PROGRESS, {"rows": 10**4000}),
        (PROGRESS, {"export_name": 7}),
        (PROGRESS, {"type": ["progress"]}),
        (RETRY, {"wait_s": "1"}),
        (RETRY, {"wait_s": float("inf")}),
        (RETRY, {"wait_s": False}),
        (SCHEMA, {"added": "ab"}),
        (SCHEMA, {"added": [1]}),
        (SCHEMA, {"added": {"a": 1}}),
        (FINISHED, {"is_retryable": 1}),
        (FINISHED, {"error_message": ["x"]}),
        (FINISHED, {"details": []}),
        (FINISHED, {"details": {"deep": json.loads("[" * 40 + "]" * 40)}}),
    ],
)
def test_a_field_of_another_type_makes_the_line_unreadable(body, change):
    assert from_line(json.dumps(body | change)) is None


@pytest.mark.parametrize(
    "line",
    [
        "[" * 200_000,
        '{"details":' * 200_000,
        "9" * 20_000,
        json.dumps(RETRY)[:-1] + ',"wait_s":1e999}',
        json.dumps(RETRY)[:-1] + ',"wait_s":NaN}',
        "\ufeff" + json.dumps(PROGRESS),
    ],
    ids=["deep", "deeper", "huge", "infinite", "nan", "mark"],
)
def test_hostile_lines_are_no_events(line):
    assert from_line(line) is None


def test_the_last_of_two_equal_keys_counts_and_lone_surrogates_are_replaced():
    line = json.dumps(PROGRESS)[:-1] + ',"rows":6,"export_name":"a\\ud800b\udfff"}'
    assert from_line(line) == Progress("a\ufffdb\ufffd", chunks_done=1, rows=6)


@pytest.mark.parametrize("line", ["", "nope", "[]", "1", '{"type":"nope"}', '{"type":"progress"}'])
def test_foreign_lines_are_no_events(line):
    assert from_line(line) is None


def test_finished_has_the_fields_of_the_contract():
    names = {field.name for field in dataclasses.fields(ExportFinished)}
    contract = "export_name run_id status total_rows files_produced bytes_written duration_ms "
    contract += "peak_rss_mb error_message dest_retries"
    assert set(contract.split()) <= names
