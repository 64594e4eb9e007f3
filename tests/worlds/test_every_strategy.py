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


@pytest.mark.parametrize(("name", "strategy"), pairs(WORLDS))
def test_the_files_hold_the_rows(
    world_named: Callable[[str], World], name: str, strategy: str, tmp_path: Path
) -> None:
    attempt(world_named(name), WORLDS[name], strategy, tmp_path)
