"""Events survive the line they are written on, and foreign lines are no events."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rivet.events import EVENT_TYPES, ExportFinished, Progress, from_line, to_line


def _sample(cls):
    samples = {"str": "ünï\n\x1b", "int": 7, "float": 0.5, "tuple[str, ...]": ("a", "b")}
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


@given(st.text())
def test_any_text_is_read_leniently(text):
    from_line(text)


@pytest.mark.parametrize("line", ["", "nope", "[]", "1", '{"type":"nope"}', '{"type":"progress"}'])
def test_foreign_lines_are_no_events(line):
    assert from_line(line) is None


def test_finished_has_the_fields_of_the_contract():
    names = {field.name for field in dataclasses.fields(ExportFinished)}
    contract = "export_name run_id status total_rows files_produced bytes_written duration_ms "
    contract += "peak_rss_mb error_message dest_retries"
    assert set(contract.split()) <= names
