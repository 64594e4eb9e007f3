"""Rows of streams and their commit units, inside a transaction the caller holds.

A unit counts for the whole stream, over all its runs: unit N follows unit N - 1, whoever committed
that. Both tables are sealed row by row, since a wrong place that is acknowledged loses what lies
before it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from rivet.errors import InternalError, RefusedError
from rivet.model.commit_unit import RecordedPosition, RecordedUnit, StreamClaim
from rivet.model.part import RecordedPart
from rivet.model.seal import seal_of
from rivet.model.source import Position
from rivet.state import files, watermarks
from rivet.state.database import read_time
from rivet.state.decoding import UnreadableRowError, all_there, decoding, number, text, written
from rivet.state.runs import assert_running

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.commit_unit import CommitUnit
    from rivet.model.owner import Owner
    from rivet.state.database import Row, Statements

_COLUMNS: Final = (
    *("export_name", "unit_number", "run_id", "claim_number", "part_count"),
    *("engine", "kind", "position_text", "is_approximate"),
)
_UNIT: Final = ", ".join(_COLUMNS)


@dataclass(frozen=True, slots=True)
class _Stream:
    """A row of `streams`, in the order of its seal."""

    export_name: str
    run_id: str
    claim_number: int
    last_unit: int
    acknowledged_unit: int


def claim(db: Statements, run_id: str, export_name: str) -> StreamClaim:
    """Take a stream: its claim number rises, so that every earlier claim is superseded.

    Raises:
        RefusedError: The run was superseded.
        InternalError: It is a run of chunks, or of another export.
    """
    assert_running(db, run_id)
    row = db.one(
        "SELECT export_name, recorded_chunks FROM pyrivet.runs WHERE run_id = :run_id",
        run_id=run_id,
    )
    if row is None or row["recorded_chunks"] or row["export_name"] != export_name:
        msg = f"run '{run_id}' reads chunks, or another export; a stream has runs of its own"
        raise InternalError(msg)
    known = _stream(db, export_name) or _Stream(export_name, run_id, 0, 0, 0)
    taken = replace(known, run_id=run_id, claim_number=known.claim_number + 1)
    _write(db, taken)
    position = watermarks.find(db, export_name)
    return StreamClaim(run_id, export_name, taken.claim_number, taken.last_unit + 1, position)


def commit(
    db: Statements,
    claim: StreamClaim,
    unit: CommitUnit,
    now: datetime,
    *,
    owner: Owner | None = None,
) -> RecordedUnit:
    """Put a unit on record: the parts of all its relations, and its end as the watermark.

    Raises:
        RefusedError: The run or the claim was superseded, or that unit ends elsewhere on record.
        InternalError: It is not the next unit, or it ends where the one before does.
    """
    assert_running(db, claim.run_id)
    stream = _stream(db, claim.export_name)
    if stream is not None and unit.number <= stream.last_unit:
        return _committed_before(db, claim.export_name, unit)
    if stream is None or (stream.run_id, stream.claim_number) != (claim.run_id, claim.number):
        raise _superseded(claim)
    _refuse_misplaced(db, stream, unit)
    parts = _record(db, claim, unit, now)
    end = RecordedPosition(claim.export_name, unit.number, unit.position)
    recorded = RecordedUnit(claim.run_id, unit.number, claim.number, end, now, parts)
    _insert(db, recorded)
    _write(db, replace(stream, last_unit=unit.number))
    covered_by = (claim.run_id, max((part.part_id for part in parts), default=0))
    watermarks.put(db, claim.export_name, unit.position, now, covered_by=covered_by, owner=owner)
    watermarks.settle(db, claim.export_name)
    return recorded


def _refuse_misplaced(db: Statements, stream: _Stream, unit: CommitUnit) -> None:
    name = stream.export_name
    if unit.number != stream.last_unit + 1:
        msg = f"unit {unit.number} of '{name}' does not follow unit {stream.last_unit}"
        raise InternalError(msg)
    # What ends where the last one did would be the same transactions, read a second time.
    if watermarks.find(db, name) == unit.position:
        msg = f"unit {unit.number} of '{name}' ends where the stream is already"
        raise InternalError(msg)


def _record(
    db: Statements, claim: StreamClaim, unit: CommitUnit, now: datetime
) -> tuple[RecordedPart, ...]:
    stored = [(relation, part) for relation, parts in unit.parts.items() for part in parts]
    known = assert_running(db, claim.run_id, new_parts=len(stored))
    recorded = tuple(
        RecordedPart(
            part_id=part_id,
            run_id=claim.run_id,
            export_name=claim.export_name,
            chunk_index=unit.number,
            claim_number=claim.number,
            name=part.name,
            uri=part.uri,
            ordinal=part.ordinal,
            stats=part.stats,
            recorded_at=now,
            instant=part.instant,
            relation=relation,
        )
        for part_id, (relation, part) in enumerate(stored, start=known + 1)
    )
    for part in recorded:
        files.insert(db, part)
    return recorded


def _committed_before(db: Statements, export_name: str, unit: CommitUnit) -> RecordedUnit:
    """Return a unit that is on record, where it is the same."""
    row = _row(db, export_name, unit.number)
    if row is None or _position(row) != unit.position:
        msg = f"unit {unit.number} of '{export_name}' is on record already"
        msg += "" if row is None else ", with another end"
        hint = "nothing to do: what is on record stands, and the next run goes on from there"
        raise RefusedError(msg, hint=hint)
    rows = db.many(
        "SELECT * FROM pyrivet.parts WHERE run_id = :run_id AND chunk_index = :unit_number"
        " AND claim_number = :claim_number ORDER BY ordinal",
        run_id=row["run_id"],
        unit_number=unit.number,
        claim_number=row["claim_number"],
    )
    return RecordedUnit(
        run_id=text(row, "run_id"),
        number=unit.number,
        claim_number=number(row, "claim_number"),
        end=RecordedPosition(export_name, unit.number, unit.position),
        recorded_at=read_time(row["recorded_at"]),
        parts=files.decoded(rows),
    )


def acknowledge(db: Statements, end: RecordedPosition) -> None:
    """Note that the source was told of a recorded place; what was only progress before it goes.

    Raises:
        InternalError: That place is not on record.
    """
    stream = _stream(db, end.export_name)
    if stream is None:
        raise _not_on_record(end)
    if end.unit_number <= stream.acknowledged_unit:
        return
    row = _row(db, end.export_name, end.unit_number)
    if row is None or _position(row) != end.position:
        raise _not_on_record(end)
    _settle(db, stream, end.unit_number)


def settle_all(db: Statements, export_name: str) -> None:
    """Leave nothing to acknowledge, readable or not: the stream begins anew, on purpose."""
    try:
        stream = _stream(db, export_name)
    except UnreadableRowError:
        for table in ("streams", "commit_units"):
            sql = f"DELETE FROM pyrivet.{table} WHERE export_name = :name"  # noqa: S608
            db.change(sql, name=export_name)
        return
    if stream is not None:
        _settle(db, stream, stream.last_unit)


def _settle(db: Statements, stream: _Stream, unit_number: int) -> None:
    db.change(
        "DELETE FROM pyrivet.commit_units WHERE export_name = :name AND part_count = 0"
        " AND unit_number >= :first AND unit_number < :number",
        name=stream.export_name,
        first=stream.acknowledged_unit,
        number=unit_number,
    )
    _write(db, replace(stream, acknowledged_unit=unit_number))


def unacknowledged(db: Statements, export_name: str) -> tuple[RecordedPosition, ...]:
    """Return the ends of the recorded units that the source may not know of, in order."""
    stream = _stream(db, export_name)
    if stream is None:
        return ()
    rows = db.many(
        f"SELECT {_UNIT}, seal FROM pyrivet.commit_units WHERE export_name = :name"  # noqa: S608
        " AND unit_number > :number ORDER BY unit_number",
        name=export_name,
        number=stream.acknowledged_unit,
    )
    ends = tuple(_end(row) for row in rows)
    expected = range(stream.acknowledged_unit + 1, stream.last_unit + 1)
    all_there([end.unit_number for end in ends], expected, "commit_units")
    return ends


def last(db: Statements, export_name: str) -> RecordedPosition | None:
    """Return the end of the newest unit; None before the first."""
    stream = _stream(db, export_name)
    if stream is None or not stream.last_unit:
        return None
    row = _row(db, export_name, stream.last_unit)
    return None if row is None else _end(row)


def parts_of(
    db: Statements, export_name: str, relation: str | None, after: int
) -> tuple[RecordedPart, ...]:
    """Return the parts of recorded units in the order of the stream; of one relation or of all.

    Raises:
        UnreadableRowError: Not all that were recorded are there.
    """
    counts = db.many(
        "SELECT u.unit_number, u.part_count, (SELECT count(*) FROM pyrivet.parts p"
        " WHERE p.run_id = u.run_id AND p.chunk_index = u.unit_number"
        " AND p.claim_number = u.claim_number) AS found FROM pyrivet.commit_units u"
        " WHERE u.export_name = :name AND u.unit_number > :after",
        name=export_name,
        after=after,
    )
    _expect("parts", is_there=all(row["found"] == row["part_count"] for row in counts))
    rows = db.many(
        "SELECT p.* FROM pyrivet.commit_units u JOIN pyrivet.parts p ON p.run_id = u.run_id"
        " AND p.chunk_index = u.unit_number AND p.claim_number = u.claim_number"
        " WHERE u.export_name = :name AND u.unit_number > :after"
        " ORDER BY u.unit_number, p.ordinal",
        name=export_name,
        after=after,
    )
    found = files.decoded(rows)
    return tuple(part for part in found if relation is None or part.relation == relation)


def forget(db: Statements, run_id: str) -> None:
    """Remove the units of a run whose parts are forgotten; what resume needs of them stays."""
    rows = db.many(
        f"SELECT {_UNIT}, seal FROM pyrivet.commit_units WHERE run_id = :run_id"  # noqa: S608
        " AND export_name = (SELECT export_name FROM pyrivet.runs WHERE run_id = :run_id)",
        run_id=run_id,
    )
    stream = _stream(db, text(rows[0], "export_name")) if rows else None
    if stream is None:
        return
    for row in rows:
        end = _end(row)
        if stream.acknowledged_unit < end.unit_number or end.unit_number == stream.last_unit:
            values = {name: row[name] for name in _COLUMNS} | {"part_count": 0}
            db.change(
                "UPDATE pyrivet.commit_units SET part_count = 0, seal = :seal"
                " WHERE export_name = :name AND unit_number = :number",
                seal=seal_of(*values.values()),
                name=end.export_name,
                number=end.unit_number,
            )
        else:
            db.change(
                "DELETE FROM pyrivet.commit_units"
                " WHERE export_name = :name AND unit_number = :number",
                name=end.export_name,
                number=end.unit_number,
            )


def _insert(db: Statements, unit: RecordedUnit) -> None:
    position = unit.end.position
    values: dict[str, str | int] = {
        "export_name": unit.end.export_name,
        "unit_number": unit.number,
        "run_id": unit.run_id,
        "claim_number": unit.claim_number,
        "part_count": len(unit.parts),
        "engine": position.engine,
        "kind": position.kind,
        "position_text": position.text,
        "is_approximate": int(position.is_approximate),
    }
    inserted = db.change(
        f"INSERT INTO pyrivet.commit_units ({_UNIT}, seal, recorded_at)"  # noqa: S608
        " VALUES (:export_name, :unit_number, :run_id, :claim_number, :part_count, :engine,"
        " :kind, :position_text, :is_approximate, :seal, :recorded_at)",
        **values,
        seal=seal_of(*values.values()),
        recorded_at=unit.recorded_at,
    )
    written(inserted, "commit_units")


def _row(db: Statements, export_name: str, unit_number: int) -> Row | None:
    return db.one(
        f"SELECT {_UNIT}, seal, recorded_at FROM pyrivet.commit_units"  # noqa: S608
        " WHERE export_name = :name AND unit_number = :number",
        name=export_name,
        number=unit_number,
    )


def _end(row: Row) -> RecordedPosition:
    position = _position(row)
    return RecordedPosition(row["export_name"], row["unit_number"], position)


def _position(row: Row) -> Position:
    """Return where a unit ends.

    Raises:
        UnreadableRowError: The row is not what was written.
    """
    with decoding("commit_units"):
        if row["seal"] != seal_of(*(row[name] for name in _COLUMNS)):
            raise ValueError
    return Position(row["engine"], row["kind"], row["position_text"], bool(row["is_approximate"]))


def _stream(db: Statements, export_name: str) -> _Stream | None:
    """Return the row of a stream; None where there is none yet.

    Raises:
        UnreadableRowError: It is not what was written, or it or its newest unit is missing.
    """
    row = db.one(
        "SELECT export_name, run_id, claim_number, last_unit, acknowledged_unit, seal"
        " FROM pyrivet.streams WHERE export_name = :name",
        name=export_name,
    )
    newest = db.one(
        "SELECT max(unit_number) AS n FROM pyrivet.commit_units WHERE export_name = :name",
        name=export_name,
    )
    there = newest["n"] if newest else None
    if row is None:
        _expect("streams", is_there=there is None)
        return None
    with decoding("streams"):
        seal = row.pop("seal")
        if seal != seal_of(*row.values()):
            raise ValueError
    _expect("commit_units", is_there=row["last_unit"] == (there or 0))
    return _Stream(**row)


def _write(db: Statements, stream: _Stream) -> None:
    values = asdict(stream)
    changed = db.change(
        "INSERT INTO pyrivet.streams (export_name, run_id, claim_number, last_unit,"
        " acknowledged_unit, seal) VALUES (:export_name, :run_id, :claim_number, :last_unit,"
        " :acknowledged_unit, :seal) ON CONFLICT (export_name) DO UPDATE"
        " SET run_id = excluded.run_id, claim_number = excluded.claim_number,"
        " last_unit = excluded.last_unit, acknowledged_unit = excluded.acknowledged_unit,"
        " seal = excluded.seal",
        **values,
        seal=seal_of(*values.values()),
    )
    written(changed, "streams")


def _expect(table: str, *, is_there: bool) -> None:
    if not is_there:
        raise UnreadableRowError(table, "is missing")


def _superseded(claim: StreamClaim) -> RefusedError:
    msg = (
        f"claim {claim.number} on the stream '{claim.export_name}' does not stand any more; "
        "it may record nothing"
    )
    hint = "nothing to do: the later claim stands"
    return RefusedError(msg, code="RIVET_REFUSED_SUPERSEDED", hint=hint)


def _not_on_record(end: RecordedPosition) -> InternalError:
    msg = f"unit {end.unit_number} of '{end.export_name}' is not on record with that end"
    return InternalError(msg)
