"""Pytest plugin: `world_named`, which makes each world once per process."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.worlds import (  # noqa: F401 - they register their worlds
    files,
    mariadb,
    mysql_servers,
    postgres,
    postgres_catalogs,
)
from support.worlds.world import WORLDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from support.worlds.world import World


@pytest.fixture(scope="session")
def world_named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], World]]:
    """Worlds by name, each made once."""
    made: dict[str, World | Exception] = {}
    with ExitStack() as stack:

        def get(name: str) -> World:
            if name not in made:
                folder = tmp_path_factory.mktemp("world")
                try:
                    made[name] = stack.enter_context(WORLDS[name].make(folder))
                except Exception as error:  # noqa: BLE001 - told again for every strategy
                    made[name] = error
            found = made[name]
            if isinstance(found, Exception):
                raise found
            return found

        yield get
