"""Exports side by side: both programs take the same keys and options, and their children say alike.

What differs on purpose is listed in `docs/reference/compatibility.md`.
"""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.live("postgresql")

IPC = ("started", "finished")


def several(*tables, **top):
    exports = [
        {
            "name": table,
            "query": f"SELECT * FROM {table}",
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{table}"},
        }
        for table in tables
    ]
    source = {"type": "postgres", "url_env": "DATABASE_URL"}
    return json.dumps({"source": source, "exports": exports} | top)


SHOP = ("customers", "orders", "order_lines")


def events_of(outcome):
    lines = [json.loads(line) for line in outcome.stdout.splitlines()]
    return {line["type"]: line for line in lines if line["type"] in IPC}


@pytest.mark.parametrize(
    ("given_as", "key", "mode"),
    [
        ("key", "parallel_export_processes", "parallel-processes"),
        ("option", "parallel_exports", "parallel-threads"),
    ],
)
def test_the_same_key_and_option_run_exports_side_by_side(side_by_side, given_as, key, mode):
    both = side_by_side("shop")
    both.configure(several(*SHOP, **({key: True} if given_as == "key" else {})))
    option = [] if given_as == "key" else [f"--{key.replace('_', '-')}"]
    theirs, ours = both.run("--json", *option)
    expected, found = theirs.expect(0).json, ours.expect(0).json
    assert expected["parallel_mode"] == found["parallel_mode"] == mode
    for entry in ("total_exports", "success_count", "failed_count", "total_rows"):
        assert found[entry] == expected[entry]

    def by_name(summary):
        return {one["export_name"]: (one["status"], one["rows"]) for one in summary["per_export"]}

    assert by_name(found) == by_name(expected)


def test_processes_win_where_both_keys_are_set(side_by_side):
    both = side_by_side("shop")
    both.configure(several(*SHOP, parallel_exports=True, parallel_export_processes=True))
    for outcome in both.run("--json"):
        assert outcome.expect(0).json["parallel_mode"] == "parallel-processes"


def test_both_options_are_an_error(side_by_side):
    both = side_by_side("shop")
    both.configure(several(*SHOP))
    for outcome in both.run("--parallel-exports", "--parallel-export-processes"):
        assert outcome.code != 0


def test_children_tell_the_same_events(side_by_side):
    both = side_by_side("shop")
    both.configure(several(*SHOP))
    both.theirs.variables["RIVET_IPC_EVENTS"] = "1"
    theirs, ours = both.run("-e", "orders")
    expected, found = events_of(theirs.expect(0)), events_of(ours.expect(0))
    assert set(expected) == set(found) == set(IPC)
    assert set(expected["started"]) <= set(found["started"])
    assert set(expected["finished"]) <= set(found["finished"])
    for key in ("export_name", "mode"):
        assert found["started"][key] == expected["started"][key]
    for key in ("export_name", "status", "total_rows", "files_produced", "error_message"):
        assert found["finished"][key] == expected["finished"][key]


def test_one_failure_leaves_the_others_whole(side_by_side):
    both = side_by_side("shop")
    both.configure(several("customers", "no_such", "orders", parallel_export_processes=True))
    theirs, ours = both.run("--json")
    assert theirs.code == ours.code
    for outcome in (theirs, ours):
        assert outcome.json["failed_count"] == 1
