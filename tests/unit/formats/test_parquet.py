"""Parquet: layout, codecs, types in the footer, statistics."""

from __future__ import annotations

import uuid
from decimal import Decimal

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rivet.errors import FormatError
from rivet.formats import parquet
from rivet.model.output import Compression, RowGroups, WriterOptions
from support.sinks import file_sink

SCHEMA = pa.schema([pa.field("n", pa.int64())])


def write(path, schema, batches, options=WriterOptions()):  # noqa: B008 - frozen
    writer = parquet.open(file_sink(path), schema, options)
    for batch in batches:
        writer.write(batch)
    return writer.close()


def numbers(count: int, start: int = 0) -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(start, start + count), pa.int64())], schema=SCHEMA)


def group_rows(path) -> list[int]:
    footer = pq.read_metadata(path)
    return [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]


@pytest.mark.parametrize("fetch", [1, 7, 1000, 2500])
def test_row_groups_do_not_follow_the_fetch_size(tmp_path, fetch) -> None:
    path = tmp_path / "part"
    batches = [numbers(min(fetch, 2500 - start), start) for start in range(0, 2500, fetch)]
    write(path, SCHEMA, batches, WriterOptions(row_groups=RowGroups(max_rows=1000)))
    assert group_rows(path) == [1000, 1000, 500]
    assert pq.read_table(path)["n"].to_pylist() == list(range(2500))


def test_a_row_group_closes_at_its_bytes(tmp_path) -> None:
    path = tmp_path / "part"
    batches = [numbers(1000) for _ in range(10)]
    write(path, SCHEMA, batches, WriterOptions(row_groups=RowGroups(max_bytes=20_000)))
    assert group_rows(path) == [3000, 3000, 3000, 1000]


def test_bytes_written_counts_closed_row_groups_only(tmp_path) -> None:
    options = WriterOptions(row_groups=RowGroups(max_rows=1000))
    writer = parquet.open(file_sink(tmp_path / "part"), SCHEMA, options)
    start = writer.bytes_written
    writer.write(numbers(999))
    assert writer.bytes_written == start
    writer.write(numbers(1))
    assert writer.bytes_written > start
    writer.abort()


@pytest.mark.parametrize(
    ("codec", "level", "name"),
    [
        (Compression.ZSTD, None, "ZSTD"),
        (Compression.ZSTD, 22, "ZSTD"),
        (Compression.SNAPPY, None, "SNAPPY"),
        (Compression.GZIP, 9, "GZIP"),
        (Compression.LZ4, None, "LZ4"),
        (Compression.NONE, None, "UNCOMPRESSED"),
    ],
)
def test_every_codec_is_read_by_two_readers(tmp_path, codec, level, name) -> None:
    path = tmp_path / "part.parquet"
    write(path, SCHEMA, [numbers(1000)], WriterOptions(codec, level))
    assert pq.read_metadata(path).row_group(0).column(0).compression == name
    assert pq.read_table(path).num_rows == 1000
    compression, total = duckdb.sql(
        f"select any_value(compression), (select sum(n) from '{path}')"
        f" from parquet_metadata('{path}')"
    ).fetchall()[0]
    assert compression == ("LZ4_RAW" if name == "LZ4" else name)
    assert total == 499_500


@pytest.mark.parametrize(
    ("codec", "level"),
    [
        (Compression.ZSTD, 0),
        (Compression.ZSTD, 23),
        (Compression.GZIP, 10),
        (Compression.SNAPPY, 1),
    ],
)
def test_a_level_out_of_range_is_refused(codec, level) -> None:
    with pytest.raises(FormatError, match="level"):
        parquet.check(SCHEMA, WriterOptions(codec, level))


def test_a_negative_scale_and_twin_names_are_refused() -> None:
    schema = pa.schema([pa.field("m", pa.decimal128(5, -2))])
    with pytest.raises(FormatError, match="'m'"):
        parquet.check(schema, WriterOptions())
    with pytest.raises(FormatError, match="share the name 'a'"):
        parquet.check(pa.schema([("a", pa.int8()), ("a", pa.int8())]), WriterOptions())


def test_extension_types_metadata_and_times_survive(tmp_path) -> None:
    schema = pa.schema(
        [
            pa.field("j", pa.json_(pa.string()), metadata={"rivet.logical_type": "json"}),
            pa.field("u", pa.uuid(), metadata={"rivet.native_type": "uuid"}),
            pa.field("t", pa.time64("us")),
            pa.field("instant", pa.timestamp("us", tz="UTC")),
            pa.field("wall", pa.timestamp("us")),
            pa.field("js", pa.list_(pa.field("item", pa.json_(pa.string())))),
        ]
    )
    path = tmp_path / "part.parquet"
    write(path, schema, [])
    back = pq.read_schema(path)
    assert back.equals(schema)
    assert [field.metadata for field in back] == [field.metadata for field in schema]
    text = str(pq.read_metadata(path).schema)
    assert "Time(isAdjustedToUTC=false" in text
    kinds = {name: kind for name, kind, *_ in duckdb.sql(f"describe from '{path}'").fetchall()}
    assert kinds["t"] == "TIME"
    assert kinds["instant"] == "TIMESTAMP WITH TIME ZONE"
    assert kinds["wall"] == "TIMESTAMP"
    assert kinds["u"] == "UUID"


@pytest.mark.parametrize("precision", [1, 4, 9, 10, 18, 19, 28, 38, 39, 76])
def test_decimals_keep_their_point(tmp_path, precision) -> None:
    scales = sorted({0, 1, precision})
    schema = pa.schema(
        [
            pa.field(
                f"s{scale}",
                (pa.decimal128 if precision <= 38 else pa.decimal256)(precision, scale),
            )
            for scale in scales
        ]
    )
    greatest = 10**precision - 1
    columns = [
        pa.array(
            [_exact(sign * number, scale) for number in (0, 1, greatest) for sign in (1, -1)],
            field.type,
        )
        for scale, field in zip(scales, schema, strict=True)
    ]
    path = tmp_path / "part.parquet"
    write(path, schema, [pa.record_batch(columns, schema=schema)])
    back = pq.read_table(path)
    for column, field in zip(columns, schema, strict=True):
        assert back[field.name].combine_chunks().equals(column)
    if precision <= 38:
        for scale in scales:
            found = duckdb.sql(f"select max(s{scale}), min(s{scale}) from '{path}'").fetchall()[0]
            assert found == (_exact(greatest, scale), _exact(-greatest, scale))


def _exact(unscaled: int, scale: int) -> Decimal:
    digits = tuple(int(digit) for digit in str(abs(unscaled)))
    return Decimal((int(unscaled < 0), digits, -scale))


def test_statistics_are_merged_over_row_groups(tmp_path) -> None:
    schema = pa.schema(
        [
            pa.field("i", pa.int32()),
            pa.field("money", pa.decimal128(12, 2)),
            pa.field("day", pa.date32()),
            pa.field("at", pa.timestamp("us", tz="UTC")),
            pa.field("f", pa.float64()),
            pa.field("b", pa.bool_()),
            pa.field("secret", pa.string()),
            pa.field("u", pa.uuid()),
            pa.field("l", pa.list_(pa.int32())),
        ]
    )
    ids = [uuid.UUID(int=number).bytes for number in (1, 2, 3)]
    batch = pa.record_batch(
        [
            pa.array([3, None, -1], pa.int32()),
            pa.array([Decimal("1.50"), Decimal("-2.00"), None], pa.decimal128(12, 2)),
            pa.array([-800_000, 0, 20_000], pa.int32()).cast(pa.date32()),
            pa.array([-1, 0, None], pa.int64()).cast(pa.timestamp("us", tz="UTC")),
            pa.array([float("nan"), 2.5, -1.0]),
            pa.array([True, None, False]),
            pa.array(["z", "a", None]),
            pa.ExtensionArray.from_storage(pa.uuid(), pa.array(ids, pa.binary(16))),
            pa.array([[1], None, []], pa.list_(pa.int32())),
        ],
        schema=schema,
    )
    stats = write(tmp_path / "part", schema, [batch], WriterOptions(row_groups=RowGroups(1)))
    found = {
        column.name: (column.null_count, column.minimum, column.maximum) for column in stats.columns
    }
    assert found == {
        "i": (1, "-1", "3"),
        "money": (1, "-2.00", "1.50"),
        "day": (0, "-0221-09-04", "2024-10-04"),
        "at": (1, "1969-12-31T23:59:59.999999Z", "1970-01-01T00:00:00.000000Z"),
        "f": (0, "-1.0", "2.5"),
        "b": (1, "false", "true"),
        "secret": (1, None, None),
        "u": (0, None, None),
        "l": (None, None, None),
    }


def test_every_part_has_the_same_schema_bytes(tmp_path) -> None:
    for name, count in (("a", 0), ("b", 5), ("c", 5000)):
        write(tmp_path / name, SCHEMA, [numbers(count)] if count else [])
    footers = [pq.read_metadata(tmp_path / name) for name in "abc"]
    assert footers[0].metadata[b"rivet.writer"].startswith(b"rivet")
    assert len({footer.metadata[b"ARROW:schema"] for footer in footers}) == 1
    assert len({str(footer.schema).split("\n", 1)[1] for footer in footers}) == 1


def test_columns_of_mostly_distinct_values_get_no_dictionary(tmp_path) -> None:
    schema = pa.schema([("key", pa.int64()), ("few", pa.int64()), ("u", pa.uuid())])
    keys = [number * 7919 for number in range(3000)]
    ids = pa.array([number.to_bytes(16, "big") for number in keys], pa.binary(16))
    batch = pa.record_batch(
        [
            pa.array(keys, pa.int64()),
            pa.array([number % 5 for number in keys], pa.int64()),
            pa.ExtensionArray.from_storage(pa.uuid(), ids),
        ],
        schema=schema,
    )
    path = tmp_path / "part"
    write(path, schema, [batch])
    group = pq.read_metadata(path).row_group(0)
    dictionary = ["RLE_DICTIONARY" in group.column(place).encodings for place in range(3)]
    assert dictionary == [False, True, False]
    newer = {"DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "BYTE_STREAM_SPLIT"}
    assert not any(newer & set(group.column(place).encodings) for place in range(3))
    assert pq.read_table(path)["key"].to_pylist() == keys


def test_lists_of_every_depth_and_extension_are_read_back(tmp_path) -> None:
    schema = pa.schema([("l", pa.list_(pa.uuid())), ("j", pa.list_(pa.json_(pa.string())))])
    ids = pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"x" * 16, None], pa.binary(16)))
    texts = pa.ExtensionArray.from_storage(pa.json_(pa.string()), pa.array(["1", "null"]))
    offsets = pa.array([0, 2, 2], pa.int32())
    batch = pa.record_batch(
        [pa.ListArray.from_arrays(offsets, ids), pa.ListArray.from_arrays(offsets, texts)],
        schema=schema,
    )
    path = tmp_path / "part"
    stats = write(path, schema, [batch])
    assert pq.read_table(path).to_batches()[0].equals(batch)
    assert stats.rows == 2
