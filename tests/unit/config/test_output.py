"""Keys about files and types as the records other layers take; sizes."""

import pytest

from rivet.config.load import config_from_dict
from rivet.config.resolve import column_rules, output_plan
from rivet.config.sizes import parse_size
from rivet.model.output import Compression, OutputPlan, RowGroups, WriterOptions
from rivet.model.types import INT64, InvalidPolicy, decimal

MB = 2**20


def export(**keys):
    base = {"name": "a", "table": "t", "format": "parquet", "destination": {"type": "stdout"}}
    source = {"type": "sqlite", "path": "a.db"}
    return config_from_dict({"source": source, "exports": [base | keys]}).exports[0]


@pytest.mark.parametrize(
    ("keys", "codec", "level"),
    [
        ({}, Compression.ZSTD, None),
        ({"compression": "gzip"}, Compression.GZIP, None),
        ({"compression": "gzip", "compression_level": 0}, Compression.GZIP, 0),
        ({"compression_level": 22}, Compression.ZSTD, 22),
        ({"compression": "snappy"}, Compression.SNAPPY, None),
        ({"compression": "none"}, Compression.NONE, None),
        ({"compression_profile": "none"}, Compression.NONE, None),
        ({"compression_profile": "fast"}, Compression.SNAPPY, None),
        ({"compression_profile": "balanced"}, Compression.ZSTD, 3),
        ({"compression": "lz4", "compression_profile": "compact"}, Compression.ZSTD, 9),
        ({"format": "csv"}, Compression.NONE, None),
        ({"format": "csv", "compression": "none"}, Compression.NONE, None),
    ],
)
def test_compression(keys, codec, level):
    writer = output_plan(export(**keys)).writer
    assert (writer.compression, writer.level) == (codec, level)


@pytest.mark.parametrize(
    ("parquet", "groups"),
    [
        (None, RowGroups()),
        ({}, RowGroups()),
        ({"row_group_strategy": "auto"}, RowGroups()),
        ({"target_row_group_mb": 128}, RowGroups(10_000_000, 128 * MB)),
        ({"row_group_strategy": "fixed_memory"}, RowGroups()),
        ({"target_row_group_mb": 128, "max_row_group_mb": 32}, RowGroups(10_000_000, 32 * MB)),
        ({"max_row_group_mb": 32}, RowGroups(max_bytes=32 * MB)),
        ({"row_group_strategy": "fixed_rows", "row_group_rows": 500}, RowGroups(500, 2**62)),
        (
            {"row_group_strategy": "fixed_rows", "row_group_rows": 10**9, "max_row_group_mb": 8},
            RowGroups(10_000_000, 8 * MB),
        ),
    ],
)
def test_row_groups(parquet, groups):
    assert output_plan(export(parquet=parquet)).writer.row_groups == groups


def test_a_row_group_fits_into_a_file():
    assert output_plan(export(max_file_size="1MB")).writer.row_groups.max_bytes == MB
    assert output_plan(export(max_file_size="1GB")).writer.row_groups == RowGroups()


def test_the_rest_of_the_plan():
    keys = {"max_file_size": "2MB", "skip_empty": True}
    full = export(**keys, meta_columns={"exported_at": True, "row_hash": True})
    assert output_plan(full) == OutputPlan(
        "parquet",
        WriterOptions(row_groups=RowGroups(max_bytes=2 * MB)),
        2 * MB,
        skip_empty=True,
        add_exported_at=True,
        row_hash=(),
    )
    assert output_plan(export(meta_columns={"row_hash": ["b", "a"]})).row_hash == ("b", "a")
    assert output_plan(export(meta_columns={"row_hash": False})).row_hash is None


def test_column_rules():
    rules = column_rules(
        export(
            columns={"id": "BigInt", "price": {"type": "numeric(10, 2)", "invalid": "null"}},
            types={"unbounded_numeric": "decimal(38,9)", "non_finite": "text"},
            strict_types=True,
        )
    )
    assert rules.overrides == {"id": INT64, "price": decimal(10, 2)}
    assert rules.invalid_overrides == {"price": InvalidPolicy.NULL}
    assert rules.unbounded_numeric == decimal(38, 9)
    assert (rules.non_finite, rules.out_of_range) == (InvalidPolicy.TEXT, None)
    assert rules.is_strict
    assert column_rules(export()).unbounded_numeric is None


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("1B", 1),
        ("1k", 1024),
        ("1KB", 1024),
        ("1KiB", 1024),
        ("512MB", 512 * MB),
        ("512mib", 512 * MB),
        (" 1.5 GB ", 1536 * MB),
        ("1g", 1024 * MB),
        ("0.5kb", 512),
    ],
)
def test_sizes(text, size):
    assert parse_size(text) == size
    assert export(max_file_size=text).max_file_size == size


@pytest.mark.parametrize(
    "text",
    ["", "0", "0.4", "-1", "1TB", "MB", "1 M B", "1,5GB", "1e3", "inf", "٣", "0x10", "9" * 30],
)
def test_texts_that_are_no_size(text):
    with pytest.raises(ValueError, match=r"must be|larger"):
        parse_size(text)
