"""Rows of runs and of whole invocations, inside a transaction the caller holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.errors import InternalError, RefusedError
from rivet.model.owner import Owner
from rivet.model.run import RunOutcome, RunRecord, RunRow, RunStatus
from rivet.redact import redact, redact_json
from rivet.state import metrics
from rivet.state.database import optional_time, read_time
from rivet.state.decoding import (
    UnreadableRowError,
    decoding,
    json_object,
    number,
    optional_text,
    text,
    written,
)
from rivet.state.pages import FIRST_ROWS, in_groups

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from rivet.model.run import AggregateRecord
    from rivet.state.database import Row, Statements

UNFINISHED: Final = frozenset({RunStatus.RUNNING, RunStatus.FAILED, RunStatus.INTERRUPTED})
"""What a run may be that is taken up again, or brought to its end."""

_FINISH: Final = (
    "UPDATE pyrivet.runs SET status = :status, finished_at = :finished_at,"  # noqa: S608 - columns
    " error_code = :error_code, error_message = :error_message, skip_reason = :skip_reason,"
    f" {metrics.ASSIGNED} WHERE run_id = :run_id"
)

_FINAL: Final = frozenset(
    {RunStatus.SUCCESS, RunStatus.FAILED, RunStatus.SKIPPED, RunStatus.INTERRUPTED}
)


def begin(db: Statements, record: RunRecord) -> tuple[str, ...]:
    """Insert a run as running, and supersede what still is running of the same export.

    The caller holds the export's lock, so whatever still is `running` belongs to a dead process.
    """
    db.serialise(f"begin {record.export_name}")
    dead = db.all(
        "SELECT run_id FROM pyrivet.runs WHERE export_name = :export_name AND status = 'running'"
        " ORDER BY sequence",
        export_name=record.export_name,
    )
    db.change(
        "UPDATE pyrivet.runs SET status = 'superseded', superseded_by = :run_id"
        " WHERE export_name = :export_name AND status = 'running'",
        export_name=record.export_name,
        run_id=record.run_id,
    )
    # Only the newest run can be taken up; what older ones observed is of no use any more.
    db.change(
        "DELETE FROM pyrivet.observations WHERE run_id IN"
        " (SELECT run_id FROM pyrivet.runs WHERE export_name = :export_name)",
        export_name=record.export_name,
    )
    inserted = db.change(
        "INSERT INTO pyrivet.runs (run_id, export_name, status, started_at, mode, engine,"
        " destination_type, destination_uri, format, compression, fingerprint, tuning_profile,"
        " batch_size, rivet_version, host, pid, plan_json)"
        " VALUES (:run_id, :export_name, 'running', :started_at, :mode, :engine,"
        " :destination_type, :destination_uri, :format, :compression, :fingerprint,"
        " :tuning_profile, :batch_size, :rivet_version, :host, :pid, :plan_json)",
        run_id=record.run_id,
        export_name=record.export_name,
        started_at=record.started_at,
        mode=record.mode,
        engine=record.engine,
        destination_type=record.destination_type,
        destination_uri=record.destination_uri,
        format=record.format,
        compression=record.compression,
        fingerprint=record.fingerprint,
        tuning_profile=record.tuning_profile,
        batch_size=record.batch_size,
        rivet_version=record.rivet_version,
        host=record.host,
        pid=record.pid,
        plan_json=record.plan_json,
    )
    written(inserted, "runs")
    return tuple(row["run_id"] for row in dead)


def resume(db: Statements, run_id: str, *, host: str, pid: int) -> None:
    """Take a run up again that ended without success; the caller holds the export's lock.

    Raises:
        RefusedError: A newer run superseded it, or it is not one that can be taken up.
    """
    row = db.one("SELECT * FROM pyrivet.runs WHERE run_id = :run_id", run_id=run_id)
    status = None if row is None else row["status"]
    if row is None or status not in UNFINISHED:
        raise _not_running(run_id, row)
    db.serialise(f"begin {row['export_name']}")
    db.change(
        "UPDATE pyrivet.runs SET status = 'superseded', superseded_by = :run_id"
        " WHERE export_name = :export_name AND status = 'running' AND run_id <> :run_id",
        export_name=row["export_name"],
        run_id=run_id,
    )
    db.change(
        "UPDATE pyrivet.runs SET status = 'running', finished_at = NULL, error_code = NULL,"
        " error_message = NULL, finish_json = NULL, host = :host, pid = :pid"
        " WHERE run_id = :run_id",
        run_id=run_id,
        host=host,
        pid=pid,
    )


def assert_running(db: Statements, run_id: str, *, new_parts: int = 0, new_chunks: int = 0) -> int:
    """Make sure a run still is running, and keep it so until the transaction ends.

    Args:
        db: A write transaction.
        run_id: The run.
        new_parts: How many parts the transaction will add.
        new_chunks: The same of chunks.

    Returns:
        How many parts the run had before.

    Raises:
        RefusedError: A newer run of the export superseded it.
        UnreadableRowError: There is no such run.
        InternalError: It is over.
    """
    held = db.change(
        "UPDATE pyrivet.runs SET recorded_parts = recorded_parts + :new_parts,"
        " recorded_chunks = recorded_chunks + :new_chunks"
        " WHERE run_id = :run_id AND status = 'running'",
        run_id=run_id,
        new_parts=new_parts,
        new_chunks=new_chunks,
    )
    row = db.one(
        "SELECT status, recorded_parts, superseded_by FROM pyrivet.runs WHERE run_id = :run_id",
        run_id=run_id,
    )
    if held == 1 and row is not None:
        return int(row["recorded_parts"]) - new_parts
    raise _not_running(run_id, row)


def assert_held(db: Statements, run_id: str, holder: tuple[str, int]) -> None:
    """Make sure a run still is running, and that this host and process began it or took it up.

    Raises:
        RefusedError: Another one did.
        InternalError: There is no such run, or it is over.
    """
    assert_running(db, run_id)
    row = db.one("SELECT host, pid FROM pyrivet.runs WHERE run_id = :run_id", run_id=run_id)
    if row is None or (row["host"], row["pid"]) != holder:
        msg = f"run '{run_id}' belongs to another process"
        raise RefusedError(msg, hint="nothing to do: that process will close it")


def _not_running(run_id: str, row: Row | None) -> RefusedError | InternalError | UnreadableRowError:
    if row is not None and row["status"] == RunStatus.RUNNING:
        return UnreadableRowError("runs", "could not be written")
    if row is None:
        return UnreadableRowError("runs", "is gone")
    if row["status"] == RunStatus.SUPERSEDED:
        return RefusedError.with_code(
            "RIVET_REFUSED_SUPERSEDED",
            f"run '{run_id}' was superseded by run '{row['superseded_by']}'; it may record nothing",
            hint="nothing to do: the newer run stands",
        )
    return InternalError(f"run '{run_id}' is over already, with status {row['status']}")


def finish(db: Statements, run_id: str, outcome: RunOutcome) -> None:
    """Close a run: compare-and-set from running to a final status.

    Raises:
        RefusedError: A newer run superseded it.
        InternalError: It is over already, the status is not final, or a success has chunks left.
    """
    status = RunStatus(outcome.status)
    if status not in _FINAL:
        msg = f"run '{run_id}' cannot finish as {status}"
        raise InternalError(msg)
    assert_running(db, run_id)
    left = incomplete_chunks(db, run_id)
    if status is RunStatus.SUCCESS and left:
        msg = f"run '{run_id}' cannot finish as success with {left} incomplete chunks"
        raise InternalError(msg)
    db.change(
        _FINISH,
        run_id=run_id,
        status=status.value,
        finished_at=outcome.finished_at,
        error_code=outcome.error_code,
        error_message=None if outcome.error_message is None else redact(outcome.error_message),
        skip_reason=outcome.skip_reason,
        **metrics.columns_of(outcome),
    )


def incomplete_chunks(db: Statements, run_id: str) -> int:
    """Return how many planned chunks of a run are not complete."""
    row = db.one(
        "SELECT count(*) AS n FROM pyrivet.chunks WHERE run_id = :run_id AND status <> 'completed'",
        run_id=run_id,
    )
    return int(row["n"]) if row else 0


def mark_manifest(db: Statements, run_id: str, now: datetime) -> None:
    """Note that the manifest of a running run is durable; nothing is left of it to publish."""
    assert_running(db, run_id)
    db.change(
        "UPDATE pyrivet.runs SET manifest_at = :now, finish_json = NULL WHERE run_id = :run_id",
        run_id=run_id,
        now=now,
    )


def latest(db: Statements, export_name: str | None, last: int) -> tuple[RunRow, ...]:
    """Return the newest runs, of one export or of all, newest first."""
    if export_name is None:
        rows = db.many("SELECT * FROM pyrivet.runs ORDER BY sequence DESC LIMIT :last", last=last)
    else:
        rows = db.many(
            "SELECT * FROM pyrivet.runs WHERE export_name = :export_name"
            " ORDER BY sequence DESC LIMIT :last",
            export_name=export_name,
            last=last,
        )
    return tuple(_run_row(row) for row in rows)


def with_files(db: Statements, export_name: str, good: int) -> tuple[RunRow, ...]:
    """Return the newest run, the newest good ones, and all that have parts; newest first."""
    rows = db.many(
        "SELECT r.* FROM pyrivet.runs r WHERE r.export_name = :export_name AND ("
        " r.sequence = (SELECT max(sequence) FROM pyrivet.runs WHERE export_name = :export_name)"
        " OR r.sequence IN (SELECT sequence FROM pyrivet.runs WHERE export_name = :export_name"
        "  AND status = 'success' ORDER BY sequence DESC LIMIT :good)"
        # By the run alone: parts that name another export are damage to be told of.
        " OR EXISTS (SELECT 1 FROM pyrivet.parts p WHERE p.run_id = r.run_id))"
        # Each run of a stream holds rows of its own, however it ended.
        " AND NOT EXISTS (SELECT 1 FROM pyrivet.commit_units u"
        "  WHERE u.export_name = r.export_name AND u.run_id = r.run_id)"
        " ORDER BY r.sequence DESC",
        export_name=export_name,
        good=good,
    )
    return tuple(_run_row(row) for row in rows)


def find(db: Statements, run_id: str) -> RunRow | None:
    """Return one run; None where the store has none of that name."""
    row = db.one("SELECT * FROM pyrivet.runs WHERE run_id = :run_id", run_id=run_id)
    return None if row is None else _run_row(row)


def several(db: Statements, run_ids: Sequence[str]) -> dict[str, RunRow]:
    """Return runs by their names, without those that are not on record."""
    found: dict[str, RunRow] = {}
    for some, values in in_groups(run_ids):
        sql = f"SELECT * FROM pyrivet.runs WHERE run_id IN ({some})"  # noqa: S608 - names of values
        found.update((str(row["run_id"]), _run_row(row)) for row in db.many(sql, **values))
    return found


def earlier(db: Statements, export_name: str, sequence: int) -> Iterator[Row]:
    """Yield what tells how the runs of an export hang together, those before one, newest first."""
    while True:
        page = db.many(
            "SELECT sequence, run_id, status, started_at, total_files, plan_json"
            " FROM pyrivet.runs WHERE export_name = :export_name AND sequence < :sequence"
            " ORDER BY sequence DESC LIMIT :most",
            most=FIRST_ROWS,
            export_name=export_name,
            sequence=sequence,
        )
        yield from page
        if len(page) < FIRST_ROWS:
            return
        with decoding("runs"):
            sequence = number(page[-1], "sequence")


def current(db: Statements, export_name: str) -> RunRow | None:
    """Return the newest successful run of an export."""
    row = db.one(
        "SELECT * FROM pyrivet.runs WHERE export_name = :export_name AND status = 'success'"
        " ORDER BY sequence DESC LIMIT 1",
        export_name=export_name,
    )
    return None if row is None else _run_row(row)


def add_aggregate(db: Statements, record: AggregateRecord) -> None:
    """Insert one invocation."""
    db.change(
        "INSERT INTO pyrivet.aggregates (run_aggregate_id, started_at, finished_at, duration_ms,"
        " config_path, parallel_mode, total_exports, success_count, failed_count, skipped_count,"
        " total_rows, total_files, total_bytes, details_json)"
        " VALUES (:run_aggregate_id, :started_at, :finished_at, :duration_ms, :config_path,"
        " :parallel_mode, :total_exports, :success_count, :failed_count, :skipped_count,"
        " :total_rows, :total_files, :total_bytes, :details_json)",
        run_aggregate_id=record.run_aggregate_id,
        started_at=record.started_at,
        finished_at=record.finished_at,
        duration_ms=record.duration_ms,
        config_path=record.config_path,
        parallel_mode=record.parallel_mode,
        total_exports=record.total_exports,
        success_count=record.success_count,
        failed_count=record.failed_count,
        skipped_count=record.skipped_count,
        total_rows=record.total_rows,
        total_files=record.total_files,
        total_bytes=record.total_bytes,
        details_json=redact_json(record.details_json),
    )


def _run_row(row: Row) -> RunRow:
    with decoding("runs"):
        return _decoded(row)


def _checked_plan(row: Row) -> str:
    told = text(row, "plan_json")
    owner = json_object(told).get("owner")
    if owner is not None:
        Owner.from_json(owner)
    return told


def _decoded(row: Row) -> RunRow:
    return RunRow(
        sequence=number(row, "sequence"),
        record=RunRecord(
            run_id=text(row, "run_id"),
            export_name=text(row, "export_name"),
            started_at=read_time(row["started_at"]),
            mode=text(row, "mode"),
            engine=text(row, "engine"),
            destination_type=text(row, "destination_type"),
            destination_uri=text(row, "destination_uri"),
            format=text(row, "format"),
            compression=text(row, "compression"),
            fingerprint=text(row, "fingerprint"),
            tuning_profile=text(row, "tuning_profile"),
            batch_size=number(row, "batch_size"),
            rivet_version=text(row, "rivet_version"),
            host=text(row, "host"),
            pid=number(row, "pid"),
            plan_json=_checked_plan(row),
        ),
        status=RunStatus(row["status"]),
        outcome=_outcome(row),
        superseded_by=optional_text(row, "superseded_by"),
        manifest_at=optional_time(row["manifest_at"]),
    )


def _outcome(row: Row) -> RunOutcome | None:
    if row["finished_at"] is None:
        return None
    return RunOutcome(
        status=RunStatus(row["status"]),
        finished_at=read_time(row["finished_at"]),
        error_code=optional_text(row, "error_code"),
        error_message=optional_text(row, "error_message"),
        skip_reason=optional_text(row, "skip_reason"),
        **metrics.from_columns(row),
    )
