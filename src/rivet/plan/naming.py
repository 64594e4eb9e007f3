"""Names of runs and parts: unique without relying on a clock or a listing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.chunk import Claim


def new_run_id(export_name: str, now: datetime, random_hex: str) -> str:
    """Return `<export>_<UTC time>_<random>`; the random tail alone makes it unique.

    Args:
        export_name: Name of the export.
        now: Aware UTC.
        random_hex: At least eight random hex digits.
    """
    return f"{export_name}_{_stamp(now)}_{random_hex}"


def new_aggregate_id(now: datetime, random_hex: str) -> str:
    """Return the id of an invocation with several exports."""
    return f"agg_{_stamp(now)}_{random_hex}"


def part_name(claim: Claim, ordinal: int, extension: str) -> str:
    """Return a part's file name: run id, chunk, claim number, ordinal.

    A superseded worker has a lower claim number, so it can never overwrite a newer worker's part.
    """
    return f"{claim.run_id}-{claim.chunk.index:05d}-{claim.number}-{ordinal:04d}.{extension}"


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}"
