"""Preflight of an invocation: where none of its exports can run, it is over at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import RivetError
from rivet.execution.context import random_hex, utc_now
from rivet.execution.progress import RunProgress, failure_of
from rivet.execution.run.preflight import refuse_unready
from rivet.execution.telling.reports import finished_event
from rivet.plan.naming import new_run_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rivet.config.models import Config, ExportConfig
    from rivet.events import Emit
    from rivet.model.report import ExportReport

__all__ = ["refused_all"]


def refused_all(
    config: Config, exports: Sequence[ExportConfig], env: Mapping[str, str], emit: Emit
) -> dict[str, ExportReport]:
    """Return the reports of exports none of which can run; nothing where one of them can.

    Such an invocation is over before there is a state: nothing is written anywhere.
    """
    found: list[tuple[ExportConfig, RivetError]] = []
    for export in exports:
        try:
            refuse_unready(config, export, env)
        except RivetError as error:
            found.append((export, error))
        else:
            return {}
    reports: dict[str, ExportReport] = {}
    for export, refusal in found:
        now = utc_now()
        ledger = RunProgress(export.name, new_run_id(export.name, now, random_hex()), now)
        report = ledger.report(
            "failed", finished_at=utc_now(), peak_rss_mb=0, failure=failure_of(refusal)
        )
        reports[export.name] = report
        emit(finished_event(report))
    return reports
