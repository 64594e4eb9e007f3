"""Pytest plugin: the garbage collector rests while tests are collected, and passes over them then.

Seven thousand tests are a heap that lives as long as the process: to go through it again and again
took an eighth of all the time. Afterwards it works as seldom as in the command itself.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_THRESHOLDS: Final = (200_000, 20, 20)  # those of the command


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_THRESHOLDS)
        gc.enable()
