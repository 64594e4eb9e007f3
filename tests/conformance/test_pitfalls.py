"""The list of known mistakes about types names cases and tests that exist."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from rivet.sources import ENGINES
from support.cases import CASES

HERE = Path(__file__)
PITFALLS = YAML(typ="safe").load(HERE.with_name("pitfalls.yaml"))


@pytest.mark.parametrize("pitfall", PITFALLS, ids=[one["bug"] for one in PITFALLS])
def test_what_shows_it_exists(pitfall: dict[str, list[str]]) -> None:
    for place in pitfall["shown"]:
        file, _, function = place.partition("::")
        if function:
            assert f"def {function}(" in (HERE.parents[1] / file).read_text(encoding="utf-8")
        else:
            engine = file.partition("/")[0]
            assert engine in {"common", *ENGINES}
            assert (CASES / f"{file}.yaml").exists(), place
