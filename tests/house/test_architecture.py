"""The page of the architecture names files that are there, and files say what they are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "rivet"
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
MOST_HOPS = 15

# What somebody who knows the field, and not this house, would search for.
TERMS = (
    "adaptive concurrency",
    "backfill",
    "begin of a run",
    "child process",
    "chunk task",
    "chunking",
    "commit of parts",
    "connection limits",
    "connection budget",
    "connection pool",
    "context",
    "coordinator",
    "data quality",
    "event journal",
    "execution layer",
    "exit status",
    "failure of an invocation",
    "fault injection",
    "file listing",
    "finish of a run",
    "fork",
    "graceful shutdown",
    "incremental window",
    "invocation",
    "job",
    "launcher",
    "line splitting",
    "lost state",
    "lock of an export",
    "log positions",
    "maintenance",
    "manifest",
    "memory monitor",
    "metadata columns",
    "non-deterministic",
    "out-of-memory",
    "parallelism",
    "parent-death",
    "part files",
    "path safety",
    "prefetch",
    "preloading",
    "preflight",
    "preparation",
    "progress",
    "publisher",
    "read api",
    "repair",
    "report",
    "resume",
    "retention",
    "retry",
    "row estimates",
    "run of one export",
    "selection of exports",
    "snapshot",
    "state commands",
    "sparse key ranges",
    "supervisor",
    "thread pool",
    "upload stage",
    "process pool",
    "pools of workers",
    "validation",
    "warnings",
    "watermark",
    "work stealing",
    "worker",
)

# Names that meant several things, or nothing to somebody from outside, and what took their place.
RETIRED = {
    "Took": "SliceTiming",
    "Pace": "SliceSizer",
    "LentSnapshot": "SharedSnapshot",
    "lend": "export_snapshot",
    "borrow": "import_snapshot",
    "borrowed": "imported",
    "apart": "dedicated",
    "hold_running": "assert_running",
    "hold_claim": "assert_claim_current",
    "Instant": "Snapshot",
    "TakenUp": "ResumeDecision",
    "run_to_take_up": "decide_resume",
    "take_up": "resume",
    "taken_up": "resumed",
    "standing_parts": "verified_parts",
    "set_aside": "quarantine_orphans, reserve, move_damaged_state",
    "CountsHarm": "ReportsImpact",
    "GivesAway": "SplittableStream",
    "Look": "ProbeKeys",
    "Question": "KeyProbe",
    "is_many": "is_chunked",
    "is_lasting": "survives_new_snapshot",
    "is_about": "is_estimated",
    "at_once": "max_concurrent",
    "Ledger": "RunProgress",
}


def test_every_file_on_the_page_is_there() -> None:
    named = set(re.findall(r"(?<![\w./-])((?:[a-z]+/)*[a-z_*0-9]+\.py)\b", PAGE))
    assert len(named) > 40
    missing = [name for name in named if not list(SOURCE.glob(name))]
    assert missing == []


@pytest.mark.parametrize("title", ["One batch through the house", "One setting through the house"])
def test_a_walk_through_the_house_is_short(title: str) -> None:
    walk = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    hops = [int(number) for number in re.findall(r"^ {4}(\d+) +\S+\.py ", walk, re.MULTILINE)]
    assert hops == list(range(1, len(hops) + 1))
    assert 5 < len(hops) <= MOST_HOPS


def test_the_first_sentence_of_a_file_has_a_term_of_the_field() -> None:
    speechless = []
    for path in sorted((SOURCE / "execution").rglob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        sentence = text.split("\n\n")[0].lower()
        if not any(term in sentence for term in TERMS):
            speechless.append(f"{path.relative_to(SOURCE)}: {sentence}")
    assert speechless == []


def test_no_retired_name_comes_back() -> None:
    found = [
        f"{path.relative_to(SOURCE)}: {name} is {RETIRED[name]}"
        for path in sorted(SOURCE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for field in ("id", "attr", "arg", "name")
        if (name := str(getattr(node, field, None)).removeprefix("_")) in RETIRED
    ]
    assert found == []
