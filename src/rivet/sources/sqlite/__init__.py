"""SQLite: database files, read through the standard library's driver.

SQLite types values, not columns: `types.py` maps declared types, `values.py` checks every value
against the mapping. Must not create, change or lock a file beyond a read transaction.
"""

from __future__ import annotations

from typing import Final

from rivet.sources.base import Capabilities
from rivet.sources.sqlite.connect import check_address, connect

__all__ = ["CAPABILITIES", "check_address", "connect"]

CAPABILITIES: Final = Capabilities(
    name="sqlite",
    title="SQLite",
    is_networked=False,
    default_port=None,
    url_schemes=("sqlite",),
    has_kernel=False,
    shares_snapshot=False,
)
