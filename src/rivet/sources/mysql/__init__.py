"""The engine `mysql`: PyMySQL connects and asks the catalog, the wire kernel reads rows.

MySQL from 5.7 and MariaDB from 10.5 on are one engine. They differ in how a statement's time is
limited, where JSON is kept and how a place in the log is written; `link.py` finds out which it is.
"""

from __future__ import annotations

from typing import Final

from rivet.sources.base import Capabilities
from rivet.sources.mysql.address import SCHEMES
from rivet.sources.mysql.connect import check_address, connect
from rivet.sources.mysql.positions import is_at_or_before

__all__ = ["CAPABILITIES", "check_address", "connect"]

CAPABILITIES: Final = Capabilities(
    name="mysql",
    title="MySQL or MariaDB",
    is_networked=True,
    default_port=3306,
    url_schemes=SCHEMES,
    has_kernel=True,
    shares_snapshot=True,
    cancels_by_connection=True,
    is_at_or_before=is_at_or_before,
)
