"""CSV: the bytes, quoting, and what two other readers make of them."""

from __future__ import annotations

import csv as standard_csv

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rivet.errors import FormatError
from rivet.formats import csv
from rivet.model.output import Compression, WriterOptions
from support.sinks import file_sink

PLAIN = WriterOptions(compression=Compression.NONE)


def write(path, *batches: pa.RecordBatch, most_bytes: int | None = None) -> bytes:
    path.unlink(missing_ok=True)
    sink, schema = file_sink(path), batches[0].schema
    if most_bytes is None:
        writer = csv.open(sink, schema, PLAIN)
    else:
        writer = csv.CsvWriter(sink, schema, most_bytes=most_bytes)
    for batch in batches:
        writer.write(batch)
    writer.close()
    return path.read_bytes()


def test_the_bytes(tmp_path) -> None:
    batch = pa.record_batch(
        {
            "id": pa.array([1, None, 3], pa.int64()),
            'a,"b"': ["plain", "", None],
            "ok": [True, None, False],
            "raw": pa.array([b"\x00\xff", b"", None]),
        }
    )
    assert write(tmp_path / "x", batch) == (
        b'id,"a,""b""",ok,raw\n1,plain,true,00ff\n,"",,""\n3,,false,\n'
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("a\nb", '"a\nb"'),
        ("a\rb", '"a\rb"'),
        ("", '""'),
        ("\\.", '"\\."'),
        ("a\\.", "a\\."),
        (" x ", " x "),
        ("=1+1", "=1+1"),
        ("é€😀", "é€😀"),
        ("NULL", "NULL"),
    ],
)
def test_quoting_is_as_little_as_can_be(tmp_path, text, cell) -> None:
    batch = pa.record_batch({"t": [text], "n": [1]})
    assert write(tmp_path / "x", batch) == f"t,n\n{cell},1\n".encode()


def test_values_of_every_batch_size_are_the_same(tmp_path) -> None:
    batch = pa.record_batch({"a": [str(n) if n % 3 else None for n in range(50)], "b": range(50)})
    whole = write(tmp_path / "x", batch)
    assert write(tmp_path / "x", *(batch.slice(n, 1) for n in range(50))) == whole
    assert write(tmp_path / "x", batch.slice(0, 20), batch.slice(20, 0), batch.slice(20)) == whole


def test_large_batches_are_split(tmp_path) -> None:
    batch = pa.record_batch({"a": ["x" * 100] * 64})
    whole = write(tmp_path / "x", batch)
    assert write(tmp_path / "x", batch, most_bytes=500) == whole


TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_two_readers_get_the_text_back(tmp_path, rows) -> None:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    path = tmp_path / "x.csv"
    write(path, pa.record_batch(columns, names=["a", "b"]))
    with path.open(newline="", encoding="utf-8") as lines:
        records = list(standard_csv.reader(lines))
    assert records == [["a", "b"], *([cell or "" for cell in row] for row in rows)]
    found = duckdb.sql(
        f"from read_csv('{path}', header=true, all_varchar=true, delim=',', quote='\"',"
        " escape='\"', allow_quoted_nulls=false, auto_detect=false,"
        " columns={'a': 'VARCHAR', 'b': 'VARCHAR'}, new_line='\\n')"
    ).fetchall()
    assert found == rows


def test_compression_and_nested_lists_are_refused() -> None:
    schema = pa.schema([pa.field("deep", pa.list_(pa.list_(pa.int8())))])
    with pytest.raises(FormatError, match="'deep'"):
        csv.check(schema, PLAIN)
    with pytest.raises(FormatError, match="not compressed"):
        csv.check(pa.schema([]), WriterOptions())
