"""The whole configuration, and every model of its parts under one name.

A `Config` is frozen and holds no resolved secret of the environment. Where it came from is kept
beside the keys, so that the keys stay exactly those of the YAML file.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, PrivateAttr
from typing_extensions import override

from rivet.config.base import Parallel, Positive, Section
from rivet.config.destination import DestinationConfig
from rivet.config.export import (
    ColumnConfig,
    ExportConfig,
    MetaColumnsConfig,
    ParquetConfig,
    TypesConfig,
)
from rivet.config.extras import (
    CdcConfig,
    LoadConfig,
    LoadOverride,
    NotificationsConfig,
    QualityConfig,
    SettleConfig,
    SlackConfig,
)
from rivet.config.source import MongoConfig, SourceConfig, TlsConfig
from rivet.config.tuning import TuningConfig

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

__all__ = [
    "CdcConfig",
    "ColumnConfig",
    "Config",
    "DestinationConfig",
    "ExportConfig",
    "LoadConfig",
    "LoadOverride",
    "MetaColumnsConfig",
    "MongoConfig",
    "NotificationsConfig",
    "ParquetConfig",
    "QualityConfig",
    "SettleConfig",
    "SlackConfig",
    "SourceConfig",
    "TlsConfig",
    "TuningConfig",
    "TypesConfig",
]


MIN_MEMORY_MB: Final = 384
"""What one export and those that watch it may take; a smaller budget could not be kept."""


class Config(Section):
    """One source and the exports taken from it."""

    source: SourceConfig = Field(description="The database that is read.")
    exports: tuple[ExportConfig, ...] = Field(description="What is taken from it; at least one.")
    notifications: NotificationsConfig | None = Field(
        default=None, description="Who is told what happened."
    )
    parallel_exports: Parallel = Field(
        default=False,
        description="Run exports in threads side by side: true, or how many at most.",
    )
    parallel_export_processes: Parallel = Field(
        default=False,
        description="Run each export in a process of its own, side by side: true, or how many at "
        "most; wins over parallel_exports.",
    )
    max_connections: Positive | None = Field(
        default=None,
        description="The most connections to the source that a run holds at a time, whatever they "
        "are for; divided among the exports that run side by side, as evenly as can be.",
    )
    max_memory_mb: Annotated[Positive, Field(ge=MIN_MEMORY_MB)] | None = Field(
        default=None,
        description="Megabytes that a whole run may use, its processes included; bounds how many "
        "exports run at once.",
    )
    on_overlap: Literal["refuse", "wait"] | None = Field(
        default=None, description="Default of exports[].on_overlap; refuse without it."
    )
    consistency: Literal["chunk", "export", "run"] | None = Field(
        default=None, description="Default of exports[].consistency; export without it."
    )
    load: LoadConfig | None = Field(default=None, description="Loading the files into a warehouse.")

    _path: Path = PrivateAttr(default_factory=lambda: Path("rivet.yaml"))
    _digest: str = PrivateAttr("")
    _warnings: tuple[str, ...] = PrivateAttr(())
    _params: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def path(self) -> Path:
        """Absolute path of the file; for a configuration made in memory, where it would be."""
        return self._path

    @property
    def base_dir(self) -> Path:
        """Folder that relative paths in the configuration start from."""
        return self._path.parent

    @property
    def digest(self) -> str:
        """16 hex digits over the text before substitution, so that they tell no secret."""
        return self._digest

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know although it is no error; the caller shows them once."""
        return self._warnings

    @property
    def params(self) -> Mapping[str, str]:
        """The `--param` values it was loaded with; query files use them again."""
        return self._params

    @override
    def to_document(self, *, only: Collection[str] | None = None) -> dict[str, Any]:
        """Return what `config_from_document` takes: plain JSON types, secrets in clear.

        It may only travel on a pipe that a process of our own inherits; never to a file, a log or
        a command line.

        Args:
            only: Names of the exports to hold; None is all of them.
        """
        if only is None:
            return super().to_document()
        exports = tuple(export for export in self.exports if export.name in only)
        return self.model_copy(update={"exports": exports}).to_document()

    def strictly(self) -> Config:
        """Return the same configuration with `strict: true` in every export."""
        exports = tuple(one.model_copy(update={"strict": True}) for one in self.exports)
        return self.model_copy(update={"exports": exports})

    def originating(
        self,
        path: Path,
        *,
        digest: str = "",
        warnings: tuple[str, ...] = (),
        params: Mapping[str, str] | None = None,
    ) -> Config:
        """Return the same configuration with the knowledge of where it came from."""
        copy = self.model_copy()
        known = {"_path": path, "_digest": digest, "_warnings": warnings}
        for name, value in (known | {"_params": dict(params or {})}).items():
            setattr(copy, name, value)
        return copy
