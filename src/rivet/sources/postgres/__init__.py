"""The engine `postgresql`: psycopg connects and asks the catalog, the wire kernel reads rows."""

from __future__ import annotations

from typing import Final

from rivet.sources.base import Capabilities
from rivet.sources.postgres.address import SCHEMES
from rivet.sources.postgres.connect import check_address, connect
from rivet.sources.postgres.positions import is_at_or_before

__all__ = ["CAPABILITIES", "check_address", "connect"]

CAPABILITIES: Final = Capabilities(
    name="postgresql",
    title="PostgreSQL",
    is_networked=True,
    default_port=5432,
    url_schemes=SCHEMES,
    has_kernel=True,
    shares_snapshot=True,
    rejoins_snapshot=True,
    is_at_or_before=is_at_or_before,
)
