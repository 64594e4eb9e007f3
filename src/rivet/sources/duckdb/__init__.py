"""DuckDB: database files, read through DuckDB's own Arrow stream.

Must not create or change a file, and must not let a query reach another one.
"""

from __future__ import annotations

from typing import Final

from rivet.sources.base import Capabilities
from rivet.sources.duckdb.connect import check_address, connect

__all__ = ["CAPABILITIES", "check_address", "connect"]

CAPABILITIES: Final = Capabilities(
    name="duckdb",
    title="DuckDB",
    is_networked=False,
    default_port=None,
    url_schemes=("duckdb",),
    has_kernel=False,
    shares_snapshot=False,
)
