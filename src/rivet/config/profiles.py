"""Tuning profiles and what an export's tuning comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.model.source import SessionSettings

if TYPE_CHECKING:
    from rivet.config.models import Config, ExportConfig

_MEGABYTE: Final = 1024 * 1024
_BATCH_BYTES: Final = 8 * _MEGABYTE
_ANSWER_S: Final = 60
_ROWS_WHERE_BYTES_RULE: Final = 131_072

PROFILES: Final[dict[str, dict[str, Any]]] = {
    "fast": {
        "batch_size": 50_000,
        "batch_size_memory_mb": 64,
        "throttle_ms": 0,
        "statement_timeout_s": 0,
        "max_retries": 1,
        "retry_backoff_ms": 1_000,
        "lock_timeout_s": 0,
        "memory_threshold_mb": 0,
    },
    "balanced": {
        "batch_size": 10_000,
        "batch_size_memory_mb": 32,
        "throttle_ms": 0,
        "statement_timeout_s": 300,
        "max_retries": 3,
        "retry_backoff_ms": 2_000,
        "lock_timeout_s": 30,
        "memory_threshold_mb": 4_096,
    },
    "safe": {
        "batch_size": 2_000,
        "batch_size_memory_mb": None,
        "throttle_ms": 500,
        "statement_timeout_s": 120,
        "max_retries": 10,
        "retry_backoff_ms": 5_000,
        "lock_timeout_s": 10,
        "memory_threshold_mb": 2_048,
    },
}
_EVERY_PROFILE: Final[dict[str, Any]] = {
    "max_batch_memory_mb": None,
    "on_batch_memory_exceeded": "warn",
    "adaptive": False,
    "min_parallel": None,
    "max_value_mb": 256,
    "connect_timeout_s": 10,
    "read_timeout_s": 3_600,
    "max_statement_s": 0.5,
    "max_snapshot_age_s": 3_600,
}


@dataclass(frozen=True, slots=True)
class ResolvedTuning:
    """Every tuning number of one export.

    Attributes:
        profile: Its profile's name.
        profile_label: The same for people: `balanced (default)` where nobody chose it.
        batch_size: Rows of one batch, at most.
        batch_size_memory_mb: The batch's target in megabytes; None without one.
        is_batch_size_chosen: The user set it; the number of another profile than `safe` is for
            servers that are asked for rows in portions, and a stream is cut by bytes.
        is_memory_target_chosen: The user set it, so that it rules over the row count.
        is_statement_timeout_chosen: The user set it, so that it holds for a `query:` too.
        is_read_timeout_chosen: The user set it, so that no longer limit of the server raises it.
        memory_threshold_mb: A chunk waits a little while the process holds more; 0 is no limit.
        session: Names and values of `source.session`.
        max_statement_s: Server seconds to aim at per slice.
    """

    profile: str
    profile_label: str
    batch_size: int
    batch_size_memory_mb: int | None
    throttle_ms: int
    statement_timeout_s: int
    max_retries: int
    retry_backoff_ms: int
    lock_timeout_s: int
    memory_threshold_mb: int
    max_batch_memory_mb: int | None
    on_batch_memory_exceeded: str
    adaptive: bool
    min_parallel: int | None
    max_value_mb: int
    connect_timeout_s: int
    read_timeout_s: int
    max_statement_s: float
    max_snapshot_age_s: int
    is_batch_size_chosen: bool = False
    is_memory_target_chosen: bool = False
    is_statement_timeout_chosen: bool = False
    is_read_timeout_chosen: bool = False
    session: tuple[tuple[str, str], ...] = ()

    @property
    def batch_rows(self) -> int:
        """The most rows of one batch; far away unless the user chose a number, or `safe`."""
        is_chosen = self.is_batch_size_chosen or self.profile == "safe"
        is_ruled = is_chosen and not self.is_memory_target_chosen
        return self.batch_size if is_ruled else _ROWS_WHERE_BYTES_RULE

    @property
    def batch_bytes(self) -> int:
        """About the most bytes of one batch.

        8 MiB unless the user chose another: several batches are in flight at once, and the whole
        command stays under its memory bound.
        """
        if self.is_memory_target_chosen and self.batch_size_memory_mb is not None:
            return self.batch_size_memory_mb * _MEGABYTE
        return _BATCH_BYTES

    @property
    def max_value_bytes(self) -> int:
        """The largest single value; 0 is no limit."""
        return self.max_value_mb * _MEGABYTE

    @property
    def patience_s(self) -> int:
        """The most seconds a server may be silent; 0 is no limit.

        Unless the user chose it, a server may be silent as long as its own limits let it, and some
        more to say that one of them was met.
        """
        if self.is_read_timeout_chosen or not self.read_timeout_s:
            return self.read_timeout_s
        longest = max(self.statement_timeout_s, self.lock_timeout_s)
        return max(self.read_timeout_s, longest + _ANSWER_S)

    def session_settings(self, *, is_query: bool = False) -> SessionSettings:
        """Return how a session behaves.

        Args:
            is_query: A query is one statement of unknown length: only a timeout the user chose
                holds for it.
        """
        timeout = self.statement_timeout_s
        return SessionSettings(
            statement_timeout_s=0 if is_query and not self.is_statement_timeout_chosen else timeout,
            lock_timeout_s=self.lock_timeout_s,
            connect_timeout_s=self.connect_timeout_s,
            read_timeout_s=self.patience_s,
            variables=dict(self.session),
        )


def resolve_tuning(config: Config, export: ExportConfig | None = None) -> ResolvedTuning:
    """Merge profile, source and export, later ones winning key by key.

    Args:
        config: For the source's block and its environment.
        export: None for commands that belong to no export.
    """
    chosen: dict[str, Any] = {}
    for tuning in (config.source.tuning, export.tuning if export is not None else None):
        if tuning is not None:
            chosen |= tuning.model_dump(exclude_none=True)
    profile, label = _profile(chosen.pop("profile", None), config.source.environment)
    merged: dict[str, Any] = {**_EVERY_PROFILE, **PROFILES[profile]}
    if "batch_size" in chosen:
        merged["batch_size_memory_mb"] = None
    return ResolvedTuning(
        profile=profile,
        profile_label=label,
        is_batch_size_chosen="batch_size" in chosen,
        is_memory_target_chosen="batch_size_memory_mb" in chosen,
        is_statement_timeout_chosen="statement_timeout_s" in chosen,
        is_read_timeout_chosen="read_timeout_s" in chosen,
        session=tuple(config.source.session.items()),
        **(merged | chosen),
    )


def _profile(chosen: str | None, environment: str | None) -> tuple[str, str]:
    if chosen is not None:
        return chosen, chosen
    if environment is None:
        return "balanced", "balanced (default)"
    profile = "fast" if environment == "local" else "balanced"
    return profile, f"{profile} (default for environment: {environment})"
