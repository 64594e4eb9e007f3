"""`--reconcile` of tables that no instant holds: not verified, never a mismatch."""

from __future__ import annotations

import pytest

from support.engines import EngineUnderTest
from support.follower import Follower


def _events(name, database, folder):
    source = {"type": name, "url": database.url, "tls": {"mode": "disable"}}
    return Follower(EngineUnderTest(name, source, database.execute), folder)


def _verdict(events, write):
    def listen(event):
        if event.type == "chunk_completed":
            write()

    return events.run(reconcile=True, on_event=listen)


@pytest.mark.parametrize("kind", ["MyISAM", "Aria"])
def test_a_table_without_transactions_is_not_verified_while_others_write(mariadb, tmp_path, kind):
    events = _events("mysql", mariadb, tmp_path)
    events.keys = {"mode": "full"}
    events.execute(f"ALTER TABLE events ENGINE = {kind}")
    events.add(1, 2, 3)
    report = events.run(reconcile=True)
    assert (report.failure, report.reconciled) == (None, (3, 3))
    report = _verdict(events, lambda: events.add(4))
    failure = report.failure
    assert (failure.code, failure.exit_code) == ("RIVET_RUN_RECONCILE_UNVERIFIED", 1)
    assert kind in failure.message
    assert "exported 3 rows, counted 4" in failure.message
    assert report.reconciled is None
    assert len(events.rows()) == 3  # the last good run
