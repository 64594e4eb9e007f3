"""Runs, files and state of the reference are understood, and it understands ours."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from rivet.destinations.local import Options
from rivet.destinations.local import open as open_local
from rivet.manifest import parse_manifest
from rivet.verify.manifest_check import check_prefix
from support.comparison import manifest_of, part_paths
from support.side_by_side import in_full_mode, one_export

pytestmark = pytest.mark.live("postgresql")


def _check(prefix):
    findings = check_prefix(open_local(Options(path=str(prefix))))
    assert findings.failures == []
    return findings.parts_checked


def _strict(text):
    return text.replace("    mode: full\n", "    mode: full\n    on_schema_drift: fail\n")


def _hashes(folder, pattern):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob(pattern)
    }


def test_its_files_and_state_are_taken_over(side_by_side):
    both = side_by_side("large")
    home = both.theirs.directory
    made = both.scaffold()
    assert "mode: chunked" in made
    assert "mode: incremental" in made
    both.configure(made)
    both.theirs("run", "-c", "rivet.yaml").expect(0)
    events, readings = home / "output/events", home / "output/readings"
    old = manifest_of(events)
    assert old["part_count"] > 1
    assert parse_manifest((events / "manifest.json").read_bytes()).row_count == 120_000
    assert (_check(events), _check(readings)) == (old["part_count"], 1)

    quarantined = events / "_quarantine" / "earlier" / "part.parquet"
    quarantined.parent.mkdir(parents=True)
    quarantined.write_text("set aside")
    state = _hashes(home, ".rivet_state.db*")
    parts = _hashes(events, "*.parquet")
    rivet = both.take_over()
    both.configure(_strict(in_full_mode(made)))
    told = rivet("state", "import", "-c", "rivet.yaml").expect(0).stdout
    assert "took over the progress of events, readings" in told
    assert "took over the columns of events, readings" in told
    rivet("run", "-c", "rivet.yaml").expect(0)

    new = manifest_of(events)
    assert new["run_id"] != old["run_id"]
    assert new["row_count"] == old["row_count"]
    assert _check(events) == new["part_count"]
    listed = rivet("files", "-c", "rivet.yaml", "-e", "events").expect(0).stdout.split()
    assert listed == part_paths(events)
    assert parts.items() <= _hashes(events, "*.parquet").items()
    assert (events / f"manifest-{old['run_id']}.json").is_file()
    assert (events / "_quarantine/earlier/part.parquet").read_text() == "set aside"
    assert _hashes(home, ".rivet_state.db*") == state


def test_columns_of_every_type_are_remembered_without_drift(side_by_side):
    both = side_by_side("every_type")
    made = both.scaffold()
    both.configure(made)
    both.theirs("run", "-c", "rivet.yaml").expect(0)
    rivet = both.take_over()
    told = rivet("state", "import", "-c", "rivet.yaml").expect(0).stdout
    assert told == "took over the columns of every_type\n"
    both.configure(_strict(made))
    done = rivet("run", "-c", "rivet.yaml").expect(0)
    assert "schema:            unchanged" in done.stderr


def test_a_failed_run_of_it_has_a_manifest_that_can_be_read(side_by_side):
    both = side_by_side("beyond")
    both.configure(one_export(table="networks"))
    both.theirs("run", "-c", "rivet.yaml").expect(1)
    prefix, _ = both.prefixes("out")
    found = parse_manifest((prefix / "manifest.json").read_bytes())
    assert (found.status, found.row_count) == ("failed", 0)


def test_it_accepts_our_files_and_finds_damage_in_them(side_by_side):
    both = side_by_side("shop")
    both.configure(both.scaffold())
    both.ours("run", "-c", "rivet.yaml").expect(0)
    judge = replace(both.theirs, directory=both.ours.directory)
    validate = ("validate", "-c", "rivet.yaml", "--format", "json")
    for export in judge(*validate).expect(0).json["exports"]:
        verdict = export["verification"]
        assert verdict["passed"], export
        assert verdict["manifest_found"]
    [part] = part_paths(both.ours.directory / "output/orders")
    Path(part).write_bytes(Path(part).read_bytes() + b"x")
    [damaged] = judge(*validate, "-e", "orders").expect(3).json["exports"]
    assert damaged["verification"]["parts_failed"] == 1


RUN = ("run", "-c", "rivet.yaml")
NOBODY = {"DATABASE_URL": "postgresql://u:p@127.0.0.1:1/db"}
# What goes wrong: arguments, keys of the export, variables; exit code of the reference, ours; the
# code both print.
FAILURES = {
    "an option that is not known": (("run", "--nonsense"), {}, {}, 2, 1, None),
    "no configuration named": (("run",), {}, {"RIVET_CONFIG": "a"}, 2, 1, None),
    "no such configuration": (("run", "-c", "a"), {}, {}, 1, 1, "RIVET_CONFIG_FILE_UNREADABLE"),
    "no such export": ((*RUN, "-e", "nobody"), {}, {}, 1, 1, "RIVET_CLI_EXPORT_UNKNOWN"),
    "half a parameter": ((*RUN, "-p", "day"), {}, {}, 1, 1, "RIVET_CLI_VALUE_INVALID"),
    "a key that is not known": (RUN, {"colour": 1}, {}, 1, 1, "RIVET_CONFIG_YAML_INVALID"),
    "a type that is not known": (
        RUN,
        {"columns": {"total": "euro"}},
        {},
        1,
        1,
        "RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID",
    ),
    "no such table": (RUN, {"table": "ordres"}, {}, 1, 1, "RIVET_SOURCE_TABLE_NOT_FOUND"),
    "a server that is not there": (RUN, {"tuning": {"max_retries": 0}}, NOBODY, 2, 2, None),
    "a broken quality rule": (RUN, {"quality": {"row_count_min": 10**6}}, {}, 3, 3, None),
}


def _ended(program, arguments, variables):
    done = program(*arguments, env=variables)
    code = re.search(r"^Error: \[(RIVET_\w+)\]", done.stderr, re.MULTILINE)
    return done.code, code and code[1]


def test_exit_codes_and_error_codes(side_by_side):
    both = side_by_side("shop")
    theirs, ours = {}, {}
    for what, (arguments, keys, variables, *_) in FAILURES.items():
        both.configure(one_export(**{"table": "orders", **keys}))
        theirs[what] = _ended(both.theirs, arguments, variables)
        ours[what] = _ended(both.ours, arguments, variables)
    assert theirs == {what: (row[3], row[5]) for what, row in FAILURES.items()}
    own = {what: (row[4], row[5] or ours[what][1]) for what, row in FAILURES.items()}
    assert ours == own
    assert all(code for _, code in ours.values())
