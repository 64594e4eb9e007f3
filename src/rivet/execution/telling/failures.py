"""Failure of an invocation: the error that it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import ChildFailedError, worst_exit_code
from rivet.execution.telling.reports import INTERRUPTED

if TYPE_CHECKING:
    from rivet.model.report import RunReport


def failure_of_run(report: RunReport) -> ChildFailedError | None:
    """Return one error for all failures of a run, None where there are none.

    For a single export it carries that failure's own code and hint; for several it names all and
    carries the worst exit code.
    """
    failures = [(export.export_name, export.failure or INTERRUPTED) for export in report.failures]
    if not failures:
        return None
    status = worst_exit_code([failure.exit_code for _, failure in failures])
    if len(report.exports) == 1:
        only = failures[0][1]
        return ChildFailedError(
            only.message, hint=only.hint, code=only.code, child_exit_code=status
        )
    names = ", ".join(f"'{name}'" for name, _ in failures)
    return ChildFailedError(
        f"{len(failures)} of {len(report.exports)} exports failed: {names}",
        hint=f"run one alone to see its whole report: rivet run -c {report.config_path} "
        f"-e {failures[0][0]}",
        child_exit_code=status,
    )


def raise_for_failures(report: RunReport) -> None:
    """Raise `failure_of_run`.

    Raises:
        ChildFailedError: At least one export failed.
    """
    error = failure_of_run(report)
    if error is not None:
        raise error
