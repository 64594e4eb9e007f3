"""Rows of parts: what makes a stored part data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from rivet.errors import InternalError
from rivet.model.part import ColumnStats, FileStats, RecordedPart
from rivet.model.source import Position
from rivet.state.chunks import assert_claim_current
from rivet.state.database import read_time
from rivet.state.decoding import (
    UnreadableRowError,
    all_there,
    decoding,
    json_list,
    number,
    optional_text,
    text,
    written,
)
from rivet.state.pages import FIRST_ROWS, in_groups
from rivet.state.runs import assert_running

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rivet.model.chunk import Claim
    from rivet.model.part import StoredPart
    from rivet.state.database import Row, Statements

_MOST_PARTS: Final = 5_000
"""How many parts of several runs are read by one statement."""


def record(
    db: Statements,
    claim: Claim,
    stored: Sequence[StoredPart],
    now: datetime,
    *,
    chunk_done: bool,
    observed: str | None = None,
) -> tuple[RecordedPart, ...]:
    """Insert the parts of a claim and, with the last of them, complete its chunk.

    Raises:
        RefusedError: The run or the claim was superseded; nothing was recorded.
        InternalError: The run is over.
    """
    known = assert_running(db, claim.run_id, new_parts=len(stored))
    assert_claim_current(db, claim, now, status="completed" if chunk_done else "running")
    recorded = tuple(
        RecordedPart(
            part_id=part_id,
            run_id=claim.run_id,
            export_name=claim.export_name,
            chunk_index=claim.chunk.index,
            claim_number=claim.number,
            name=part.name,
            uri=part.uri,
            ordinal=part.ordinal,
            stats=part.stats,
            recorded_at=now,
            instant=part.instant,
        )
        for part_id, part in enumerate(stored, start=known + 1)
    )
    for part in recorded:
        insert(db, part)
    if observed is not None:
        db.change(
            "INSERT INTO pyrivet.observations (run_id, chunk_index, body_json)"
            " VALUES (:run_id, :chunk_index, :body) ON CONFLICT (run_id, chunk_index)"
            " DO UPDATE SET body_json = excluded.body_json",
            run_id=claim.run_id,
            chunk_index=claim.chunk.index,
            body=observed,
        )
    return recorded


def observations(db: Statements, run_id: str) -> dict[int, str]:
    """Return what was observed of the complete chunks of a run, by index."""
    rows = db.many(
        "SELECT o.chunk_index, o.body_json FROM pyrivet.observations o JOIN pyrivet.chunks c"
        " ON c.run_id = o.run_id AND c.chunk_index = o.chunk_index"
        " WHERE o.run_id = :run_id AND c.status = 'completed'",
        run_id=run_id,
    )
    with decoding("observations"):
        return {number(row, "chunk_index"): text(row, "body_json") for row in rows}


def insert(db: Statements, part: RecordedPart) -> None:
    """Write the row of a part."""
    inserted = db.change(
        "INSERT INTO pyrivet.parts (run_id, part_id, export_name, chunk_index, claim_number,"
        " ordinal, name, uri, row_count, size_bytes, content_hash, content_md5, columns_json,"
        " recorded_at, instant_json, relation)"
        " VALUES (:run_id, :part_id, :export_name, :chunk_index, :claim_number, :ordinal, :name,"
        " :uri, :row_count, :size_bytes, :content_hash, :content_md5, :columns_json,"
        " :recorded_at, :instant_json, :relation)",
        run_id=part.run_id,
        part_id=part.part_id,
        export_name=part.export_name,
        chunk_index=part.chunk_index,
        claim_number=part.claim_number,
        ordinal=part.ordinal,
        name=part.name,
        uri=part.uri,
        row_count=part.stats.rows,
        size_bytes=part.stats.size_bytes,
        content_hash=part.stats.content_hash,
        content_md5=part.stats.content_md5,
        columns_json=_columns_text(part.stats.columns),
        recorded_at=part.recorded_at,
        instant_json=_instant_text(part.instant),
        relation=part.relation,
    )
    written(inserted, "parts")


def forget(db: Statements, run_id: str) -> None:
    """Remove the parts of a run that is over from the record: its files are gone.

    Raises:
        InternalError: The run is running.
    """
    running = db.one(
        "SELECT 1 AS found FROM pyrivet.runs WHERE run_id = :run_id AND status = 'running'",
        run_id=run_id,
    )
    if running is not None:
        msg = f"run '{run_id}' is running; its parts cannot be forgotten"
        raise InternalError(msg)
    db.change("DELETE FROM pyrivet.parts WHERE run_id = :run_id", run_id=run_id)


def of_run(db: Statements, run_id: str, *, is_void: bool = False) -> tuple[RecordedPart, ...]:
    """Return the parts of a run in the order of its data; or those a later claim made void."""
    pages = db.pages(
        "SELECT * FROM pyrivet.parts WHERE run_id = :run_id AND is_void = :is_void"
        " ORDER BY chunk_index, claim_number, ordinal",
        run_id=run_id,
        is_void=int(is_void),
    )
    return tuple(part for page in pages for part in decoded(page))


def decoded(rows: Sequence[Row]) -> tuple[RecordedPart, ...]:
    """Return parts from whole rows.

    Raises:
        UnreadableRowError: A row is not what was written.
    """
    with decoding("parts"):
        return tuple(_part(row) for row in rows)


class PartsGoneError(UnreadableRowError):
    """A run recorded parts, and none of them is there any more.

    Attributes:
        run_id: The run.
    """

    def __init__(self, run_id: str) -> None:
        super().__init__("parts", "is missing")
        self.run_id = run_id


def whole_of_run(db: Statements, run_id: str) -> tuple[RecordedPart, ...]:
    """Return the parts of a run as `of_run`, once none of its rows is missing."""
    return whole_of_runs(db, (run_id,))[run_id]


def whole_of_runs(db: Statements, run_ids: Sequence[str]) -> dict[str, tuple[RecordedPart, ...]]:
    """Return the parts of runs as `of_run`, once none of their rows is missing.

    A part that a newer claim made void, or that its chunk is made of, must say so itself: what is
    left out here would be rows that are missing, what is too much rows that are there twice.

    Raises:
        PartsGoneError: All that a run recorded are.
    """
    sizes: dict[str, int] = {}
    for some, values in in_groups(run_ids):
        sql = f"SELECT run_id, recorded_parts FROM pyrivet.runs WHERE run_id IN ({some})"  # noqa: S608 - names of values
        for row in db.many(sql, **values):
            with decoding("runs"):
                sizes[text(row, "run_id")] = number(row, "recorded_parts")
    found: dict[str, tuple[RecordedPart, ...]] = {}
    for group in _together(run_ids, sizes):
        for some, values in in_groups(group):
            _check_whole(db, group, sizes, some, values)
            found.update(_of_runs(db, group, some, values))
    return found


def _together(run_ids: Sequence[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """Yield runs that have few enough parts to be read by one statement; many parts are one run."""
    group: list[str] = []
    parts = 0
    for run_id in run_ids:
        parts += sizes.get(run_id, 0)
        if group and (parts > _MOST_PARTS or len(group) == FIRST_ROWS):
            yield group
            group, parts = [], sizes.get(run_id, 0)
        group.append(run_id)
    if group:
        yield group


def _check_whole(
    db: Statements, group: list[str], sizes: dict[str, int], some: str, values: dict[str, str]
) -> None:
    rows = db.many(
        "SELECT p.run_id, p.part_id, p.is_void, p.claim_number, c.claim_number AS newest, c.status"  # noqa: S608 - names of values
        " FROM pyrivet.parts AS p LEFT JOIN pyrivet.chunks AS c"
        " ON c.run_id = p.run_id AND c.chunk_index = p.chunk_index"
        f" WHERE p.run_id IN ({some}) ORDER BY p.run_id, p.part_id",
        **values,
    )
    known: dict[str, list[int]] = {run_id: [] for run_id in group}
    with decoding("parts"):
        for row in rows:
            known[text(row, "run_id")].append(number(row, "part_id"))
            if not _is_of_its_chunk(row):
                raise ValueError
    for run_id, numbers in known.items():
        expected = sizes.get(run_id, 0)
        if expected and not numbers:
            raise PartsGoneError(run_id)
        all_there(numbers, range(1, expected + 1), "parts")


def _of_runs(
    db: Statements, group: list[str], some: str, values: dict[str, str]
) -> dict[str, tuple[RecordedPart, ...]]:
    pages = db.pages(
        f"SELECT * FROM pyrivet.parts WHERE run_id IN ({some}) AND is_void = 0"  # noqa: S608
        " ORDER BY run_id, chunk_index, claim_number, ordinal",
        **values,
    )
    found: dict[str, list[RecordedPart]] = {run_id: [] for run_id in group}
    for page in pages:
        for part in decoded(page):
            found[part.run_id].append(part)
    return {run_id: tuple(parts) for run_id, parts in found.items()}


def _is_of_its_chunk(row: Row) -> bool:
    """Whether the part is void or not as its chunk tells; restored runs have no chunks."""
    if row["newest"] is None:
        return True
    is_newest = row["claim_number"] == row["newest"]
    return is_newest if not row["is_void"] else not (is_newest and row["status"] == "completed")


def _part(row: Row) -> RecordedPart:
    return RecordedPart(
        part_id=number(row, "part_id"),
        run_id=text(row, "run_id"),
        export_name=text(row, "export_name"),
        chunk_index=number(row, "chunk_index"),
        claim_number=number(row, "claim_number"),
        name=text(row, "name"),
        uri=text(row, "uri"),
        ordinal=number(row, "ordinal"),
        stats=FileStats(
            rows=number(row, "row_count"),
            size_bytes=number(row, "size_bytes"),
            content_hash=text(row, "content_hash"),
            content_md5=text(row, "content_md5"),
            columns=_columns(text(row, "columns_json")),
        ),
        recorded_at=read_time(row["recorded_at"]),
        instant=_instant(optional_text(row, "instant_json")),
        relation=optional_text(row, "relation"),
    )


def _instant_text(instant: Position | None) -> str | None:
    if instant is None:
        return None
    return json.dumps([instant.engine, instant.kind, instant.text, instant.is_approximate])


def _instant(told: str | None) -> Position | None:
    if told is None:
        return None
    engine, kind, place, is_approximate = json_list(told)
    if not all(isinstance(one, str) for one in (engine, kind, place)):
        raise ValueError
    return Position(engine, kind, place, bool(is_approximate))


def _columns_text(columns: tuple[ColumnStats, ...]) -> str:
    return json.dumps(
        [[stats.name, stats.null_count, stats.minimum, stats.maximum] for stats in columns],
        separators=(",", ":"),
    )


def _columns(told: str) -> tuple[ColumnStats, ...]:
    return tuple(ColumnStats(*entry) for entry in json_list(told))
