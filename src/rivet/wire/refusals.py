"""The kernel's refusals as errors: which column, which row, never which value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import (
    FormatError,
    InternalError,
    RivetError,
    SourceError,
    SourceInterruptedError,
    StalePlanError,
)
from rivet.wire import plain
from rivet.wire.fields import Decoder

if TYPE_CHECKING:
    from rivet.wire.fields import FieldSpec

__all__ = ["not_finished", "refusal"]

_AS_TEXT: Final = "read the column as text: add it to `columns:` with the type `text`"
_NO_CHARACTER: Final = (
    "RIVET_FORMAT_UNMAPPED",
    "holds a character of its character set that Unicode does not have",
)
_MOMENTS: Final = {
    Decoder.TEXT_DATE: "holds what is no date, such as a zero date or one with a zero month or day",
    Decoder.TEXT_TIME: "holds a span of time that is no time of a day: below 00:00:00, or 24:00:00 "
    "and above",
    Decoder.TEXT_TIMESTAMP: "holds what is no moment or does not fit {type}, such as a zero date",
}
_TEXTS: Final[dict[int, tuple[str, str, str]]] = {
    plain.NOT_FINITE: (
        "RIVET_FORMAT_NOT_FINITE",
        "holds NaN or an infinity, which a decimal cannot hold",
        "set the column's policy for such values to `null`, or " + _AS_TEXT,
    ),
    plain.OUT_OF_RANGE: (
        "RIVET_FORMAT_OUT_OF_RANGE",
        "holds a date, time or interval that its type in the file cannot hold, such as infinity, "
        "24:00:00 or a year out of range",
        "set the column's policy for such values to `null`, or " + _AS_TEXT,
    ),
    plain.DOES_NOT_FIT: (
        "RIVET_FORMAT_DECIMAL",
        "holds a number that does not fit {type} without losing digits",
        "give the column a wider `decimal(p,s)` in `columns:`, or " + _AS_TEXT,
    ),
    plain.NO_FLAG: (
        "RIVET_FORMAT_NOT_BOOL",
        "holds another number than 0 and 1, which a bool cannot hold",
        "read it as a number: set `types: {tinyint1: int}`, or the column to `int2` in `columns:`",
    ),
    plain.BAD_SHAPE: (
        "RIVET_FORMAT_ARRAY",
        "holds an array with more than one dimension or with a lower bound other than 1",
        _AS_TEXT,
    ),
    plain.BAD_TEXT: (
        "RIVET_FORMAT_ENCODING",
        "holds text that is not valid UTF-8",
        "read the column as bytes: add it to `columns:` with the type `binary`",
    ),
    plain.BAD_JSON: (
        "RIVET_FORMAT_JSON",
        "holds a text that is no JSON by RFC 8259, such as half of a surrogate pair",
        "keep such columns as text with `types: {json: text}`, or this one with the type `text` in "
        "`columns:`",
    ),
    plain.TOO_LARGE: (
        "RIVET_VALUE_TOO_LARGE",
        "holds a value larger than the limit of {limit} bytes",
        "raise the limit for one value, or leave the column out",
    ),
    plain.BATCH_TOO_LARGE: (
        "RIVET_FORMAT_BATCH_TOO_LARGE",
        "does not fit into the open batch, which can hold 2 GiB of a column",
        "lower the batch size",
    ),
}


def refusal(
    status: int, field: FieldSpec | None, row: int, max_value_bytes: int, stream: str
) -> RivetError:
    """Return the error of a status of the kernel.

    Args:
        status: A refusal of `plain`.
        field: The field it is about, or None for the row as a whole.
        row: One-based, counted from the start of the stream.
        max_value_bytes: The limit that was in force.
        stream: What the bytes are, such as `COPY BINARY stream`.
    """
    where = f"column '{field.name}', row {row}" if field else f"row {row}"
    context = {"column": field.name if field else None, "row": str(row)}
    if status in _TEXTS:
        code, what, hint = _TEXTS[status]
        if status == plain.BAD_TEXT and field and field.is_converted:
            code, what = _NO_CHARACTER
        if status == plain.OUT_OF_RANGE and field and field.decoder in _MOMENTS:
            what = _MOMENTS[field.decoder]
        shown = (field.element or field).type_label if field else "the column's type"
        message = f"{where}: {what.format(type=shown, limit=max_value_bytes)}"
        hint = hint if field else _AS_TEXT
        return FormatError(message, hint=hint, code=code, **context)
    if status == plain.FIELD_COUNT:
        message = f"{where}: the rows have another number of columns than the plan"
        return StalePlanError(message, hint="run the export again", **context)
    if status == plain.BAD_WIDTH:
        message = f"{where}: the value has another length than its type"
    elif status == plain.MALFORMED:
        message = f"{where}: the bytes received are not a valid {stream}"
    else:
        return InternalError(f"{where}: the kernel ended with the unknown status {status}")
    return SourceError(
        message,
        hint="run the export again; report it if it comes back",
        code="RIVET_SOURCE_PROTOCOL",
        **context,
    )


def not_finished(rows: int, stream: str) -> SourceInterruptedError:
    """Return the error of a stream that stopped before its end, after `rows` whole rows."""
    return SourceInterruptedError(
        f"the {stream} ended after {rows} rows without its trailer",
        hint="run the export again",
    )
