"""What every file format must do, whatever it is."""

from __future__ import annotations

import base64
import hashlib
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest
import xxhash

from rivet.errors import ConfigError, DestinationError, FormatError
from rivet.formats import format_names, load_format
from rivet.model.output import Compression, RowGroups, WriterOptions
from support.sinks import file_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), metadata={"rivet.native_type": "int8"}),
        pa.field("name", pa.string(), metadata={"rivet.native_type": "text"}),
    ]
)
ROWS = [(1, "a"), (2, ""), (3, None), (None, 'x,"y"\r\nz'), (5, " é ")]


def batch_of(rows: list[tuple[int | None, str | None]]) -> pa.RecordBatch:
    return pa.record_batch([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)


@pytest.fixture(params=format_names())
def file_format(request: pytest.FixtureRequest):
    return load_format(request.param)


@pytest.fixture
def options(file_format) -> WriterOptions:
    codec = Compression.ZSTD if file_format.CAPABILITIES.has_compression else Compression.NONE
    return WriterOptions(compression=codec)


def read_rows(path: Path) -> list[tuple[int | None, str | None]]:
    if path.suffix == ".csv":
        source = (
            f"read_csv('{path}', header=true, strict_mode=true, quote='\"', escape='\"',"
            " columns={'id': 'BIGINT', 'name': 'VARCHAR'}, allow_quoted_nulls=false)"
        )
    else:
        source = f"'{path}'"
    return duckdb.sql(f"from {source}").fetchall()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_registry_lists_what_it_loads(file_format) -> None:
    assert file_format.CAPABILITIES.name in format_names()
    assert not file_format.CAPABILITIES.extension.startswith(".")


def test_an_unknown_format_is_refused_with_a_hint() -> None:
    with pytest.raises(ConfigError) as caught:
        load_format("parket")
    assert "parquet" in (caught.value.hint or "")
    with pytest.raises(ConfigError, match="not one this Rivet writes"):
        load_format("base")


def test_duckdb_reads_back_every_value(file_format, options, tmp_path) -> None:
    path = tmp_path / f"rows.{file_format.CAPABILITIES.extension}"
    writer = file_format.open(file_sink(path), SCHEMA, options)
    writer.write(batch_of(ROWS[:2]))
    writer.write(batch_of(ROWS[2:]))
    stats = writer.close()
    assert read_rows(path) == ROWS
    assert stats.rows == len(ROWS)
    assert [column.name for column in stats.columns] == ["id", "name"]
    assert [column.null_count for column in stats.columns] == [1, 1]


def test_size_and_hashes_are_those_of_the_file(file_format, options, tmp_path) -> None:
    path = tmp_path / "part"
    writer = file_format.open(file_sink(path), SCHEMA, options)
    for start in range(0, 300_000, 50_000):
        ids = list(range(start, start + 50_000))
        writer.write(batch_of([(number, f"text {number * 7919}") for number in ids]))
    stats = writer.close()
    body = path.read_bytes()
    assert stats.size_bytes == len(body) == writer.bytes_written
    assert stats.content_hash == f"xxh3:{xxhash.xxh3_64_hexdigest(body)}"
    md5 = hashlib.md5(body, usedforsecurity=False).digest()
    assert stats.content_md5 == base64.b64encode(md5).decode()


def test_a_file_without_rows_carries_the_columns(file_format, options, tmp_path) -> None:
    path = tmp_path / f"empty.{file_format.CAPABILITIES.extension}"
    writer = file_format.open(file_sink(path), SCHEMA, options)
    writer.write(batch_of(ROWS)[:0])
    stats = writer.close()
    assert stats.rows == 0
    assert read_rows(path) == []
    assert [column.null_count for column in stats.columns] == [0, 0]


def test_the_same_input_gives_the_same_bytes(file_format, options, tmp_path) -> None:
    hashes = set()
    for name in ("first", "second"):
        writer = file_format.open(file_sink(tmp_path / name), SCHEMA, options)
        writer.write(batch_of(ROWS))
        hashes.add(writer.close().content_hash)
    assert len(hashes) == 1


def test_abort_leaves_nothing(file_format, options, tmp_path) -> None:
    path = tmp_path / "part"
    writer = file_format.open(file_sink(path), SCHEMA, options)
    writer.write(batch_of(ROWS))
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_touched(file_format, options, tmp_path) -> None:
    path = tmp_path / "part"
    path.write_text("mine")
    with pytest.raises(DestinationError):
        file_format.open(file_sink(path), SCHEMA, options)
    assert path.read_text() == "mine"


def test_a_full_disk_is_one_plain_error(file_format, options, tmp_path) -> None:
    path = tmp_path / "part"
    writer = file_format.open(
        file_sink(path), SCHEMA, WriterOptions(options.compression, row_groups=RowGroups(1000))
    )
    with file_size_limit(256 * 1024), pytest.raises(DestinationError) as caught:  # noqa: PT012
        for start in range(0, 1_000_000, 50_000):
            ids = range(start, start + 50_000)
            writer.write(batch_of([(number, f"text {number * 7919}") for number in ids]))
        writer.close()
    assert caught.value.error_code == "RIVET_DESTINATION_FULL"
    assert caught.value.hint
    writer.abort()
    assert not path.exists()


def test_a_missing_folder_is_one_plain_error(file_format, options, tmp_path) -> None:
    with pytest.raises(DestinationError, match="not there"):
        file_format.open(file_sink(tmp_path / "no" / "part"), SCHEMA, options)


def test_another_schema_is_refused(file_format, options, tmp_path) -> None:
    writer = file_format.open(file_sink(tmp_path / "part"), SCHEMA, options)
    with pytest.raises(FormatError):
        writer.write(pa.record_batch({"id": [1]}))
    writer.abort()


def test_a_type_without_a_form_is_named(file_format, options) -> None:
    schema = pa.schema([pa.field("ok", pa.int64()), pa.field("bad", pa.month_day_nano_interval())])
    with pytest.raises(FormatError, match="'bad'") as caught:
        file_format.check(schema, options)
    assert "'ok'" not in caught.value.message
