"""How a relation is cut into chunks: decided from settings and catalog facts, without I/O.

Every number of the catalog may be stale: it only decides how large chunks are, never which rows
they hold. Bounds come from the source itself, and the outermost chunks are open.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from rivet.errors import UnsupportedPlanError
from rivet.model.shape import ChunkRules, Shape, ShapeKind
from rivet.redact import visible

if TYPE_CHECKING:
    from rivet.model.relation import Key, Relation, TableFacts

_IN_ORDER: Final = 0.9
_ROW_BYTES: Final = 512
_AIM_BYTES: Final = 256 * 1024 * 1024
_FEWEST_ROWS: Final = 10_000
_MOST_ROWS: Final = 5_000_000
_BLOCK_BYTES: Final = 8192
_MEBIBYTE: Final = 1024 * 1024
DEFAULT_SIZE: Final = 100_000


def resolve_shape(
    rules: ChunkRules, relation: Relation, facts: TableFacts, never_null: frozenset[str]
) -> Shape:
    """Decide how a relation is cut.

    Where it is one chunk, that rests on an estimate which whoever asks has to prove.

    Args:
        rules: What the user asked for.
        relation: What is read.
        facts: What the catalog says of it.
        never_null: Columns that the catalog says hold no NULL.

    Raises:
        UnsupportedPlanError: There is no safe way to cut it as asked.
    """
    if rules.key is not None:
        return _by_key(rules, rules.key, facts)
    rows = rows_per_chunk(rules, facts)
    if _is_small(rules, facts, rows):
        return Shape(note=f"about {facts.estimated_rows} rows are one chunk")
    if rules.column is not None:
        return _by_column(rules, rules.column, facts, never_null, rows)
    return _by_itself(rules, relation, facts, rows)


def _by_key(rules: ChunkRules, name: str, facts: TableFacts) -> Shape:
    is_key = (name,) in {key.columns for key in facts.keys}
    if not is_key and (rules.goes_on or (name,) not in facts.nullable_keys):
        msg = f"`chunk_by_key`: column '{visible(name)}' is no key to page by"
        fit = ", ".join(f"'{visible(k.columns[0])}'" for k in facts.keys if len(k.columns) == 1)
        hint = "it must have a unique index of its own"
        if rules.goes_on:
            hint = f"{hint} and be NOT NULL, in every table that inherits, too"
        raise UnsupportedPlanError(msg, hint=f"{hint}; this table has: {fit}" if fit else hint)
    rows = rows_per_chunk(rules, facts)
    return Shape(
        ShapeKind.ROWS,
        (name,),
        rows,
        count=rules.count,
        may_hold_null=not is_key,
        is_indexed=True,
        survives_new_snapshot=is_key,
        is_estimated=rules.size is None,
    )


def _by_column(
    rules: ChunkRules, name: str, facts: TableFacts, never_null: frozenset[str], rows: int
) -> Shape:
    is_key = any(key.columns == (name,) for key in facts.keys)
    base = Shape(
        columns=(name,),
        may_hold_null=not is_key and name not in never_null,
        is_indexed=name in facts.indexed,
        survives_new_snapshot=is_key,
        is_estimated=rules.size is None and not rules.is_dense,
    )
    if rules.days is not None:
        return _with(base, ShapeKind.DAYS, rules.days)
    knows_rows = facts.estimated_rows is not None and base.is_indexed
    has_equal_rows = rules.is_dense or rules.memory_mb is not None
    if has_equal_rows or (rules.count is not None and knows_rows):
        return _with(base, ShapeKind.ROWS, rows, rules.count)
    return _with(base, ShapeKind.RANGE, rules.size or DEFAULT_SIZE, rules.count)


def _with(base: Shape, kind: ShapeKind, size: int, count: int | None = None) -> Shape:
    return replace(base, kind=kind, size=size, count=count)


def _by_itself(rules: ChunkRules, relation: Relation, facts: TableFacts, rows: int) -> Shape:
    key = facts.keys[0] if facts.keys else None
    if key is not None and (facts.blocks is None or _is_in_order(key)):
        listed = ", ".join(f"'{visible(name)}'" for name in key.columns)
        # A number of chunks needs a number of rows, or else equal ranges have to do.
        has_ranges = rules.count is not None and not facts.estimated_rows and key.is_integer
        return Shape(
            ShapeKind.RANGE if has_ranges else ShapeKind.ROWS,
            key.columns,
            rows,
            count=rules.count,
            is_indexed=True,
            survives_new_snapshot=True,
            is_estimated=rules.size is None,
            note=f"chunks are cut by the key {listed}",
        )
    if facts.blocks is not None:
        return Shape(
            ShapeKind.BLOCKS,
            size=_blocks_per_chunk(rules, facts, facts.blocks, rows),
            note="chunks are ranges of the table's blocks, which costs one pass over the table",
        )
    msg = f"found no safe way to cut {visible(relation.label)}: it has no key"
    hint = "give `chunk_column`, with `chunk_dense: true` for equal rows, or use `mode: full`"
    raise UnsupportedPlanError(msg, hint=hint)


def _is_in_order(key: Key) -> bool:
    return key.is_clustered or (key.correlation is not None and key.correlation > _IN_ORDER)


def _is_small(rules: ChunkRules, facts: TableFacts, rows: int) -> bool:
    is_asked = rules.count is not None or rules.days is not None or rules.is_checkpointed
    return not is_asked and facts.estimated_rows is not None and 0 < facts.estimated_rows <= rows


def _row_bytes(facts: TableFacts) -> float:
    if not facts.estimated_rows or not facts.estimated_bytes:
        return _ROW_BYTES
    return max(facts.estimated_bytes / facts.estimated_rows, 1.0)


def rows_per_chunk(rules: ChunkRules, facts: TableFacts) -> int:
    """Return about how many rows a chunk is to hold."""
    if rules.count is not None and facts.estimated_rows:
        return -(-facts.estimated_rows // rules.count)
    if rules.memory_mb is None and (rules.size is not None or rules.column is not None):
        return rules.size or DEFAULT_SIZE
    wanted = _AIM_BYTES if rules.memory_mb is None else rules.memory_mb * _MEBIBYTE
    return int(min(max(wanted / _row_bytes(facts), _FEWEST_ROWS), _MOST_ROWS))


def _blocks_per_chunk(rules: ChunkRules, facts: TableFacts, blocks: int, rows: int) -> int:
    if rules.count is not None:
        return max(-(-blocks // rules.count), 1)
    if not facts.estimated_rows:
        return _AIM_BYTES // _BLOCK_BYTES
    return max(round(blocks * rows / facts.estimated_rows), 1)
