"""Every configuration that a test of this folder gets accepted also survives the way to a child."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from rivet.config.load import config_from_document
from rivet.config.models import Config
from rivet.config.resolve import (
    column_rules,
    output_plan,
    quality_rules,
    resolve_source,
    resolve_tuning,
)
from rivet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST = 40


class _AnyName(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"value of {name}"

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name, default) or self[name]


def meaning(config: Config, env: Mapping[str, str]) -> dict[str, Any]:
    """Return all that the rest of the program takes from a configuration."""

    def source() -> Any:
        try:
            return resolve_source(config, env)
        except ConfigError as error:
            return error.message

    return {
        "source": source(),
        "exports": [
            (
                export.to_document(),
                output_plan(export),
                column_rules(export),
                quality_rules(export),
                resolve_tuning(config, export),
            )
            for export in config.exports
        ],
        "models": [config.source, *config.exports],
        "tuning": resolve_tuning(config),
        "budgets": [config.max_connections, config.max_memory_mb],
        "parallel": [config.parallel_exports, config.parallel_export_processes],
        "origin": [config.path, config.base_dir, config.digest, config.params],
    }


def survives(config: Config) -> Config:
    """Send a configuration to a child and back, and compare."""
    text = json.dumps(config.to_document())
    again = config_from_document(
        json.loads(text), path=config.path, digest=config.digest, params=dict(config.params)
    )
    env = _AnyName()
    assert meaning(again, env) == meaning(config, env)
    assert json.dumps(again.to_document()) == text
    assert again.warnings == ()
    return again


@pytest.fixture(name="survives", scope="session")
def _survives() -> Callable[[Config], Config]:
    return survives


@pytest.fixture(autouse=True)
def _what_is_accepted_survives(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    accepted: list[Config] = []
    originating = Config.originating

    def remember(self: Config, *arguments: Any, **keywords: Any) -> Config:
        config = originating(self, *arguments, **keywords)
        if len(accepted) < _MOST:
            accepted.append(config)
        return config

    monkeypatch.setattr(Config, "originating", remember)
    yield
    monkeypatch.undo()
    for config in accepted:
        survives(config)
