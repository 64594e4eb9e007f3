"""Pytest plugin: the secrets that a test makes known are not masked in the texts of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rivet import redact

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _forgotten_secrets() -> Iterator[None]:
    before = redact._known
    yield
    redact._known = before
