"""Streams cut anywhere give the same batches; broken streams give errors, never a crash."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rivet.errors import RivetError
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import kernel_kind, load
from support.copyrows import HEADER, TRAILER, array, numeric, recorded_cases, row, schema_of

FIELDS = [
    FieldSpec("id", Decoder.INT8),
    FieldSpec("price", Decoder.DECIMAL, precision=12, scale=2, invalid="null"),
    FieldSpec("big", Decoder.DECIMAL, precision=60, scale=20),
    FieldSpec("day", Decoder.DATE, invalid="null"),
    FieldSpec("note", Decoder.TEXT),
    FieldSpec("flag", Decoder.BOOL),
    FieldSpec("span", Decoder.INTERVAL),
    FieldSpec("tags", Decoder.ARRAY, element=FieldSpec("tags", Decoder.TEXT)),
]
SCHEMA = schema_of(*FIELDS)
BOTH = kernel_kind() == "compiled"


def nullable(strategy):
    return st.none() | strategy


def packed(form, low, high):
    return st.integers(low, high).map(struct.Struct(form).pack)


TEXT = st.text(st.characters(codec="utf-8"), max_size=40).map(str.encode)
DIGITS = st.lists(st.integers(0, 9999), min_size=1, max_size=2)
ROW = st.tuples(
    nullable(packed(">q", -(2**63), 2**63 - 1)),
    nullable(DIGITS.map(lambda digits: numeric(*digits[:1], weight=0))),
    nullable(DIGITS.map(lambda digits: numeric(*digits, weight=1, sign=0x4000))),
    nullable(packed(">i", -(2**31), 2**31 - 1)),
    nullable(TEXT),
    nullable(st.sampled_from([b"\0", b"\1"])),
    nullable(st.binary(min_size=16, max_size=16)),
    nullable(st.lists(nullable(TEXT), max_size=5).map(lambda cells: array(*cells))),
).map(lambda cells: row(*cells))
STREAM = st.lists(ROW, max_size=20).map(lambda rows: HEADER + b"".join(rows) + TRAILER)


def outcome(kind, fields, pieces):
    """Return what a stream gives: its rows and counts, or the error's class and words."""
    decoder = load(kind).CopyDecoder(fields, schema_of(*fields), 1 << 16)
    try:
        for piece in pieces:
            decoder.feed(piece)
        decoder.finish()
        batch = decoder.take()
        batch.validate(full=True)
    except RivetError as error:
        return type(error), str(error)
    return [str(column) for column in batch.columns], decoder.nulled


def cut(stream, places):
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


@settings(max_examples=150, deadline=None)
@given(STREAM, st.lists(st.integers(0, 5000), max_size=12))
def test_a_stream_cut_anywhere_gives_the_same(stream, places):
    whole = outcome(None, FIELDS, [stream])
    assert outcome(None, FIELDS, cut(stream, places)) == whole


@pytest.mark.skipif(not BOTH, reason="the compiled kernel is not here")
@settings(max_examples=150, deadline=None)
@given(STREAM, st.lists(st.integers(0, 5000), max_size=4))
def test_compiled_and_interpreted_agree(stream, places):
    pieces = cut(stream, places)
    assert outcome("compiled", FIELDS, pieces) == outcome("interpreted", FIELDS, pieces)


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(recorded_cases()),
    st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, 4000),
)
def test_a_damaged_stream_never_crashes_and_both_kernels_agree(case, changes, end):
    damaged = bytearray(case.stream)
    for place, byte in changes:
        damaged[place % len(damaged)] = byte
    stream = bytes(damaged[: end if end % 3 == 0 else None])
    found = outcome(None, [case.field], [stream])
    if BOTH:
        assert outcome("interpreted", [case.field], [stream]) == found


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_noise_never_crashes(noise):
    for start in (b"", HEADER):
        outcome(None, FIELDS, [start + noise])
