"""Errors that judge a run: data proven wrong, refusals, bugs, failed children."""

from __future__ import annotations

from typing import Final

from typing_extensions import override

from rivet.errors.base import RivetError


class DataIntegrityError(RivetError):
    """Data was proven wrong: what was written or read does not agree with its record."""

    code = "RIVET_DATA_INTEGRITY"
    exit_code = 3


class QualityGateError(DataIntegrityError):
    """A `quality:` rule of the export does not hold; nothing was published for it."""

    code = "RIVET_DATA_QUALITY"


class ReconcileMismatchError(DataIntegrityError):
    """The source holds another number of rows than the files."""

    code = "RIVET_DATA_RECONCILE"


class RowsLostError(DataIntegrityError):
    """Another number of rows arrived than the database says it sent."""

    code = "RIVET_DATA_ROWS_LOST"


class ManifestMismatchError(DataIntegrityError):
    """A file, the manifest and the state do not agree."""

    code = "RIVET_DATA_MANIFEST"


class ReconcileUnverifiedError(RivetError):
    """The source could not be counted: nothing is proven wrong, and nothing right."""

    code = "RIVET_RUN_RECONCILE_UNVERIFIED"


class SchemaDriftError(RivetError):
    """The columns changed since the last run and `on_schema_drift: fail` is set."""

    code = "RIVET_SCHEMA_DRIFT"
    exit_code = 4


class RefusedError(RivetError):
    """Stopped on purpose to protect data; a person decides how to go on."""

    code = "RIVET_REFUSED"
    exit_code = 5


class InternalError(RivetError):
    """An invariant of Rivet did not hold; a bug to report."""

    code = "RIVET_INTERNAL"
    exit_code = 6


class ExportsFailedError(RivetError):
    """Several exports failed; carries the exit code of the worst."""

    code = "RIVET_EXPORTS_FAILED"

    def __init__(
        self,
        message: str,
        *,
        worst_exit_code: int = 1,
        hint: str | None = None,
        code: str | None = None,
        **context: str | int | None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, **context)
        self.worst_exit_code = worst_exit_code

    @property
    @override
    def exit_status(self) -> int:
        """The exit code of the worst export."""
        return self.worst_exit_code


class ChildFailedError(ExportsFailedError):
    """Exports that ran in child processes failed; carries the exit code of the worst."""

    code = "RIVET_CHILD_FAILED"


_SEVERITY: Final = (6, 3, 4, 5, 2, 1)
_RETRYABLE_EXIT: Final = 2
_SIGNAL_BASE: Final = 128


def worst_exit_code(codes: list[int]) -> int:
    """Rank exit codes as 6 > 3 > 4 > 5 > 2 > any other failure > 0.

    Args:
        codes: Exit codes of exports; 0 means success. 128 and a signal's number, of a child process
            that a signal ended, counts as 2: worth trying again. Whoever gets that code from a
            shell takes the whole run for ended by the signal.

    Returns:
        The most serious one; 0 for none.
    """
    told = [_RETRYABLE_EXIT if code > _SIGNAL_BASE else code for code in codes]
    for code in _SEVERITY:
        if code in told:
            return code
    return next((code for code in told if code != 0), 0)
