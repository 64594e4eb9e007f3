"""Build one export's plan from what was asked and what the catalog says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import xxhash

from rivet.errors import PlanError, UnsupportedPlanError
from rivet.model.relation import Relation
from rivet.model.types import ALTERNATIVE

if TYPE_CHECKING:
    from rivet.model.columns import Column
    from rivet.model.output import OutputPlan
    from rivet.model.plan import Mode

_SEGMENT: Final = re.compile(r"\A[^\x00.\"]+\Z")


def table_relation(text: str, *, export_name: str) -> Relation:
    """Split `table:` into schema and table.

    Segments may be written in double quotes, in which a dot or a doubled quote may stand.

    Raises:
        PlanError: Empty segments or more than two.
    """
    segments = _split_identifier(text)
    if segments is None or not 1 <= len(segments) <= 2:  # noqa: PLR2004 - schema and table
        msg = f"export '{export_name}': table '{text}' is not a name or schema.name"
        raise PlanError(msg, hint="quote a name that holds a dot: table: 'public.\"a.b\"'")
    schema = segments[0] if len(segments) == 2 else None  # noqa: PLR2004
    return Relation(schema=schema, table=segments[-1])


def _split_identifier(text: str) -> list[str] | None:
    segments: list[str] = []
    rest = text.strip()
    while True:
        quoted = re.match(r'"((?:[^"]|"")+)"', rest)
        if quoted:
            segments.append(quoted[1].replace('""', '"'))
            rest = rest[quoted.end() :]
        else:
            bare, _, _ = rest.partition(".")
            if not _SEGMENT.match(bare):
                return None
            segments.append(bare)
            rest = rest[len(bare) :]
        if not rest:
            return segments
        if not rest.startswith("."):
            return None
        rest = rest[1:]


def query_relation(text: str, *, export_name: str) -> Relation:
    """Return the relation of a query, without its trailing semicolon.

    Raises:
        PlanError: The query is empty.
    """
    query = text.strip()
    while query.endswith(";"):
        query = query[:-1].rstrip()
    if not query:
        msg = f"export '{export_name}': the query is empty"
        raise PlanError(msg, export=export_name)
    return Relation(query=query)


def plan_fingerprint(
    *,
    relation: Relation,
    columns: tuple[Column, ...],
    mode: Mode,
    output: OutputPlan,
    rules: tuple[str, ...] = (),
) -> str:
    """Return 16 hex digits that change when a run would read other rows or write other files."""
    fields = [relation.schema or "", relation.table or "", relation.query or "", str(mode)]
    writer = output.writer
    fields += [output.format, str(writer.compression), str(writer.level), *rules]
    fields += [str(output.add_exported_at), repr(output.row_hash)]
    for column in columns:
        fields += [column.name, column.native_type, column.logical.label, str(column.nullable)]
        if column.origin is not None or column.mask is not None:
            fields += [column.source_name, str(column.mask or "")]
    digest = xxhash.xxh3_64()
    for field in fields:
        encoded = field.encode()
        digest.update(len(encoded).to_bytes(4, "big"))
        digest.update(encoded)
    return digest.hexdigest()


def refuse_impossible(
    *, export_name: str, destination_is_listable: bool, output: OutputPlan
) -> None:
    """Apply the plan rules that reject a combination.

    Raises:
        UnsupportedPlanError: The rule's name is in the message.
    """
    if not destination_is_listable and output.max_file_bytes is not None:
        msg = f"export '{export_name}': stdout-no-split: stdout is one stream, it cannot be split"
        raise UnsupportedPlanError(msg, hint="remove `max_file_size`", export=export_name)


def refuse_many_in_a_stream(export_name: str, chunk_count: int, *, is_listable: bool) -> None:
    """Refuse an export of many chunks into one stream, before any of them is read.

    Raises:
        UnsupportedPlanError: Each chunk is a file of its own.
    """
    if not is_listable and chunk_count > 1:
        msg = (
            f"export '{export_name}': stdout-no-split: {chunk_count:,} chunks are as many files, "
            "stdout is one stream"
        )
        hint = "write to a `local` destination, or set `mode: full`"
        raise UnsupportedPlanError(msg, hint=hint, export=export_name)


def schema_difference(
    before: tuple[tuple[str, str], ...], after: tuple[tuple[str, str], ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Compare two lists of (column, type); order does not count.

    Args:
        before: A type may be several with `ALTERNATIVE` between them, where it came from another
            program's state that does not tell them apart.
        after: The columns as they are now.

    Returns:
        Names added, names removed, names whose type changed.
    """
    old, new = dict(before), dict(after)
    added = tuple(name for name in new if name not in old)
    removed = tuple(name for name in old if name not in new)
    changed = tuple(
        name for name in new if name in old and new[name] not in old[name].split(ALTERNATIVE)
    )
    return added, removed, changed
