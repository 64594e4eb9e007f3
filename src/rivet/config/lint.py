"""What can be written in a configuration but is not in this version: told by name.

One table. A row goes away when its feature arrives. What a run would be wrong without is refused;
what takes nothing from its rows is a warning. Nothing is ever ignored in silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from rivet.config.engines import ENGINE_FORMS, engine_form
from rivet.config.problem import NOT_YET, Path, Problem, dotted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rivet.config.models import Config


def _is_given(value: object) -> bool:
    return value is not None


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing this version does not do.

    Attributes:
        key: Path of model keys; `exports.*` and `tuning.*` stand for every place of that kind.
        is_asked: Whether a value of the key asks for it; by default any value does.
        sentence: What to tell, with `{value}` for the value.
        hint: What to do instead.
    """

    key: str
    sentence: str
    hint: str
    is_asked: Callable[[Any], bool] = _is_given
    is_harmless: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether every value of the key is meant."""
        return self.is_asked is _is_given


def _other_than(*values: object) -> Callable[[Any], bool]:
    return lambda value: value is not None and value not in values


def _remove(key: str) -> str:
    return f"remove `{key}`"


MISSING: Final = (
    Missing(
        "source.type",
        "reading from {value} is not in this version",
        f"use one of: {', '.join(form.name for form in ENGINE_FORMS if form.is_readable)}",
        lambda value: (form := engine_form(value)) is None or not form.is_readable,
    ),
    Missing(
        "source.mongo",
        "document sources are not in this version",
        _remove("mongo"),
        is_harmless=True,
    ),
    Missing(
        "exports.mode",
        "`mode: {value}` is not in this version",
        "use `mode: incremental` with a cursor",
        lambda value: value == "cdc",
    ),
    Missing("exports.tables", "`tables` is not in this version", "write one export per table"),
    Missing("exports.cdc", "change capture is not in this version", _remove("cdc")),
    Missing(
        "exports.partition_by",
        "`partition_by` is not in this version",
        "remove `partition_by` and {{partition}}",
    ),
    Missing(
        "exports.verify",
        "`verify: content` is not in this version, sizes are compared",
        "use `verify: size`, the default",
        _other_than("size"),
        is_harmless=True,
    ),
    Missing(
        "exports.target",
        "`target` (advice for a warehouse) is not in this version",
        _remove("target"),
        is_harmless=True,
    ),
    Missing(
        "exports.shape_drift_warn_factor",
        "watching the width of text is not in this version",
        "remove `shape_drift_warn_factor`, or set it to 0",
        _other_than(0),
        is_harmless=True,
    ),
    Missing(
        "exports.load",
        "loading into a warehouse is not in this version",
        _remove("load"),
        is_harmless=True,
    ),
    Missing(
        "notifications",
        "notifications are not in this version, nobody is told",
        _remove("notifications"),
        is_harmless=True,
    ),
    Missing(
        "load",
        "loading into a warehouse is not in this version, files are all there is",
        _remove("load"),
        is_harmless=True,
    ),
    Missing(
        "tuning.max_batch_memory_mb",
        "`max_batch_memory_mb` is not in this version",
        "use `batch_size_memory_mb`, which bounds every batch",
        is_harmless=True,
    ),
    Missing(
        "tuning.on_batch_memory_exceeded",
        "`on_batch_memory_exceeded: {value}` is not in this version",
        "use `batch_size_memory_mb`, which bounds every batch",
        _other_than("warn"),
        is_harmless=True,
    ),
)


def refuse_missing(config: Config) -> None:
    """Refuse the first key or value that a run would be wrong without.

    Raises:
        Problem: Its message names the key, its hint what to do instead.
    """
    for missing, path, message in _asked(config):
        if not missing.is_harmless:
            raise Problem(path, message, hint=missing.hint.format(), code=NOT_YET)


def missing_warnings(config: Config) -> Iterator[str]:
    """Yield a sentence for each key whose feature this version lacks without harm to the rows."""
    for missing, _, message in _asked(config):
        if missing.is_harmless:
            yield f"{message}: {missing.hint.format()}"


def _asked(config: Config) -> Iterator[tuple[Missing, Path, str]]:
    for missing in MISSING:
        for path, value in _places(config, missing.key):
            if missing.is_asked(value):
                shown = getattr(value, "value", value)
                message = f"`{dotted(path)}`: {missing.sentence.format(value=shown)}"
                yield missing, path, message


def _places(config: Config, key: str) -> Iterator[tuple[Path, Any]]:
    head, *rest = key.split(".")
    exports = [(("exports", index), export) for index, export in enumerate(config.exports)]
    if head == "exports":
        starts: list[tuple[Path, Any]] = [(path, export) for path, export in exports]
    elif head == "tuning":
        starts = [(("source", head), config.source.tuning)]
        starts += [((*path, head), export.tuning) for path, export in exports]
    else:
        starts, rest = [((), config)], [head, *rest]
    for path, start in starts:
        value: Any = start
        for step in rest:
            value = None if value is None else getattr(value, step)
        yield (*path, *rest), value
