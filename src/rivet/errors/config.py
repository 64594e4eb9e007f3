"""Errors of a configuration, a flag or a parameter, and of a plan made from them."""

from __future__ import annotations

from rivet.errors.base import RivetError


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
