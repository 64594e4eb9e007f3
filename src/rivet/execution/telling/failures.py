"""Failure of an invocation: the error that it ends with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet import errors
from rivet.errors import ChildFailedError, ExportsFailedError, RivetError, worst_exit_code
from rivet.execution.telling.reports import INTERRUPTED

if TYPE_CHECKING:
    from rivet.model.report import Failure, RunReport

_PROCESSES: Final = "parallel-processes"
_MOST_NAMED: Final = 10


def failure_of_run(report: RunReport, *, is_summed_up: bool = True) -> RivetError | None:
    """Return one error for all failures of a run, None where there are none.

    A single export's failure is its own error; for several it names them and carries the worst
    exit code. Its `report` is the whole one.

    Args:
        report: The invocation.
        is_summed_up: A summary of several exports has told why each failed. Without one, the only
            one of several that failed is told by its own error, too.
    """
    failures = [(export.export_name, export.failure or INTERRUPTED) for export in report.failures]
    if not failures:
        return None
    several = ChildFailedError if report.parallel_mode == _PROCESSES else ExportsFailedError
    if len(failures) == 1 and not (is_summed_up and len(report.exports) > 1):
        error = _own_error(failures[0][1], several)
    else:
        names = ", ".join(f"'{name}'" for name, _ in failures[:_MOST_NAMED])
        if len(failures) > _MOST_NAMED:
            names += f" and {len(failures) - _MOST_NAMED:,} more"
        error = several(
            f"{len(failures):,} of {len(report.exports):,} exports failed: {names}",
            worst_exit_code=worst_exit_code([failure.exit_code for _, failure in failures]),
        )
    error.report = report
    return error


def _own_error(failure: Failure, several: type[ExportsFailedError]) -> RivetError:
    """Return the error that was raised, or one of its class where that was in a child process."""
    status = worst_exit_code([failure.exit_code])
    if failure.error is not None:
        return failure.error
    known = {name: getattr(errors, name) for name in errors.__all__ if name.endswith("Error")}
    kind: type[RivetError] | None = known.get(failure.error_class)
    if kind is not None and not issubclass(kind, ExportsFailedError) and kind.exit_code == status:
        return kind(failure.message, hint=failure.hint, code=failure.code)
    return several(failure.message, hint=failure.hint, code=failure.code, worst_exit_code=status)


def raise_for_failures(report: RunReport) -> None:
    """Raise `failure_of_run`.

    Raises:
        RivetError: At least one export failed.
    """
    error = failure_of_run(report)
    if error is not None:
        raise error
