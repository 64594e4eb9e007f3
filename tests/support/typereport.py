"""Pytest plugin: `--types-report` writes down which type cases passed, on which servers.

`tests/conformance/report.json` then holds, per engine, the versions it ran on and every case that
passed on all of them, in every way to read it and with both kernels, with a digest of its content.
The pages of types are rendered from it, and are stale once a case has changed since.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pytest

REPORT: Final = Path(__file__).parents[1] / "conformance" / "report.json"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--types-report", action="store_true", help="write tests/conformance/report.json anew"
    )


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if not config.getoption("--types-report"):
        return
    engines: dict[str, dict[str, Any]] = {}
    failed: set[tuple[str, str]] = set()
    for outcome in ("passed", "failed"):
        for one in terminalreporter.stats.get(outcome, []):
            facts = dict(one.user_properties)
            if "type_case" not in facts:
                continue
            engine = facts["engine"]
            if outcome == "failed":
                failed.add((engine, facts["type_case"]))
                continue
            entry = engines.setdefault(engine, {"versions": set(), "kernels": set(), "cases": {}})
            entry["versions"].add(facts["version"])
            entry["kernels"].add(facts["kernel"])
            entry["cases"][facts["type_case"]] = facts["digest"]
    made = {
        engine: {
            "versions": sorted(entry["versions"]),
            "kernels": sorted(entry["kernels"] - {""}),
            "cases": {
                name: digest
                for name, digest in sorted(entry["cases"].items())
                if (engine, name) not in failed
            },
        }
        for engine, entry in sorted(engines.items())
    }
    REPORT.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    terminalreporter.write_line(f"written: {REPORT.name}")
