"""Whatever a child writes and however it ends: lines, events and verdicts hold."""

import dataclasses
import json

from hypothesis import given
from hypothesis import strategies as st

from rivet.events import EVENT_TYPES, Event, ExportFinished, from_line, to_line
from rivet.execution.children.capture import CaptureBudget, StderrCapture
from rivet.execution.children.launch import Ending
from rivet.execution.children.lines import LineSplitter
from rivet.execution.children.verdict import judge

BLOCKS = st.lists(st.binary(max_size=40) | st.sampled_from([b"\n", b"\r\n", b"\n" * 30]))


@given(BLOCKS, st.integers(1, 30))
def test_lines_do_not_depend_on_how_the_bytes_were_cut(blocks, limit):
    splitter = LineSplitter(limit)
    lines = [line for block in blocks for line in splitter.feed(block)] + splitter.finish()
    *whole, rest = b"".join(blocks).split(b"\n")
    expected = [line.removesuffix(b"\r") for line in (*whole, *([rest] if rest else []))]
    assert lines == [line for line in expected if len(line) <= limit]
    assert splitter.dropped == sum(len(line) > limit for line in expected)


@given(BLOCKS, st.integers(0, 3000))
def test_captured_and_dropped_lines_add_up(blocks, limit):
    capture = StderrCapture("orders", CaptureBudget(limit))
    for block in blocks:
        capture.feed(block)
    output = capture.finish()
    *whole, rest = b"".join(blocks).split(b"\n")
    lines = [*whole, rest] if rest else whole
    assert (output is None) == (not lines)
    if output is not None:
        assert len(output.head) + output.dropped + len(output.tail) == len(lines)
        assert output.dropped == 0 or len(output.tail) == 20


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
TEXT = st.text(st.characters(codec="utf-8"))
DETAILS = st.dictionaries(
    TEXT, st.none() | st.booleans() | st.integers() | TEXT | st.lists(TEXT | st.integers())
)
VALUES = {
    "str": TEXT,
    "int": st.integers(-(2**63), 2**63 - 1),
    "float": st.floats(allow_nan=False, allow_infinity=False),
    "bool": st.booleans(),
    "tuple[str, ...]": st.lists(TEXT).map(tuple),
    "dict[str, Any]": DETAILS,
}


def _value(hint):
    bare = hint.removesuffix(" | None")
    return VALUES[bare] if bare == hint else st.none() | VALUES[bare]


def _event(cls):
    return st.builds(
        cls, **{field.name: _value(str(field.type)) for field in dataclasses.fields(cls)}
    )


EVENTS = st.one_of([_event(cls) for cls in EVENT_TYPES.values()])
FIELD_NAMES = sorted({f.name for cls in EVENT_TYPES.values() for f in dataclasses.fields(cls)})


@given(EVENTS)
def test_every_event_survives_its_line(event):
    assert from_line(to_line(event)) == event


@given(st.text() | JSON.map(json.dumps))
def test_any_text_is_an_event_or_nothing(text):
    assert from_line(text) is None or isinstance(from_line(text), Event)


@given(EVENTS, st.sampled_from(FIELD_NAMES), JSON)
def test_a_read_event_has_the_types_it_declares(event, name, value):
    body = {"type": event.type, **dataclasses.asdict(event), name: value}
    read = from_line(json.dumps(body))
    if read is not None:
        assert from_line(to_line(read)) == read


@given(EVENTS, st.integers(0, 200))
def test_half_a_line_is_no_event(event, length):
    line = to_line(event)
    assert from_line(line[: min(length, len(line) - 1)]) is None


STATUSES = st.sampled_from(["success", "skipped", "failed", "interrupted", "other"])
FINISHED = st.builds(dataclasses.replace, _event(ExportFinished), status=STATUSES)
ENDINGS = st.one_of(
    st.builds(Ending, code=st.integers(0, 255)),
    st.builds(Ending, signal=st.integers(1, 64)),
    st.builds(Ending, lost=st.text()),
)
ERRORS = st.tuples(st.none() | st.text(), st.text(), st.none() | st.text())


@given(
    ending=st.none() | ENDINGS,
    finished=st.none() | FINISHED,
    has_started=st.booleans(),
    spawn_error=st.none() | st.text(),
    last_error=st.none() | ERRORS,
    stopped_by_parent=st.booleans(),
    was_forced=st.booleans(),
    oom_kills=st.none() | st.integers(0, 3),
)
def test_there_is_always_one_verdict(ending, **seen):
    verdict = judge("orders", ending, **seen)
    is_good = verdict.status in {"success", "skipped"}
    assert is_good or verdict.status in {"failed", "interrupted"}
    assert (verdict.failure is None) == is_good
    if is_good:
        assert ending.code == 0
        assert seen["finished"].status == verdict.status
        assert seen["spawn_error"] is None
    else:
        assert verdict.failure.exit_code != 0
