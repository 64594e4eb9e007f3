"""Result packets cut anywhere give the same batches, and both kernels agree on every byte."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymysql.err import MySQLError

from rivet.errors import RivetError
from rivet.sources.mysql.receive import RowReceiver
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import kernel_kind, load
from support import decoding
from support.rowpackets import END, Pieces, packets, row, schema_of

BOTH = kernel_kind() == "compiled"
SEEDS = st.integers(0, 2**32)
REFUSED = ("SourceError", "RowsLostError")  # by what is in a packet, by the number of one


def outcome(kind, fields, data, places=(), max_rows=1000):
    """Return what a result gives: its batches and counts, or the error's class and words."""
    decoder = load(kind, "mysqlrows").RowDecoder(fields, schema_of(*fields), 1 << 16)
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    pieces = [data[a:b] for a, b in pairwise(bounds) if a < b]
    receiver = RowReceiver(Pieces(pieces), decoder, 1 << 20, block_bytes=32)
    found = []
    try:
        is_more = True
        while is_more:
            is_more = receiver.fill(max_rows, 1 << 20)
            if decoder.rows:
                batch = decoder.take()
                batch.validate(full=True)
                found += [str(column) for column in batch.columns]
    except (RivetError, MySQLError) as error:
        return type(error).__name__, str(error)
    return found, decoder.nulled


def made(seed):
    rng = random.Random(seed)
    fields, stream = decoding.MysqlRows().make(rng)
    return fields, stream, decoding.damaged(rng, stream)


@settings(max_examples=300, deadline=None)
@example(seed=346547588, places=[96])
@example(seed=1560, places=[122])
@example(seed=185, places=[180])
@given(SEEDS, st.lists(st.integers(0, 2000), max_size=8))
def test_a_result_cut_anywhere_gives_the_same(seed, places):
    fields, stream, damaged = made(seed)
    for data in (stream, damaged):
        whole, cut = outcome(None, fields, data), outcome(None, fields, data, places)
        if cut != whole:
            # Bytes behind the end of a result are seen only where they have come together with it;
            # otherwise the next answer is refused for them.
            assert whole[0] in REFUSED
            ends = {place % (len(data) + 1) for place in places}
            assert cut[0] in REFUSED or cut in [outcome(None, fields, data[:end]) for end in ends]


@pytest.mark.skipif(not BOTH, reason="the compiled kernel is not here")
@settings(max_examples=1500, deadline=None)
@given(SEEDS)
def test_compiled_and_interpreted_agree(seed):
    fields, stream, damaged = made(seed)
    for data in (stream, damaged):
        assert outcome("compiled", fields, data) == outcome("interpreted", fields, data)


@pytest.mark.parametrize("kind", ["compiled", "interpreted"] if BOTH else ["interpreted"])
@pytest.mark.parametrize("size", [250, 251, 65_535, 65_536, 2**24 - 6, 2**24 - 5, 2**24 - 4])
def test_lengths_and_packets_at_their_edges(kind, size):
    fields = [FieldSpec("a", Decoder.BYTES), FieldSpec("b", Decoder.TEXT_INT4)]
    decoder = load(kind, "mysqlrows").RowDecoder(fields, schema_of(*fields), 1 << 26)
    data = packets([row(b"x" * size, b"7"), row(None, b"8"), END], first=250)
    decoder.sequence = 250
    for start in range(0, len(data), max(1, len(data) // 7)):
        # Less than a row is never taken for one, whatever the cut.
        decoder_of_part = load(kind, "mysqlrows").RowDecoder(fields, schema_of(*fields), 1 << 26)
        decoder_of_part.sequence = 250
        status = decoder_of_part.decode(data[:start], start, 10, 1 << 30)
        assert status == 1
        assert decoder_of_part.needed > start - decoder_of_part.consumed
    assert decoder.decode(data, len(data), 10, 1 << 30) == 3
    batch = decoder.take()
    assert [len(batch[0][0].as_buffer()), batch[0][1].as_py()] == [size, None]
    assert batch[1].to_pylist() == [7, 8]


def test_a_wrong_sequence_number_is_no_result():
    fields = [FieldSpec("a", Decoder.TEXT_INT4)]
    good = packets([row(b"1"), row(b"2"), END])
    lost = packets([row(b"1")]) + packets([row(b"2"), END], first=2)
    assert outcome(None, fields, good)[0]
    assert outcome(None, fields, lost)[0] == "RowsLostError"


def test_a_server_that_shuts_down_says_so_out_of_order():
    fields = [FieldSpec("a", Decoder.TEXT_INT4)]
    shutdown = b"\xff\x1d\x04#08S01Server shutdown in progress"
    data = packets([row(b"1"), row(b"2")]) + packets([shutdown])
    assert outcome(None, fields, data) == (
        "OperationalError",
        "(1053, 'Server shutdown in progress')",
    )


def test_more_columns_or_fewer_than_planned():
    fields = [FieldSpec("a", Decoder.TEXT_INT4), FieldSpec("b", Decoder.TEXT)]
    for cells in ([b"1"], [b"1", b"x", b"y"]):
        assert outcome(None, fields, packets([row(*cells), END]))[0] == "StalePlanError"
