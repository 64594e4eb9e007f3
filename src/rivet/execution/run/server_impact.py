"""Server impact report: what the source did while a run of chunks read it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from rivet.errors import SourceError
from rivet.model.metrics import RunMetrics, by_name
from rivet.sources.abilities import ReportsImpact

if TYPE_CHECKING:
    from rivet.execution.progress import RunProgress
    from rivet.execution.snapshot.holder import SnapshotHolder

__all__ = ["note_server_impact", "server_impact"]


def server_impact(session: object) -> dict[str, int]:
    """Return the server's counters, none where the engine has no such thing.

    Raises:
        SourceError: The server cannot be asked.
    """
    return session.server_impact() if isinstance(session, ReportsImpact) else {}


def note_server_impact(
    before: dict[str, int], snapshots: SnapshotHolder, ledger: RunProgress
) -> None:
    """Compare the server's counters with those of before; a server that is gone tells nothing.

    A server counts what a session did when that session ends.
    """
    if not before:
        return
    ledger.add(RunMetrics(snapshot_age_s=snapshots.age_s))
    snapshots.sessions.close()
    with suppress(SourceError), snapshots.sessions.dedicated() as session:
        after = server_impact(session)
        harm = {name: after[name] - before[name] for name in after if name in before}
        ledger.add(RunMetrics(harm=by_name(harm)))
