"""Every error Rivet raises, its exit code, and whether trying again can help.

This module must not import anything else of Rivet: all layers raise from here.

    RivetError                         exit 1
    |- ConfigError                     ConfigSyntaxError, SecretNotFoundError, MissingExtraError,
    |                                  UnknownEngineError, UnknownDestinationError
    |- PlanError                       UnsupportedPlanError, StalePlanError, UnsafeTypeError
    |- SourceError                     SourceAuthError, SourceQueryError,
    |  |                               SourceStatementTimeoutError
    |  |- SourceUnavailableError       exit 2, retryable
    |  '- SourceInterruptedError       exit 2, retryable, reconnect
    |- FormatError
    |- DestinationError                DestinationAuthError, ObjectExistsError
    |  '- DestinationUnavailableError  exit 2, retryable
    |- StateError                      StateVersionError; StateLockedError: exit 2, retryable
    |- DataIntegrityError              exit 3: QualityGateError, ReconcileMismatchError,
    |                                  ManifestMismatchError
    |- ReconcileUnverifiedError
    |- SchemaDriftError                exit 4
    |- RefusedError                    exit 5
    |- InternalError                   exit 6
    '- ChildFailedError                the child's own exit code
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

from typing_extensions import override

__all__ = [
    "ChildFailedError",
    "ConfigError",
    "ConfigSyntaxError",
    "DataIntegrityError",
    "DestinationAuthError",
    "DestinationError",
    "DestinationUnavailableError",
    "FormatError",
    "InternalError",
    "ManifestMismatchError",
    "MissingExtraError",
    "ObjectExistsError",
    "PlanError",
    "QualityGateError",
    "ReconcileMismatchError",
    "ReconcileUnverifiedError",
    "RefusedError",
    "RivetError",
    "SchemaDriftError",
    "SecretNotFoundError",
    "SourceAuthError",
    "SourceError",
    "SourceInterruptedError",
    "SourceQueryError",
    "SourceStatementTimeoutError",
    "SourceUnavailableError",
    "StalePlanError",
    "StateError",
    "StateLockedError",
    "StateVersionError",
    "UnknownDestinationError",
    "UnknownEngineError",
    "UnsafeTypeError",
    "UnsupportedPlanError",
    "worst_exit_code",
]


class RivetError(Exception):
    """Anything Rivet can fail with; catching it catches all of them.

    A message is one plain sentence: what failed, where, and the value or limit. It never holds a
    cell value or a secret. Errors survive pickle (they cross process borders) and `to_json`.
    """

    code: ClassVar[str] = "RIVET_ERROR"
    exit_code: ClassVar[int] = 1
    retryable: ClassVar[bool] = False
    reconnect: ClassVar[bool] = False
    settle_s: ClassVar[float] = 0.0

    hint: str | None
    context: dict[str, str]

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        code: str | None = None,
        **context: str | int | None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.specific_code = code
        self.context = {key: str(value) for key, value in context.items() if value is not None}

    @property
    def error_code(self) -> str:
        """The stable code: the class's own, or the narrower one given when it was raised."""
        return self.specific_code or self.code

    def to_json(self) -> dict[str, Any]:
        """Describe the error for `--json-errors` and reports: plain JSON types only."""
        return {
            "error": self.message,
            "code": self.error_code,
            "exit_class": self.exit_status,
            "retryable": self.retryable,
            "hint": self.hint,
            "context": self.context,
        }

    @property
    def exit_status(self) -> int:
        """The exit code of a process that ends with this error."""
        return self.exit_code

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return (_restore, (type(self), self.args, self.__dict__.copy()))

    @classmethod
    def with_code(cls, code: str, message: str, *, hint: str | None = None) -> Self:
        """Build the error with a narrower stable code than its class has."""
        return cls(message, hint=hint, code=code)


def _restore(cls: type[RivetError], args: tuple[Any, ...], state: dict[str, Any]) -> RivetError:
    error = cls.__new__(cls, *args)
    Exception.__init__(error, *args)
    error.__dict__.update(state)
    return error


class ConfigError(RivetError):
    """The configuration, a flag or a parameter is wrong; nothing was contacted or written."""

    code = "RIVET_CONFIG_INVALID"


class ConfigSyntaxError(ConfigError):
    """The YAML itself or one of its keys is wrong; `line` and `column` are one-based."""

    code = "RIVET_CONFIG_SYNTAX"

    def __init__(
        self,
        message: str,
        *,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
        code: str | None = None,
        **context: str | int | None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, line=line, column=column, **context)
        self.line = line
        self.column = column


class SecretNotFoundError(ConfigError):
    """An environment variable or a file that should hold a secret is not there or is empty."""

    code = "RIVET_CONFIG_SECRET_NOT_FOUND"


class MissingExtraError(ConfigError):
    """An optional dependency is not installed; the hint is the command that installs it."""

    code = "RIVET_CONFIG_MISSING_EXTRA"


class UnknownEngineError(ConfigError):
    """`source.type` names no engine this Rivet has."""

    code = "RIVET_CONFIG_UNKNOWN_ENGINE"


class UnknownDestinationError(ConfigError):
    """`destination.type` names no destination this Rivet has."""

    code = "RIVET_CONFIG_UNKNOWN_DESTINATION"


class PlanError(RivetError):
    """What was asked cannot be planned against this source; no data was read."""

    code = "RIVET_PLAN_INVALID"


class UnsupportedPlanError(PlanError):
    """A combination of settings that Rivet does not do."""

    code = "RIVET_PLAN_UNSUPPORTED"


class StalePlanError(PlanError):
    """The source changed between planning and reading."""

    code = "RIVET_PLAN_STALE"


class UnsafeTypeError(PlanError):
    """A column has no faithful mapping under the given rules; all offenders are named."""

    code = "RIVET_TYPE_UNSAFE_MAPPING"


class SourceError(RivetError):
    """The database refused or failed, and trying again would give the same."""

    code = "RIVET_SOURCE_ERROR"


class SourceAuthError(SourceError):
    """The database refused the user, the password, the certificate or the right to read."""

    code = "RIVET_SOURCE_AUTH"


class SourceQueryError(SourceError):
    """The database refused the statement: a missing table or column, or a syntax error."""

    code = "RIVET_SOURCE_QUERY"


class SourceStatementTimeoutError(SourceError):
    """A statement ran into its time limit; the same statement would again."""

    code = "RIVET_SOURCE_STATEMENT_TIMEOUT"


class SourceUnavailableError(SourceError):
    """The database cannot be reached or takes no connections now."""

    code = "RIVET_SOURCE_UNAVAILABLE"
    exit_code = 2
    retryable = True


class SourceInterruptedError(SourceError):
    """The connection or the statement was cut in the middle; a new connection may go on."""

    code = "RIVET_SOURCE_INTERRUPTED"
    exit_code = 2
    retryable = True
    reconnect = True


class FormatError(RivetError):
    """A value or a type cannot be written in the chosen file format."""

    code = "RIVET_FORMAT_ERROR"


class DestinationError(RivetError):
    """The destination refused a write, and trying again would give the same."""

    code = "RIVET_DESTINATION_ERROR"


class DestinationAuthError(DestinationError):
    """The destination refused the credentials or the right to write."""

    code = "RIVET_DESTINATION_AUTH"


class ObjectExistsError(DestinationError):
    """An object that must be new is already there; it was left as it is."""

    code = "RIVET_DESTINATION_OBJECT_EXISTS"


class DestinationUnavailableError(DestinationError):
    """The destination cannot be reached now, or is out of room for the moment."""

    code = "RIVET_DESTINATION_UNAVAILABLE"
    exit_code = 2
    retryable = True


class StateError(RivetError):
    """The state store cannot be read or written; nothing was read from the source."""

    code = "RIVET_STATE_ERROR"


class StateVersionError(StateError):
    """The state store was made by a newer Rivet, or by another program."""

    code = "RIVET_STATE_VERSION"


class StateLockedError(StateError):
    """Another process holds the state store longer than the wait allows."""

    code = "RIVET_STATE_LOCKED"
    exit_code = 2
    retryable = True


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


class ChildFailedError(RivetError):
    """One or more exports failed; carries the exit code of the worst."""

    code = "RIVET_CHILD_FAILED"

    def __init__(
        self,
        message: str,
        *,
        child_exit_code: int = 1,
        hint: str | None = None,
        code: str | None = None,
        **context: str | int | None,
    ) -> None:
        super().__init__(message, hint=hint, code=code, **context)
        self.child_exit_code = child_exit_code

    @property
    @override
    def exit_status(self) -> int:
        """The exit code of the worst export."""
        return self.child_exit_code


_SEVERITY = (6, 3, 4, 5, 2, 1)


def worst_exit_code(codes: list[int]) -> int:
    """Rank exit codes as 6 > 3 > 4 > 5 > 2 > any other failure > 0.

    Args:
        codes: Exit codes of exports; 0 means success.

    Returns:
        The most serious one; 0 for none.
    """
    for code in _SEVERITY:
        if code in codes:
            return code
    return next((code for code in codes if code != 0), 0)
