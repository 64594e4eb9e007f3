"""Every strategy in every world: the files hold the rows of the source, or the run is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.worlds.strategies import attempt, pairs
from support.worlds.world import WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.worlds.world import World


# What waits for its mend: (part of a world's name, strategies; none are all of them).
_LATER: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("a key that descends", ()),
    ("keys under a domain", ("key", "resume by key", "three by key", "keyset")),
    ("says it has no NULL", ("dense", "days", "three by group")),
    ("NOT NULL that is not valid", ()),
    ("grants on columns", ()),
    ("a pooler", ("resume by itself", "three by range", "three by key", "three by group")),
)


def _is_ready(pair: tuple[str, str]) -> bool:
    world, strategy = pair
    return not any(part in world and strategy in (ways or pair) for part, ways in _LATER)


@pytest.mark.parametrize(("name", "strategy"), [*filter(_is_ready, pairs(WORLDS))])
def test_the_files_hold_the_rows(
    world_named: Callable[[str], World], name: str, strategy: str, tmp_path: Path
) -> None:
    attempt(world_named(name), WORLDS[name], strategy, tmp_path)
