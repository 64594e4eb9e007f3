"""The state store: the record of what was run, what is data, and where exports go on.

Every method is one transaction, safe from any thread. The store is the truth; a manifest is made
from it. It never contacts a source or a destination.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from rivet.errors import StateError
from rivet.state import answers, chunks, commit_units, files, finishing, journal, runs, watermarks
from rivet.state.schema import ensure_current
from rivet.state.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from types import TracebackType

    from rivet.model.chunk import Chunk, Claim
    from rivet.model.finish import Finish, Receipt
    from rivet.model.owner import Owner
    from rivet.model.part import RecordedPart, StoredPart
    from rivet.model.run import AggregateRecord, RunRecord, RunRow
    from rivet.model.source import Position
    from rivet.model.span import Span
    from rivet.state.database import Database

__all__ = ["STATE_DIR", "STATE_FILE", "URL_VARIABLE", "StateStore", "open_store"]

STATE_DIR: Final = ".rivet"
STATE_FILE: Final = "state.db"
URL_VARIABLE: Final = "RIVET_STATE_URL"

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present instant as aware UTC."""
    return datetime.now(UTC)


def open_store(base_dir: Path, *, url: str | None = None, clock: Clock = utc_now) -> StateStore:
    """Open the state of a configuration, and make or upgrade its tables where needed.

    Args:
        base_dir: Folder of the configuration; the state file is `.rivet/state.db` in it.
        url: A PostgreSQL URL for shared state; None takes the environment's `RIVET_STATE_URL`, and
            without one the file.
        clock: Gives aware UTC instants.

    Returns:
        The open store, a context manager.

    Raises:
        StateError: It cannot be read or written, or is damaged.
        StateVersionError: It was made by a newer Rivet or by another program.
        StateLockedError: Another process held it longer than the wait allows.
        RefusedError: The URL would send the state over the network without TLS.
    """
    database = _open_database(base_dir, os.environ.get(URL_VARIABLE) if url is None else url)
    try:
        ensure_current(database)
    except BaseException:
        database.close()
        raise
    return StateStore(database, base_dir, clock)


def _open_database(base_dir: Path, url: str | None) -> Database:
    if url:
        from rivet.state.postgres import PostgresDatabase

        return PostgresDatabase(url)
    if not base_dir.is_dir():
        msg = f"the folder {base_dir} of the state file does not exist"
        raise StateError(msg, hint=f"make the folder: mkdir -p '{base_dir}'")
    return SqliteDatabase(base_dir.resolve() / STATE_DIR / STATE_FILE)


class StateStore(answers.AnswerRecord):
    """An open state store; made by `open_store`."""

    def __init__(self, database: Database, base_dir: Path, clock: Clock) -> None:
        super().__init__(database, clock)
        self.base_dir = base_dir

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close it. Safe to call twice."""
        self.database.close()

    @property
    def location(self) -> str:
        """Where the store is, for people; holds no secret."""
        return self.database.location

    def now(self) -> datetime:
        """Return the present instant by the store's clock."""
        return self._clock()

    def check_writable(self) -> None:
        """Prove that the store can be written, before anything is read from a source.

        Writes a row and takes it back; a small SQLite file is also read through for damage.

        Raises:
            StateError: It cannot be written, or is damaged.
            StateLockedError: Another process holds it.
        """
        self.database.check_whole()
        with self.database.write() as db:
            db.change(
                "INSERT INTO pyrivet.schemas (export_name, columns_json, updated_at)"
                " VALUES ('', '[]', :now)",
                now=self._clock(),
            )
            db.change("DELETE FROM pyrivet.schemas WHERE export_name = ''")

    # Runs

    def begin_run(self, record: RunRecord, planned: Sequence[Chunk] = ()) -> tuple[str, ...]:
        """Insert a run as running, together with the chunks that are planned already.

        The caller holds the export's lock (`rivet.state.locks`), so that whatever still is
        `running` of the same export is dead; it is superseded, whatever any clock says.

        Returns:
            The run ids it superseded, oldest first.
        """
        with self.database.write() as db:
            superseded = runs.begin(db, record)
            answers.give(db, record.run_id, self.answers_as)
            if planned:
                chunks.plan(db, record.run_id, planned, self._clock())
            return superseded

    def resume_run(self, run_id: str, *, host: str, pid: int) -> None:
        """Take a run up again that ended without success; the caller holds the export's lock.

        Raises:
            RefusedError: It was superseded.
            InternalError: There is none of that name, or it ended well.
        """
        with self.database.write() as db:
            runs.resume(db, run_id, host=host, pid=pid)
            answers.give(db, run_id, self.answers_as)

    def intend(self, run_id: str, finish: Finish) -> None:
        """Note how a run will finish, before anything of it is published.

        Raises:
            RefusedError: A newer run superseded it; nothing may be replaced at the destination.
        """
        with self.database.write() as db:
            finishing.intend(db, run_id, finish)

    def finish(self, run_id: str, finish: Finish, receipts: Sequence[Receipt] = ()) -> None:
        """Put verdict, receipts, watermark, owner and columns on record, all or none of them.

        Raises:
            RefusedError: A newer run superseded it.
            InternalError: It is over already, or it is a success with incomplete chunks.
        """
        with self.database.write() as db:
            finishing.finish(db, run_id, finish, receipts, self._clock())

    def finish_for(self, run_id: str, finish: Finish, holder: tuple[str, int]) -> None:
        """Close the run of a process (host, number) that died; refused if another took it up."""
        with self.database.write() as db:
            runs.assert_held(db, run_id, holder)
            finishing.finish(db, run_id, finish, (), self._clock())

    def unfinished(self, export_name: str) -> tuple[RunRow, Finish] | None:
        """Return the newest run where it was about to be published, and how it was to finish."""
        with self.database.read() as db:
            return finishing.unfinished(db, export_name)

    def finish_dead(self, row: RunRow, finish: Finish, receipts: Sequence[Receipt]) -> None:
        """Finish a run that died once it was published; the caller holds the export's lock."""
        with self.database.write() as db:
            runs.resume(db, row.run_id, host=row.record.host, pid=row.record.pid)
            finishing.finish(db, row.run_id, finish, receipts, self._clock())

    def run(self, run_id: str) -> RunRow | None:
        """Return one run; None where the store has none of that name."""
        with self.database.read() as db:
            return runs.find(db, run_id)

    def current_run(self, export_name: str) -> RunRow | None:
        """Return the newest successful run of an export; None before the first."""
        with self.database.read() as db:
            return runs.current(db, export_name)

    def runs(self, export_name: str | None = None, *, last: int = 20) -> tuple[RunRow, ...]:
        """Return the newest runs, of one export or of all, newest first."""
        with self.database.read() as db:
            return runs.latest(db, export_name, last)

    def runs_with_files(self, export_name: str, *, good: int) -> tuple[RunRow, ...]:
        """Return an export's newest run, `good` newest good ones, and all that have parts."""
        with self.database.read() as db:
            return runs.with_files(db, export_name, good)

    def record_aggregate(self, record: AggregateRecord) -> None:
        """Keep the summary of one invocation."""
        with self.database.write() as db:
            runs.add_aggregate(db, record)

    # Chunks and parts

    def plan_chunks(self, run_id: str, planned: Sequence[Chunk]) -> None:
        """Store the chunks of a run, so that a resumed run replays the same bounds.

        Chunks that are planned already stay as they are; more may be added while the run goes on.

        Raises:
            RefusedError: The run was superseded.
            InternalError: An index is planned with other bounds.
        """
        with self.database.write() as db:
            chunks.plan(db, run_id, planned, self._clock())

    def chunks(self, run_id: str, *, is_incomplete: bool = False) -> tuple[Chunk, ...]:
        """Return the planned chunks of a run by index; all, or only those not complete."""
        with self.database.read() as db:
            return chunks.listed(db, run_id, is_incomplete=is_incomplete)

    def reopen_chunk(self, run_id: str, index: int) -> None:
        """Make a chunk of a running run pending again and its parts void: one is missing.

        Raises:
            RefusedError: The run was superseded.
        """
        with self.database.write() as db:
            chunks.reopen(db, run_id, index, self._clock())

    def incomplete_chunks(self, run_id: str) -> int:
        """Return how many planned chunks of a run are not complete."""
        with self.database.read() as db:
            return runs.incomplete_chunks(db, run_id)

    def claim(self, run_id: str, export_name: str, chunk: Chunk) -> Claim:
        """Take a planned chunk that is not complete; every earlier claim on it is superseded.

        Parts that an earlier claim recorded become void: the chunk is read from its start again.

        Raises:
            RefusedError: The run was superseded.
            InternalError: The chunk is not planned, or it is complete.
        """
        with self.database.write() as db:
            return chunks.claim(db, run_id, export_name, chunk, self._clock())

    def split_chunk(self, claim: Claim, kept: Span, given: Chunk) -> None:
        """Leave a part of a chunk that is being read to a new chunk, in one transaction.

        Args:
            claim: On the chunk; compare-and-set.
            kept: What the chunk holds from now on.
            given: The new chunk; the two share no row and lose none.

        Raises:
            RefusedError: The claim or the run was superseded, or the chunk is over.
        """
        with self.database.write() as db:
            chunks.split(db, claim, kept, given, self._clock())

    def record(
        self,
        claim: Claim,
        stored: Sequence[StoredPart],
        *,
        chunk_done: bool,
        observed: str | None = None,
    ) -> tuple[RecordedPart, ...]:
        """Make stored parts data, and complete their chunk with the last of them.

        Args:
            claim: Compare-and-set: it must be the newest on its chunk, its run still running.
            stored: In order; may be empty, for a chunk without rows.
            chunk_done: Whether these are the chunk's last parts.
            observed: What was counted in the chunk's rows, as JSON.

        Raises:
            RefusedError: The run or the claim was superseded; nothing was recorded.
        """
        with self.database.write() as db:
            now = self._clock()
            return files.record(db, claim, stored, now, chunk_done=chunk_done, observed=observed)

    def observations(self, run_id: str) -> dict[int, str]:
        """Return what was observed of the complete chunks of a run, by index."""
        with self.database.read() as db:
            return files.observations(db, run_id)

    def fail_chunk(self, claim: Claim, error_text: str) -> None:
        """Mark a claimed chunk as failed, with a redacted text; it can be claimed again.

        Raises:
            RefusedError: A later claim took the chunk over.
        """
        with self.database.write() as db:
            chunks.fail(db, claim, error_text, self._clock())

    def parts(self, run_id: str) -> tuple[RecordedPart, ...]:
        """Return the parts of a run in the order of its data."""
        with self.database.read() as db:
            return files.of_run(db, run_id)

    def whole_parts(self, run_id: str) -> tuple[RecordedPart, ...]:
        """Return the parts of a run that was not pruned.

        Raises:
            StateDamagedError: Not all that were recorded are there.
        """
        with self.database.read() as db:
            return files.whole_of_run(db, run_id)

    def void_parts(self, run_id: str) -> tuple[RecordedPart, ...]:
        """Return parts that were recorded by claims that later ones superseded: not data."""
        with self.database.read() as db:
            return files.of_run(db, run_id, is_void=True)

    def forget_parts(self, run_id: str) -> None:
        """Remove the parts of a run that is over from the record, once its files are gone.

        Raises:
            InternalError: The run is running.
        """
        with self.database.write() as db:
            files.forget(db, run_id)
            commit_units.forget(db, run_id)

    def current_parts(self, export_name: str) -> tuple[RecordedPart, ...]:
        """Return the parts of the newest successful run of an export, in order."""
        with self.database.read() as db:
            row = runs.current(db, export_name)
            return () if row is None else files.of_run(db, row.run_id)

    # What an export remembers

    def watermark(self, export_name: str) -> Position | None:
        """Return an export's watermark; None where it has none."""
        with self.database.read() as db:
            return watermarks.find(db, export_name)

    def owner(self, export_name: str) -> Owner | None:
        """Return whose an export's watermark is; None where it does not say, or there is none."""
        with self.database.read() as db:
            return watermarks.owner_of(db, export_name)

    def give_watermark(self, export_name: str, owner: Owner, action: str) -> None:
        """Let a watermark belong to somebody, whoever had it; the action is kept for audits."""
        with self.database.write() as db:
            watermarks.give(db, export_name, owner, action, self._clock())

    def accept_run(self, export_name: str, run_id: str) -> None:
        """Note that files of a run are there which need not be on record."""
        with self.database.write() as db:
            action = watermarks.accepted_run(run_id)
            watermarks.audit(db, export_name, action, None, None, self._clock())

    def forget_watermark(self, export_name: str) -> bool:
        """Remove an export's watermark: its next run begins anew on purpose; False without one."""
        with self.database.write() as db:
            finishing.give_up_progress(db, export_name)
            return watermarks.forget(db, export_name, self._clock())

    def schema_of(self, export_name: str) -> tuple[tuple[str, str], ...] | None:
        """Return an export's remembered columns; None before the first run."""
        with self.database.read() as db:
            return watermarks.schema_of(db, export_name)

    # What happened

    def journal(self, run_id: str, export_name: str, *events_json: str) -> None:
        """Append events of a run, redacted; a power cut may take the last of them."""
        with self.database.write(is_durable=False) as db:
            for event_json in events_json:
                journal.append(db, run_id, export_name, event_json, self._clock())

    def journal_events(self, run_id: str) -> tuple[str, ...]:
        """Return the events of a run in order, as JSON text."""
        with self.database.read() as db:
            return journal.events(db, run_id)
