"""Names of runs and parts: unique without relying on a clock or a listing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from rivet.model.chunk import Claim

_RUN: Final = re.compile(r"_\d{8}T\d{6}\.\d{3}_[0-9a-f]{8,32}", re.ASCII)
_PART: Final = re.compile(r"-(\d{5,10})-(\d{1,10})-(\d{4,10})\.([a-z][a-z0-9.]{0,15})", re.ASCII)


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


def is_run_of(run_id: str, export_name: str) -> bool:
    """Whether a text is a run id as `new_run_id` makes it for this export, whoever wrote it."""
    own = run_id.startswith(export_name)
    return own and _RUN.fullmatch(run_id.removeprefix(export_name)) is not None


def place_of_part(name: str, run_id: str) -> tuple[int, int, int] | None:
    """Return chunk, claim number and ordinal from a part's file name.

    Returns:
        None where `part_name` makes no such name for this run: nothing may be done with it.
    """
    match = _PART.fullmatch(name.removeprefix(run_id)) if name.startswith(run_id) else None
    return None if match is None else (int(match[1]), int(match[2]), int(match[3]))


def _stamp(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}"
