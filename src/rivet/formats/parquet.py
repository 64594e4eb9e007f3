"""Parquet files by pyarrow's writer.

Row groups close at the bounds of `RowGroups` whatever the size of the batches that come in, so the
file's layout does not follow the fetch size. This module encodes and nothing else: it does not
publish, rename or sync.

Source: the Parquet format's LogicalTypes.md and Compression.md; Arrow manual, "Canonical extension
types".
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from rivet.errors import FormatError
from rivet.formats.base import FormatCapabilities, HashingStream
from rivet.model.output import Compression
from rivet.model.part import ColumnStats, FileStats
from rivet.model.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable
    from decimal import Decimal

    from rivet.model.output import WriterOptions
    from rivet.model.sink import Sink

__all__ = ["CAPABILITIES", "ParquetWriter", "check", "open"]

CAPABILITIES: Final = FormatCapabilities(name="parquet", extension="parquet", has_compression=True)

# pyarrow spells "lz4" for the LZ4_RAW codec of the Parquet format, never the old framed one.
_CODECS: Final[dict[Compression, tuple[str, int | None, range | None]]] = {
    Compression.ZSTD: ("zstd", 1, range(1, 23)),  # docs/adr/0009
    Compression.GZIP: ("gzip", 6, range(10)),
    Compression.SNAPPY: ("snappy", None, None),
    Compression.LZ4: ("lz4", None, None),
    Compression.NONE: ("none", None, None),
}
# Above this size a dictionary no longer pays: columns of mostly distinct values fall back to plain
# sooner, which measured a sixth less CPU and smaller files on the benchmark table.
_DICTIONARY_BYTES: Final = 256 * 1024
_WRITE_BATCH_ROWS: Final = 8192
_SAMPLE_ROWS: Final = 2048
_MOSTLY_DISTINCT: Final = 0.8
_FEWEST_VALUES: Final = 64
_DATE_BITS: Final = 32
_DAY_S: Final = 86_400
_DIGITS: Final = {"us": 6, "ns": 9}
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_LAST_DAY: Final = date.max.toordinal()
_EPOCH_TYPES: Final = (pa.types.is_date, pa.types.is_time, pa.types.is_timestamp)


def check(schema: pa.Schema, options: WriterOptions) -> None:
    """Refuse what a Parquet file cannot hold.

    Raises:
        FormatError: A codec level is out of range, or columns cannot be written; all are named.
    """
    _codec(options)
    bad = [f"'{field.name}' ({field.type})" for field in schema if not _is_writable(field.type)]
    if bad:
        msg = f"Parquet cannot hold {', '.join(bad)}"
        raise FormatError(
            msg,
            hint="use a decimal with a scale of 0 or more, or text, in `columns:`",
            code="RIVET_FORMAT_UNSUPPORTED_TYPE",
        )
    names = [field.name for field in schema]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        msg = f"two columns share the name {', '.join(repr(name) for name in twice)}"
        raise FormatError(msg, hint="give each column a name of its own in the query")


def _is_writable(data_type: pa.DataType) -> bool:
    if pa.types.is_decimal(data_type):
        return bool(data_type.scale >= 0)
    if pa.types.is_list(data_type):
        return _is_writable(data_type.value_type)
    return not (pa.types.is_null(data_type) or pa.types.is_interval(data_type))


def _codec(options: WriterOptions) -> tuple[str, int | None]:
    name, default, levels = _CODECS[options.compression]
    if options.level is None:
        return name, default
    if levels is None:
        msg = f"compression '{options.compression}' takes no level, {options.level} was given"
        raise FormatError(msg, hint="remove `compression_level`", code="RIVET_FORMAT_LEVEL")
    if options.level not in levels:
        msg = (
            f"compression level {options.level} of '{options.compression}' is out of range: "
            f"{levels.start} to {levels.stop - 1}"
        )
        raise FormatError(msg, hint="change `compression_level`", code="RIVET_FORMAT_LEVEL")
    return name, options.level


def open(sink: Sink, schema: pa.Schema, options: WriterOptions) -> ParquetWriter:  # noqa: A001
    """Return the writer of a file whose bytes go to a sink.

    Raises:
        FormatError: The schema or the options do not fit the format.
        DestinationError: The sink cannot take bytes.
    """
    check(schema, options)
    return ParquetWriter(sink, schema, options)


class ParquetWriter:
    """One Parquet file being written.

    Holds at most one row group of Arrow data (`RowGroups.max_bytes` and one batch more). The GIL
    is free while pyarrow encodes. The footer's `created_by` is pyarrow's own, which offers no way
    to set it; the key `rivet.writer` in the file's metadata names this program instead. Decimals
    of up to 18 digits are stored as integers, as Spark, Trino, DuckDB and the Arrow libraries of
    other languages do by themselves.

    Columns whose values are mostly distinct in the first 2,048 rows get no dictionary, and zstd
    without a level is level 1; docs/adr/0009 has the measurements. Newer encodings
    (DELTA_BINARY_PACKED) would save more, but not every warehouse reads them.
    """

    def __init__(self, sink: Sink, schema: pa.Schema, options: WriterOptions) -> None:
        self._schema = schema
        self._options = options
        self._bounds = options.row_groups
        self._stream = HashingStream(sink)
        self._writer: pq.ParquetWriter | None = None
        self._gathered: list[pa.RecordBatch] = []
        self._gathered_rows = 0
        self._gathered_bytes = 0
        self._rows = 0
        self._footer: list[pq.FileMetaData] = []

    @property
    def bytes_written(self) -> int:
        """Bytes of closed row groups; a file grows only when a row group closes."""
        return self._stream.tell()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch; a row group is encoded once enough is gathered.

        Raises:
            FormatError: The batch's schema is another one, or a value cannot be written.
            DestinationError: The disk is full or the file cannot be written.
        """
        if not batch.schema.equals(self._schema):
            msg = f"a batch for {self._stream.name} does not have the schema of the file"
            raise FormatError(msg, hint="this is a bug of Rivet; please report it")
        room = self._bounds.max_rows - self._gathered_rows
        while batch.num_rows > room:
            self._gather(batch.slice(0, room))
            batch = batch.slice(room)
            room = self._bounds.max_rows - self._gathered_rows
        self._gather(batch)

    def _gather(self, batch: pa.RecordBatch) -> None:
        if batch.num_rows == 0:
            return
        self._gathered.append(batch)
        self._gathered_rows += batch.num_rows
        self._gathered_bytes += batch.nbytes
        if (
            self._gathered_rows >= self._bounds.max_rows
            or self._gathered_bytes >= self._bounds.max_bytes
        ):
            self._close_row_group()

    def _close_row_group(self) -> None:
        if not self._gathered_rows:
            return
        table = pa.Table.from_batches(self._gathered, self._schema)
        rows, self._gathered = self._gathered_rows, []
        self._gathered_rows = self._gathered_bytes = 0
        try:
            self._opened(table).write_table(table, row_group_size=rows)
        except pa.ArrowException as error:
            msg = f"{self._stream.name}: a value cannot be written as Parquet"
            raise FormatError(msg, code="RIVET_FORMAT_VALUE") from error
        self._rows += rows

    def _opened(self, sample: pa.Table) -> pq.ParquetWriter:
        """Return pyarrow's writer; the first row group decides how columns are encoded."""
        if self._writer is None:
            codec, level = _codec(self._options)
            self._writer = pq.ParquetWriter(
                self._stream,
                self._schema,
                compression=codec,
                compression_level=level,
                use_dictionary=_dictionary_columns(sample),
                version="2.6",
                data_page_version="1.0",
                dictionary_pagesize_limit=_DICTIONARY_BYTES,
                write_batch_size=_WRITE_BATCH_ROWS,
                store_schema=True,
                store_decimal_as_integer=True,
                write_time_adjusted_to_utc=False,
                metadata_collector=self._footer,
            )
        return self._writer

    def close(self) -> FileStats:
        """Write the last row group and the footer, and close the file.

        Returns:
            Rows, size, hashes, and per top-level column the null count and, for numbers, dates
            and times, the least and greatest value. Text and binary have none: what cells say
            must not end up in manifests.

        Raises:
            FormatError: A value cannot be written.
            DestinationError: The disk is full or the file cannot be written.
        """
        self._close_row_group()
        writer = self._opened(pa.Table.from_batches([], self._schema))
        writer.add_key_value_metadata({"rivet.writer": f"rivet {__version__}"})
        writer.close()
        self._stream.close()
        return FileStats(
            rows=self._rows,
            size_bytes=self._stream.bytes_flushed,
            content_hash=self._stream.content_hash,
            content_md5=self._stream.content_md5,
            columns=tuple(_column_stats(self._schema, self._footer[0])),
        )

    def abort(self) -> None:
        """Give up and delete the file; safe to call after any error."""
        self._gathered = []
        self._stream.abort()
        if self._writer is not None:
            # no footer for a file that is gone; what the library still writes, the sink drops
            self._writer.is_open = False


def _path(field: pa.Field) -> str:
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else str(field.name)


def _dictionary_columns(sample: pa.Table) -> list[str] | bool:
    rows = sample.slice(0, _SAMPLE_ROWS)
    kept = [
        _path(field)
        for field, column in zip(sample.schema, rows.columns, strict=True)
        if not _is_mostly_distinct(column)
    ]
    return kept or False


def _is_mostly_distinct(column: pa.ChunkedArray) -> bool:
    if pa.types.is_nested(column.type):
        return False
    # A set of a small sample: importing pyarrow's compute module costs more than this.
    values = [value for chunk in column.chunks for value in _plain(chunk) if value is not None]
    return len(set(values)) > max(len(values), _FEWEST_VALUES) * _MOSTLY_DISTINCT


def _plain(chunk: pa.Array) -> list[Any]:
    if isinstance(chunk, pa.ExtensionArray):
        chunk = chunk.storage
    if _is_epoch(chunk.type):  # dates that Python cannot spell are numbers like any other
        chunk = chunk.view(_epoch_storage(chunk.type))
    return list(chunk.to_pylist())


def _column_stats(schema: pa.Schema, footer: pq.FileMetaData) -> Iterable[ColumnStats]:
    places = _leaf_places(footer)
    for field in schema:
        place = places.get(field.name)
        if place is None:  # a list: its leaves count elements, not rows
            yield ColumnStats(field.name)
            continue
        chunks = [
            footer.row_group(group).column(place).statistics
            for group in range(footer.num_row_groups)
        ]
        yield _merge(field, [chunk for chunk in chunks if chunk is not None], len(chunks))


def _leaf_places(footer: pq.FileMetaData) -> dict[str, int]:
    schema = footer.schema
    leaves = ((place, schema.column(place)) for place in range(footer.num_columns))
    return {leaf.path: place for place, leaf in leaves if leaf.max_repetition_level == 0}


def _merge(field: pa.Field, chunks: list[Any], groups: int) -> ColumnStats:
    if not groups:
        return ColumnStats(field.name, null_count=0)
    if len(chunks) < groups:
        return ColumnStats(field.name)
    nulls = sum(chunk.null_count for chunk in chunks)
    ranged = [chunk for chunk in chunks if chunk.has_min_max]
    if not ranged or not _has_order(field.type):
        return ColumnStats(field.name, null_count=nulls)
    attributes = ("min_raw", "max_raw") if _is_epoch(field.type) else ("min", "max")
    low = min(getattr(chunk, attributes[0]) for chunk in ranged)
    high = max(getattr(chunk, attributes[1]) for chunk in ranged)
    return ColumnStats(field.name, nulls, _text(low, field.type), _text(high, field.type))


def _is_epoch(data_type: pa.DataType) -> bool:
    return any(is_kind(data_type) for is_kind in _EPOCH_TYPES)


def _has_order(data_type: pa.DataType) -> bool:
    return (
        pa.types.is_integer(data_type)
        or pa.types.is_floating(data_type)
        or pa.types.is_decimal(data_type)
        or pa.types.is_boolean(data_type)
        or _is_epoch(data_type)
    )


def _epoch_storage(data_type: pa.DataType) -> pa.DataType:
    return pa.int32() if data_type.bit_width == _DATE_BITS else pa.int64()


def _text(value: float | Decimal, data_type: pa.DataType) -> str:
    if _is_epoch(data_type):
        return _epoch_text(int(value), data_type)
    if pa.types.is_boolean(data_type):
        return "true" if value else "false"
    return f"{value:f}" if pa.types.is_decimal(data_type) else str(value)


def _epoch_text(value: int, data_type: pa.DataType) -> str:
    """Spell a date, time or timestamp as `model.arrowtext` does, in Python where it reaches."""
    if pa.types.is_date32(data_type):
        return _day(value) or _far(value, data_type)
    places = _DIGITS[data_type.unit]
    seconds, rest = divmod(value, 10**places)
    days, second = divmod(seconds, _DAY_S)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{rest:0{places}d}"
    if pa.types.is_time(data_type):
        return clock
    day = _day(days)
    return f"{day}T{clock}{'Z' if data_type.tz else ''}" if day else _far(value, data_type)


def _day(days: int) -> str | None:
    ordinal = _EPOCH_DAY + days
    return date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= _LAST_DAY else None


def _far(value: int, data_type: pa.DataType) -> str:
    from rivet.model.arrowtext import text_array

    return str(text_array(pa.array([value], _epoch_storage(data_type)).view(data_type))[0])
