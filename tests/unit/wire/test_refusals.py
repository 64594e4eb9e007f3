"""What the kernel refuses, and how it says so; the same in both of its forms."""

import struct

import pyarrow as pa
import pytest

from rivet.errors import (
    FormatError,
    InternalError,
    SourceError,
    SourceInterruptedError,
    StalePlanError,
)
from rivet.wire.fields import Decoder, FieldSpec
from rivet.wire.kernel import kernel_kind, load
from support.copyrows import HEADER, TRAILER, array, numeric, row, schema_of

KINDS = ["interpreted"] + (["compiled"] if kernel_kind() == "compiled" else [])
I4 = struct.Struct(">i").pack
I8 = struct.Struct(">q").pack


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def decode(kind, field, *rows, limit=1000):
    decoder = load(kind).CopyDecoder([field], schema_of(field), limit)
    decoder.feed(HEADER + b"".join(rows) + TRAILER)
    decoder.finish()
    return decoder.take().column(0)


def spec(decoder, **facts):
    return FieldSpec("price", decoder, **facts)


INTS = spec(Decoder.ARRAY, element=spec(Decoder.INT4))
REFUSED = [
    ("too many integer digits", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(100)),
    ("a digit beyond the scale", spec(Decoder.DECIMAL, precision=9, scale=2), numeric(1, 10)),
    ("a digit far beyond it", spec(Decoder.DECIMAL, precision=9, scale=2), numeric(1, 0, 0, 1)),
    ("wide, one digit beyond", spec(Decoder.DECIMAL, precision=38, scale=2), numeric(1, 10)),
    ("far too large", spec(Decoder.DECIMAL, precision=76, scale=0), numeric(1, weight=32000)),
    ("a tiny fraction", spec(Decoder.DECIMAL, precision=76, scale=76), numeric(1, weight=-32000)),
    ("NaN", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(sign=0xC000)),
    ("infinity", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(sign=0xF000)),
    ("infinite date", spec(Decoder.DATE), I4(2**31 - 1)),
    ("minus infinite date", spec(Decoder.DATE), I4(-(2**31))),
    ("infinite timestamp", spec(Decoder.TIMESTAMP), I8(2**63 - 1)),
    ("minus infinite timestamp", spec(Decoder.TIMESTAMP, unit="ns"), I8(-(2**63))),
    ("too late for nanoseconds", spec(Decoder.TIMESTAMP, unit="ns"), I8(2**60)),
    ("24:00:00", spec(Decoder.TIME), I8(86_400_000_000)),
    ("infinite interval", spec(Decoder.INTERVAL), struct.pack(">qii", 2**63 - 1, *[2**31 - 1] * 2)),
    ("two dimensions", INTS, array(I4(1), dimensions=2)),
    ("lower bound 0", INTS, array(I4(1), lower=0)),
    ("text starting inside a character", spec(Decoder.TEXT), b"\x80a"),
    ("text with a bad byte", spec(Decoder.TEXT), b"a\xff"),
    ("text ending inside a character", spec(Decoder.TEXT), b"a\xc3"),
    ("bad text in an array", spec(Decoder.ARRAY, element=spec(Decoder.TEXT)), array(b"a\xc3")),
    ("value above the limit", spec(Decoder.BYTES), bytes(1001)),
]


@pytest.mark.parametrize(
    ("decoder", "texts"),
    [
        (Decoder.ANY_INTERVAL, ["-infinity", "infinity", "PT0S"]),
        (
            Decoder.FINITE_INTERVAL,
            [
                "P-178956970Y-8M-2147483648DT-2562047788H-54.775808S",
                "P178956970Y7M2147483647DT2562047788H54.775807S",
                "PT0S",
            ],
        ),
    ],
)
def test_infinite_intervals_are_words_where_the_server_has_them(kind, decoder, texts):
    cells = [(-(2**63), *[-(2**31)] * 2), (2**63 - 1, *[2**31 - 1] * 2), (0, 0, 0)]
    rows = [row(struct.pack(">qii", *cell)) for cell in cells] * 3000
    assert decode(kind, spec(decoder), *rows).to_pylist() == texts * 3000


@pytest.mark.parametrize(
    ("field", "cell"), [case[1:] for case in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_a_value_that_cannot_be_held_is_refused_by_column_and_row(kind, field, cell):
    with pytest.raises(FormatError, match=r"^column 'price', row 3: ") as caught:
        decode(kind, field, row(None), row(None), row(cell), row(None))
    assert caught.value.hint
    assert caught.value.context == {"column": "price", "row": "3"}


def test_a_value_above_the_limit_is_refused_before_it_arrives(kind):
    field = spec(Decoder.TEXT)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    with pytest.raises(FormatError) as caught:
        decoder.feed(HEADER + struct.pack(">hi", 1, 2**31 - 1))
    assert caught.value.error_code == "RIVET_VALUE_TOO_LARGE"


def test_a_value_at_the_limit_is_read(kind):
    assert decode(kind, spec(Decoder.BYTES), row(bytes(1000))).to_pylist() == [bytes(1000)]


MALFORMED = [
    ("short numeric", spec(Decoder.DECIMAL, precision=4, scale=2), bytes(7)),
    ("numeric cut off", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(1, 2)[:-1]),
    ("numeric digit above 9999", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(10000)),
    ("numeric with a strange sign", spec(Decoder.DECIMAL, precision=4, scale=2), numeric(sign=7)),
    ("bool of two bytes", spec(Decoder.BOOL), b"\1\1"),
    ("int4 of eight bytes", spec(Decoder.INT4), bytes(8)),
    ("empty int2", spec(Decoder.INT2), b""),
    ("uuid of 15 bytes", spec(Decoder.UUID), bytes(15)),
    ("jsonb of another version", spec(Decoder.JSONB), b"\2{}"),
    ("empty jsonb", spec(Decoder.JSONB), b""),
    ("array without a head", INTS, bytes(11)),
    ("array of minus one", INTS, array(count=-1)),
    ("array that lacks elements", INTS, array(I4(1), count=2)),
    ("array of many that lacks elements", INTS, array(I4(1), count=2**31 - 1)),
    ("array with bytes left", INTS, array(I4(1), count=0)),
    ("element longer than the array", INTS, array(I4(1))[:-1]),
]


@pytest.mark.parametrize(
    ("field", "cell"), [c[1:] for c in MALFORMED], ids=[c[0] for c in MALFORMED]
)
def test_a_malformed_value_is_an_error_of_the_source(kind, field, cell):
    with pytest.raises(SourceError, match=r"^column 'price', row 1: "):
        decode(kind, field, row(cell))


@pytest.mark.parametrize(
    "stream",
    [
        b"PGCOPX" + HEADER[6:] + TRAILER,
        HEADER[:11] + b"\x00\x01\x00\x00" + bytes(4) + TRAILER,
        HEADER[:15] + b"\xff\xff\xff\xff",
        HEADER + struct.pack(">hi", 1, -2),
        HEADER + TRAILER + b"\x00",
        b"a\tb\n" * 10,
    ],
    ids=["signature", "critical flag", "negative extension", "length -2", "after the end", "text"],
)
def test_a_stream_that_is_none_is_an_error_of_the_source(kind, stream):
    field = spec(Decoder.INT4)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    with pytest.raises(SourceError):
        decoder.feed(stream)
    with pytest.raises(SourceError):
        decoder.feed(b"more")
    with pytest.raises(SourceError):
        decoder.take()


def test_a_header_extension_is_skipped(kind):
    field = spec(Decoder.BOOL)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    decoder.feed(HEADER[:15] + I4(3) + b"abc" + row(b"\1") + TRAILER)
    decoder.finish()
    assert decoder.take().column(0).to_pylist() == [True]


@pytest.mark.parametrize("cells", [(), (b"\1", b"\1")])
def test_another_number_of_fields_means_a_stale_plan(kind, cells):
    with pytest.raises(StalePlanError, match=r"^row 1: "):
        decode(kind, spec(Decoder.BOOL), row(*cells))


@pytest.mark.parametrize("size", [0, 5, 19, 22, 25])
def test_a_stream_without_its_end_is_interrupted(kind, size):
    field = spec(Decoder.BOOL)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    decoder.feed((HEADER + row(b"\1") + TRAILER)[:size])
    with pytest.raises(SourceInterruptedError):
        decoder.finish()


def test_row_numbers_go_on_across_batches(kind):
    field = spec(Decoder.DATE)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    decoder.feed(HEADER + row(I4(0)) * 5)
    assert decoder.take().num_rows == 5
    with pytest.raises(FormatError, match="row 7"):
        decoder.feed(row(None) + row(I4(2**31 - 1)))


def test_batches_start_fresh(kind):
    fields = [spec(Decoder.TEXT), FieldSpec("flag", Decoder.BOOL)]
    decoder = load(kind).CopyDecoder(fields, schema_of(*fields), 1000)
    decoder.feed(HEADER + row(None, b"\1") + row(b"a", None))
    first = decoder.take()
    assert (decoder.rows, decoder.arrow_bytes) == (0, 0)
    decoder.feed(row(b"b", b"\0") * 3000 + TRAILER)
    assert decoder.arrow_bytes == 3000 * 5 + 4 + 375
    second, empty = decoder.take(), decoder.take()
    assert first.to_pylist() == [{"price": None, "flag": True}, {"price": "a", "flag": None}]
    assert second.to_pylist() == [{"price": "b", "flag": False}] * 3000
    assert second.column(0).buffers()[0] is None
    assert empty.num_rows == 0


def test_cells_of_a_cursor_are_decoded_one_row_at_a_time(kind):
    fields = [spec(Decoder.TEXT), FieldSpec("n", Decoder.DECIMAL, precision=38, scale=1)]
    decoder = load(kind).CopyDecoder(fields, schema_of(*fields), 1000)
    decoder.feed_row([b"a", numeric(7)])
    decoder.feed_row([None, None])
    assert [list(map(str, r.values())) for r in decoder.take().to_pylist()] == [
        ["a", "7.0"],
        ["None", "None"],
    ]


def test_a_closed_decoder_lets_its_memory_go(kind):
    before = pa.total_allocated_bytes()
    field = spec(Decoder.TEXT)
    decoder = load(kind).CopyDecoder([field], schema_of(field), 1000)
    decoder.feed(HEADER + row(b"a" * 900) * 1000)
    decoder.close()
    decoder.close()
    assert pa.total_allocated_bytes() == before


def test_fields_and_schema_must_agree_in_number(kind):
    with pytest.raises(InternalError):
        load(kind).CopyDecoder([spec(Decoder.BOOL)], pa.schema([]), 1000)
