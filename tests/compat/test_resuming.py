"""`--resume` from every state that an export can be in, by both programs.

This test writes the table of `docs/reference/compatibility.md`: `RIVET_WRITE_DOCS=1 pytest` on this
file.
"""

from __future__ import annotations

import os
from typing import Final

import pytest

from support.side_by_side import one_export
from support.tree import ROOT

pytestmark = pytest.mark.live("postgresql")

PAGE: Final = ROOT / "docs" / "reference" / "compatibility.md"
BEGIN: Final = "<!-- written by tests/compat/test_resuming.py -->\n"
END: Final = "<!-- as far as here -->\n"
CHUNKED: Final = {
    "table": "orders",
    "mode": "chunked",
    "chunk_column": "id",
    "chunk_size": 4000,
    "chunk_checkpoint": True,
}
INCREMENTAL: Final = {"table": "orders", "mode": "incremental", "cursor_column": "id"}
# Keys of the export, arguments, whether it ran to its end before, and why it is as it is here.
STATES: Final = {
    "a chunked export whose newest run is complete": (
        CHUNKED,
        ("--resume",),
        True,
        "nothing is left to do, and that is no fault: a job that always says `--resume` ends with 0"
        " after a good run and takes up a broken one; `skip_reason` names the run",
    ),
    "the same with `--force`": (CHUNKED, ("--resume", "--force"), True, "a new run begins"),
    "a chunked export that was never run": (
        CHUNKED,
        ("--resume",),
        False,
        "the first run of that job begins",
    ),
    "`mode: full`, run before": (
        {"table": "orders"},
        ("--resume",),
        True,
        "there is nothing to take up in one piece: it begins anew",
    ),
    "`mode: incremental`, run before": (
        INCREMENTAL,
        ("--resume",),
        True,
        "every run goes on by itself",
    ),
}


def _came_to(done):
    (told,) = done.json["per_export"] if done.stdout.strip() else ({},)
    if done.code:
        return f"refused, exit {done.code}"
    return f"{told['status']}, {told['rows']:,} rows, exit 0"


def test_from_every_state(side_by_side):
    both = side_by_side("shop")
    rows = []
    for number, (what, (keys, arguments, is_run, why)) in enumerate(STATES.items()):
        destination = {"type": "local", "path": f"out/{number}"}
        both.configure(one_export(**{**keys, "name": f"x{number}", "destination": destination}))
        if is_run:
            for done in both.run():
                done.expect(0)
        theirs, ours = both.run(*arguments, "--json")
        rows.append(f"| {what} | {_came_to(theirs)} | {_came_to(ours)} | {why} |")
        assert ours.code == 0
    table = "\n".join(["| Where | Reference | Here | Why |", "|---|---|---|---|", *rows]) + "\n"
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    written = before + BEGIN + "\n" + table + "\n" + END + rest.partition(END)[2]
    if os.environ.get("RIVET_WRITE_DOCS"):
        PAGE.write_text(written, encoding="utf-8")
    assert page == written, "the table has changed: RIVET_WRITE_DOCS=1 writes it"
