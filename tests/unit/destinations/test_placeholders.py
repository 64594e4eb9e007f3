"""Placeholders in destination paths."""

from __future__ import annotations

import pytest

from rivet.destinations.placeholders import resolve_placeholders
from rivet.errors import ConfigError

VALUES = {"date": "2026-11-23", "export": "orders", "table": "orders", "run_id": "orders_x"}


def test_every_value_is_put_in() -> None:
    path = resolve_placeholders("out/{export}/dt={date}/{run_id}-{table}", VALUES)
    assert path == "out/orders/dt=2026-11-23/orders_x-orders"
    assert resolve_placeholders("plain/path", {}) == "plain/path"


@pytest.mark.parametrize(
    "text", ["{name}", "{}", "{Date}", "{date", "date}", "{{date}}", "{da te}"]
)
def test_what_is_not_a_placeholder_is_refused(text) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_placeholders(text, VALUES)
    assert caught.value.hint


def test_a_placeholder_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="no value for this export"):
        resolve_placeholders("out/{partition}", VALUES)


@pytest.mark.parametrize("text", ["../out", "out/../x", "out/..", "out\\..\\x"])
def test_steps_upwards_are_refused(text) -> None:
    with pytest.raises(ConfigError, match=r"'\.\.' step"):
        resolve_placeholders(text, VALUES)


@pytest.mark.parametrize("value", ["..", "a/b", "", "a\\b"])
def test_a_value_cannot_add_steps(value) -> None:
    with pytest.raises(ConfigError, match="cannot stand in a path"):
        resolve_placeholders("out/{export}", {"export": value})


def test_a_value_with_braces_is_not_read_again() -> None:
    assert resolve_placeholders("{export}", {"export": "{date}"}) == "{date}"
