r"""CSV files: a header, commas, LF, UTF-8 without a mark, as little quoting as can be.

NULL is nothing between two commas; an empty text is `""`. Text is quoted when it is empty, holds
`,` `"` CR or LF, or is `\.` alone (which ends the data for PostgreSQL's COPY). The text of every
type is `model.arrowtext`'s. Text that a spreadsheet takes for a formula (`=1+1`) is left as it is:
changing it would change data.

In a file of one column a NULL is an empty line, which some readers skip.

Source: RFC 4180.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc

from rivet.errors import FormatError
from rivet.formats.base import FormatCapabilities, HashingStream
from rivet.model.arrowtext import is_renderable, text_array
from rivet.model.output import Compression
from rivet.model.part import ColumnStats, FileStats

if TYPE_CHECKING:
    from rivet.model.output import WriterOptions
    from rivet.model.sink import Sink

__all__ = ["CAPABILITIES", "CsvWriter", "check", "open"]

CAPABILITIES: Final = FormatCapabilities(name="csv", extension="csv", has_compression=False)

# One batch becomes one string array, whose offsets are 32 bits; hex and quoting can double a value.
MOST_BYTES: Final = 256 * 1024 * 1024
_NEEDS_QUOTES: Final = r'[",\n\r]|^\\\.$|^$'


def check(schema: pa.Schema, options: WriterOptions) -> None:
    """Refuse what a CSV file cannot hold.

    Raises:
        FormatError: A codec is asked for, or columns have no text form; all are named.
    """
    if options.compression is not Compression.NONE:
        msg = f"CSV files are not compressed, compression '{options.compression}' was given"
        raise FormatError(msg, hint="set `compression: none`", code="RIVET_FORMAT_COMPRESSION")
    bad = [f"'{field.name}' ({field.type})" for field in schema if not is_renderable(field.type)]
    if bad:
        msg = f"CSV cannot hold {', '.join(bad)}"
        raise FormatError(
            msg,
            hint="use `format: parquet`, or `text` for them in `columns:`",
            code="RIVET_FORMAT_UNSUPPORTED_TYPE",
        )


def open(sink: Sink, schema: pa.Schema, options: WriterOptions) -> CsvWriter:  # noqa: A001
    """Write the header to the sink and return the writer.

    Raises:
        FormatError: The schema or the options do not fit the format.
        DestinationError: The sink cannot take bytes.
    """
    check(schema, options)
    return CsvWriter(sink, schema)


class CsvWriter:
    """One CSV file being written; holds the text of one batch at a time.

    Args:
        sink: Takes the bytes.
        schema: Of every batch.
        most_bytes: A batch that is larger is written in halves.
    """

    def __init__(self, sink: Sink, schema: pa.Schema, *, most_bytes: int = MOST_BYTES) -> None:
        self._schema = schema
        self._most_bytes = most_bytes
        self._stream = HashingStream(sink)
        self._rows = 0
        self._nulls = [0] * len(schema)
        header = quoted(pa.array(schema.names, pa.string())).to_pylist()
        self._stream.write(f"{','.join(header)}\n".encode())

    @property
    def bytes_written(self) -> int:
        """Bytes written so far."""
        return self._stream.tell()

    def write(self, batch: pa.RecordBatch) -> None:
        """Append a batch.

        Raises:
            FormatError: The batch's schema is another one, or a value has no text form.
            DestinationError: The disk is full or the file cannot be written.
        """
        if not batch.schema.equals(self._schema):
            msg = f"a batch for {self._stream.name} does not have the schema of the file"
            raise FormatError(msg, hint="this is a bug of Rivet; please report it")
        if batch.num_rows > 1 and batch.nbytes > self._most_bytes:
            middle = batch.num_rows // 2
            self.write(batch.slice(0, middle))
            self.write(batch.slice(middle))
            return
        if batch.num_rows == 0:
            return
        try:
            lines = _lines(batch)
        except pa.ArrowException as error:
            msg = f"{self._stream.name}: a value cannot be written as CSV"
            raise FormatError(msg, code="RIVET_FORMAT_VALUE") from error
        self._stream.write(lines)
        self._rows += batch.num_rows
        for place, column in enumerate(batch.columns):
            self._nulls[place] += column.null_count

    def close(self) -> FileStats:
        """Close the file.

        Returns:
            Rows, size, hashes and null counts; least and greatest values are not tracked.

        Raises:
            DestinationError: The disk is full or the file cannot be written.
        """
        self._stream.close()
        return FileStats(
            rows=self._rows,
            size_bytes=self._stream.bytes_flushed,
            content_hash=self._stream.content_hash,
            content_md5=self._stream.content_md5,
            columns=tuple(
                ColumnStats(name, null_count=nulls)
                for name, nulls in zip(self._schema.names, self._nulls, strict=True)
            ),
        )

    def abort(self) -> None:
        """Give up and delete the file; safe to call after any error."""
        self._stream.abort()


def quoted(text: pa.Array) -> pa.Array:
    """Return the values with quotes around those that need them; missing ones stay missing."""
    needs = pc.match_substring_regex(text, _NEEDS_QUOTES)
    if not pc.any(needs).as_py():
        return text
    doubled = pc.replace_substring(text, '"', '""')
    return pc.if_else(needs, pc.binary_join_element_wise('"', doubled, '"', ""), text)


def _lines(batch: pa.RecordBatch) -> memoryview:
    cells = [_cells(column) for column in batch.columns]
    wide = any(pa.types.is_large_string(column.type) for column in cells)
    text_type = pa.large_string() if wide else pa.string()
    cells = [column.cast(text_type) for column in cells]
    end = pa.scalar("\n", text_type)
    cells[-1] = pc.binary_join_element_wise(
        cells[-1], end, pa.scalar("", text_type), null_handling="replace", null_replacement=""
    )
    rows = pc.binary_join_element_wise(
        *cells, pa.scalar(",", text_type), null_handling="replace", null_replacement=""
    )
    return _data_of(rows)


def _cells(column: pa.Array) -> pa.Array:
    text = text_array(column)
    return quoted(text) if _may_need_quotes(column.type) else text


def _may_need_quotes(data_type: pa.DataType) -> bool:
    if isinstance(data_type, pa.JsonType):
        return True
    return any(
        is_kind(data_type)
        for is_kind in (
            pa.types.is_string,
            pa.types.is_large_string,
            pa.types.is_list,
            pa.types.is_large_list,
            pa.types.is_binary,  # an empty value is an empty text
        )
    )


def _data_of(rows: pa.Array) -> memoryview:
    _, offsets, data = rows.buffers()
    number = pa.int64() if pa.types.is_large_string(rows.type) else pa.int32()
    starts = pa.Array.from_buffers(number, len(rows) + 1, [None, offsets], offset=rows.offset)
    return memoryview(data)[starts[0].as_py() : starts[len(rows)].as_py()]
