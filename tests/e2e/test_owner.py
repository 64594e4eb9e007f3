"""A watermark belongs to somebody: what it belongs to may not change without a decision."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest

from support.follower import Follower
from support.stored import change_owner

STREAM = "RIVET_STATE_CURSOR_STREAM_MISMATCH"
CURSOR = "RIVET_STATE_CURSOR_OWNER_MISMATCH"
OUTPUT = "RIVET_STATE_CURSOR_OUTPUT_MISMATCH"


@pytest.fixture
def events(engine, tmp_path):
    return Follower(engine, tmp_path)


def stored(events, column="position_text", table="watermarks"):
    with closing(sqlite3.connect(events.folder / ".rivet" / "state.db")) as state:
        return [row[0] for row in state.execute(f"SELECT {column} FROM {table}")]


def files(events):
    return sorted(path.name for path in events.folder.glob("*out*/**/*") if path.is_file())


def refused(events, code, *words):
    """Run; it is refused, nothing is read or written, the watermark stays."""
    before = files(events), stored(events), stored(events, "owner_json")
    report = events.run()
    assert report.failure is not None
    assert (report.failure.code, report.failure.exit_code) == (code, 5)
    for word in words:
        assert word in report.failure.message
    assert "rivet state reset -e events" in report.failure.hint
    assert "rivet state accept -e events" in report.failure.hint
    assert (report.rows, report.bytes_read) == (0, 0)
    assert (files(events), stored(events), stored(events, "owner_json")) == before


def changed_table(events):
    events.create("other")
    events.add(1, 2, 3, 50, table="other")
    events.keys["table"] = "other"


def changed_query(events):
    events.keys |= {"table": None, "query": "SELECT * FROM events WHERE id > 0"}


def changed_cursor(events):
    events.execute("ALTER TABLE events ADD place bigint")
    events.execute("UPDATE events SET place = id")
    events.keys["cursor_column"] = "place"


def changed_fallback(events):
    events.execute("ALTER TABLE events ADD place bigint")
    events.keys |= {"cursor_fallback_column": "place", "incremental_cursor_mode": "coalesce"}


CHANGES = {
    "table": (changed_table, STREAM, ("table or query", "other")),
    "query": (changed_query, STREAM, ("table or query", "query xxh3:")),
    "cursor": (changed_cursor, CURSOR, ("cursor", "'id'", "'place'")),
    "fallback": (changed_fallback, CURSOR, ("cursor", "'id, else place'")),
    "path": (
        lambda events: events.keys.update(destination={"type": "local", "path": "out2"}),
        OUTPUT,
        ("destination", "'local out'", "'local out2'"),
    ),
    "format": (lambda events: events.keys.update(format="csv"), OUTPUT, ("'parquet'", "'csv'")),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_what_a_watermark_belongs_to_may_not_change(events, change):
    act, code, words = CHANGES[change]
    events.add(*range(1, 11))
    assert events.run().is_success
    act(events)
    refused(events, code, *words)
    refused(events, code, *words)  # a refusal changes nothing


def test_accept_goes_on_and_reset_begins_anew(rivet, events):
    events.add(*range(1, 11))
    assert events.run().is_success
    events.create("other")
    events.add(*range(5, 16), table="other")
    events.keys["table"] = "other"
    refused(events, STREAM, "other")
    done = rivet("state", "accept", "-c", events.config, "-e", "events").expect(0)
    assert "the table or query was" in done.stdout
    assert "goes on from 10" in done.stdout
    assert events.run().is_success
    assert events.rows() == [11, 12, 13, 14, 15]
    assert stored(events, "action", "audits") == ["accept"]
    (before,), (after,) = (stored(events, name, "audits") for name in ("before_json", "after_json"))
    assert json.loads(before)["source"]["relation"].endswith("events")
    assert json.loads(after)["source"]["relation"].endswith("other")
    events.keys["table"] = "events"
    refused(events, STREAM, "other")
    rivet("state", "reset", "-c", events.config, "-e", "events").expect(0)
    assert events.run().is_success
    assert events.rows() == list(range(1, 11))
    assert stored(events, "action", "audits") == ["accept", "reset, done"]
    events.add(11)
    assert events.run().is_success
    assert events.rows() == [11]


def test_fresh_takes_everything_for_the_settings_of_now(events):
    events.add(*range(1, 11))
    assert events.run().is_success
    changed_table(events)
    from rivet import load_config
    from rivet.execution.context import RunOptions
    from rivet.execution.many.invocation import run_exports

    (report,) = run_exports(
        load_config(events.config), options=RunOptions(fresh=True)
    ).report.exports
    assert report.is_success
    assert events.rows() == [1, 2, 3, 50]
    events.add(60, table="other")
    assert events.run().is_success
    assert events.rows() == [60]


def test_what_does_not_matter_may_change(events):
    events.add(*range(1, 11))
    assert events.run().is_success
    events.execute("ALTER TABLE events ADD more bigint")
    events.keys |= {
        "tuning": {"batch_size": 1000},
        "columns": {"name": "text"},
        "destination": {"type": "local", "path": "./out/"},
        "lookback": 0,
        "compression": "snappy",
    }
    del events.keys["lookback"]
    events.add(11)
    assert events.run().failure is None
    assert events.rows() == [11]


def test_a_watermark_of_an_earlier_version_is_adopted_once(events):
    events.add(*range(1, 11))
    assert events.run().is_success
    change_owner(events.folder, None)
    report = events.run()
    assert report.status == "skipped"
    assert any("does not say what it belongs to" in text for text in report.warnings)
    assert stored(events, "action", "audits") == ["adopt"]
    report = events.run()
    assert not any("belongs" in text for text in report.warnings)
    changed_table(events)
    refused(events, STREAM, "other")


def test_a_key_that_goes_on_has_an_owner_and_a_backfill_has_none(rivet, events):
    for table in ("events", "other"):
        events.execute(f"DROP TABLE IF EXISTS {table}")
        columns = "id bigint NOT NULL PRIMARY KEY, ts varchar(9), name varchar(20)"
        events.execute(f"CREATE TABLE {table} ({columns})")
        events.add(*range(1, 11), table=table)
    events.keys = {"mode": "chunked", "chunk_by_key": "id", "keyset_incremental": True}
    assert events.run().is_success
    events.keys["table"] = "other"
    refused(events, STREAM, "other")
    backfill = ("backfill", "-c", events.config, "-e", "events", "--from", "2", "--to", "4")
    rivet(*backfill).expect(0)
    assert events.rows("out/backfill") == [2, 3]


def test_accept_without_progress_or_use_says_so(rivet, events):
    done = rivet("state", "accept", "-c", events.config, "-e", "events").expect(0)
    assert "no progress to accept" in done.stdout
    events.keys = {"mode": "full"}
    done = rivet("state", "accept", "-c", events.config, "-e", "events").expect(1)
    assert "goes on from no stored progress" in done.stderr


def test_a_cursor_of_another_kind_is_not_accepted(rivet, events):
    events.add(1, 2, ts="2024-05-01 00:00:00")
    assert events.run().is_success
    events.keys["cursor_column"] = "ts"
    refused(events, CURSOR, "'id'", "'ts'")
    done = rivet("state", "accept", "-c", events.config, "-e", "events").expect(1)
    assert "was a number" in done.stderr
    assert stored(events, "action", "audits") == []
