"""The version of Rivet: the same text as in `pyproject.toml`, which a test checks."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
