"""Every error Rivet raises, its exit code, and whether trying again can help.

One file per family. They import nothing of Rivet but what masks secrets, for all layers raise them.

    RivetError                         exit 1
    |- ConfigError                     ConfigSyntaxError, SecretNotFoundError, MissingExtraError,
    |                                  UnknownEngineError, UnknownDestinationError
    |- PlanError                       UnsupportedPlanError, StalePlanError, UnsafeTypeError
    |- SourceError                     SourceAuthError, SourceQueryError,
    |  |                               SourceStatementTimeoutError
    |  |- SourceUnavailableError       exit 2, retryable: ConnectionLimitError
    |  '- SourceInterruptedError       exit 2, retryable, reconnect
    |- FormatError
    |- DestinationError                DestinationAuthError, ObjectExistsError
    |  '- DestinationUnavailableError  exit 2, retryable
    |     '- DestinationTimeoutError
    |- StateError
    |  |- StateDamagedError            exit 5, as StateLostError and StateVersionError
    |  '- StateLockedError             exit 2, retryable
    |- DataIntegrityError              exit 3: QualityGateError, ReconcileMismatchError,
    |                                  RowsLostError, ManifestMismatchError
    |- ReconcileUnverifiedError
    |- SchemaDriftError                exit 4
    |- RefusedError                    exit 5
    |- InternalError                   exit 6
    '- ExportsFailedError              the worst export's exit code: ChildFailedError
"""

from __future__ import annotations

from rivet.errors.base import RivetError
from rivet.errors.config import (
    ConfigError,
    ConfigSyntaxError,
    MissingExtraError,
    PlanError,
    SecretNotFoundError,
    StalePlanError,
    UnknownDestinationError,
    UnknownEngineError,
    UnsafeTypeError,
    UnsupportedPlanError,
)
from rivet.errors.outcome import (
    ChildFailedError,
    DataIntegrityError,
    ExportsFailedError,
    InternalError,
    ManifestMismatchError,
    QualityGateError,
    ReconcileMismatchError,
    ReconcileUnverifiedError,
    RefusedError,
    RowsLostError,
    SchemaDriftError,
    worst_exit_code,
)
from rivet.errors.source import (
    ConnectionLimitError,
    SourceAuthError,
    SourceError,
    SourceInterruptedError,
    SourceQueryError,
    SourceStatementTimeoutError,
    SourceUnavailableError,
)
from rivet.errors.storage import (
    DestinationAuthError,
    DestinationError,
    DestinationTimeoutError,
    DestinationUnavailableError,
    FormatError,
    ObjectExistsError,
    StateDamagedError,
    StateError,
    StateLockedError,
    StateLostError,
    StateVersionError,
)

__all__ = [
    "ChildFailedError",
    "ConfigError",
    "ConfigSyntaxError",
    "ConnectionLimitError",
    "DataIntegrityError",
    "DestinationAuthError",
    "DestinationError",
    "DestinationTimeoutError",
    "DestinationUnavailableError",
    "ExportsFailedError",
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
    "RowsLostError",
    "SchemaDriftError",
    "SecretNotFoundError",
    "SourceAuthError",
    "SourceError",
    "SourceInterruptedError",
    "SourceQueryError",
    "SourceStatementTimeoutError",
    "SourceUnavailableError",
    "StalePlanError",
    "StateDamagedError",
    "StateError",
    "StateLockedError",
    "StateLostError",
    "StateVersionError",
    "UnknownDestinationError",
    "UnknownEngineError",
    "UnsafeTypeError",
    "UnsupportedPlanError",
    "worst_exit_code",
]
