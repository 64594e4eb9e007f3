"""Entries of `--json` for exports of every mode and outcome, beside those of the reference."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.live("postgresql")

TABLES = """
CREATE TABLE moves (id bigint PRIMARY KEY, at timestamp NOT NULL, name text NOT NULL);
INSERT INTO moves SELECT g, now()::timestamp - make_interval(hours => g), 'n' || g
FROM generate_series(1, 90) g;
CREATE TABLE nothing (id bigint PRIMARY KEY);
"""
WINDOW = {"mode": "time_window", "time_column": "at", "days_window": 7}
WINDOW["time_column_type"] = "timestamp"
INCREMENTAL = {"mode": "incremental", "cursor_column": "id"}
KEYSET = {"mode": "chunked", "chunk_by_key": "id", "chunk_size": 40}
GATE = {"quality": {"row_count_max": 5}}
EXPORTS = {
    "whole": {},
    "follows": INCREMENTAL,
    "window": WINDOW,
    "keyset": KEYSET,
    "chunks": {"mode": "chunked", "chunk_column": "id", "chunk_size": 40},
    "gated": GATE,
    "gated_window": {**WINDOW, **GATE},
    "gated_keyset": {**KEYSET, **GATE},
    "gated_follows": {**INCREMENTAL, **GATE},
    "missing": {"table": "public.nowhere"},
    "missing_column": {**INCREMENTAL, "cursor_column": "none"},
    "missing_window": {**WINDOW, "time_column": "none"},
    "empty": {"table": "public.nothing"},
    "skips": {"table": "public.nothing", "skip_empty": True},
    "empty_follows": {**INCREMENTAL, "table": "public.nothing"},
}
# Kept apart on purpose, see compatibility.md: a part that a gate holds back is none.
NO_PARTS = {"gated", "gated_window", "gated_follows"}


def _told(outcome, name):
    (entry,) = [one for one in outcome.json["per_export"] if one["export_name"] == name]
    keys = ("status", "mode", "rows", "files", "skip_reason")
    told = {key: entry[key] for key in keys}
    if name in NO_PARTS:
        del told["files"]
    if told["status"] == "success":
        del told["skip_reason"]
    return told, bool(entry["error_message"]), bool(entry["run_id"])


def test_every_outcome_is_told_as_by_the_reference(side_by_side, any_postgres):
    both = side_by_side("shop")
    any_postgres.execute(TABLES)
    exports = [
        {
            "name": name,
            "table": "public.moves",
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            **more,
        }
        for name, more in EXPORTS.items()
    ]
    source = {"type": "postgres", "url_env": "DATABASE_URL"}
    both.configure(json.dumps({"source": source, "exports": exports}))
    for _ in range(2):
        theirs, ours = both.run("--json")
        for name in EXPORTS:
            assert (name, _told(ours, name)) == (name, _told(theirs, name))
        for key in ("success_count", "failed_count", "skipped_count", "total_rows"):
            assert (key, ours.json[key]) == (key, theirs.json[key])
    for one in ours.json["per_export"]:
        assert len(one["parts"]) == one["files"]
        assert one["destination_uri"].endswith(f"/out/{one['export_name']}")
