"""Each line of docs/reference/guarantees.md: what the run prints, and that the rows are there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from rivet.ui import blocks
from scripts.render_docs import GUARANTEES
from support.tree import ROOT
from support.worlds.strategies import Case, same
from support.worlds.world import WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.worlds.world import World

ALL: list[dict[str, Any]] = YAML(typ="safe").load(GUARANTEES)
LINES = [line for line in ALL if "proof" not in line]


def _printed(report: Any) -> dict[str, str]:
    """Return the lines of the block a run prints; times are left out."""
    found = {name: text for name, text in blocks._rows(report) if text}
    if "consistency" in found:
        found["consistency"] = found["consistency"].partition(", held")[0]
    return found


def _name(line: dict[str, Any]) -> str:
    return f"{line['engine']}-{line['mode']}-{line['setting']}"


def test_lines_that_are_not_of_one_run_name_their_test() -> None:
    proven = [line for line in ALL if "proof" in line]
    assert proven
    for line in proven:
        path, _, name = line["proof"].partition("::")
        assert f"\ndef {name}(" in (ROOT / path).read_text(encoding="utf-8"), line["proof"]
        assert not {"world", "export"} & line.keys()


@pytest.mark.parametrize("line", LINES, ids=_name)
def test_a_run_says_what_is_guaranteed(
    world_named: Callable[[str], World], line: dict[str, Any], tmp_path: Path
) -> None:
    if line["world"] not in WORLDS:
        pytest.skip("there is no such server here")
    world = world_named(line["world"])
    world = replace(world, source={**world.source, **line.get("source", {})})
    case = Case(world, tmp_path, line["export"], line.get("top", {}))
    before = world.rows_of_source()
    manifest = tmp_path / "out" / "manifest.json"
    if "before" in line:
        assert Case(world, tmp_path, line["before"]).run().is_success
    published = manifest.read_bytes() if manifest.exists() else None
    report = case.run(**line.get("options", {}))
    rows = f"{len(before):,}"  # a world may have been written to by the tests before
    says = {name: words.replace("{rows}", rows) for name, words in line["says"].items()}
    if (code := says.pop("error", None)) is not None:
        assert report.failure is not None
        assert report.failure.code == code
        assert (manifest.read_bytes() if manifest.exists() else None) == published
        return
    assert report.is_success, report.failure
    warning = says.pop("warning", None)
    assert warning is None or warning in report.warnings
    printed = _printed(report)
    assert {name: printed.get(name) for name in says} == says
    for name in line.get("silent", ()):
        assert not (report.warnings if name == "warning" else printed.get(name))
    assert same(case.published(), [] if line.get("reads") == "nothing" else before) == ""
