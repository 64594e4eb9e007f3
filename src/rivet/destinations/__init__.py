"""The destinations: one module each, found by listing this package and loaded when asked for."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from rivet.destinations.deadlines import CallLimits, never
from rivet.destinations.placeholders import resolve_placeholders
from rivet.destinations.timed import open_within
from rivet.errors import ConfigError, UnknownDestinationError
from rivet.model.sink import SinkRef

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from rivet.destinations.base import Destination, DestinationCapabilities

__all__ = [
    "DestinationModule",
    "destination_names",
    "load_destination",
    "open_destination",
    "place_of",
    "sink_ref",
]

_SEAM: Final = frozenset(
    {"aws_profile", "base", "deadlines", "folders", "placeholders", "staged", "store_access"}
    | {"object_client", "object_errors", "object_sink", "object_store", "store_retry", "timed"}
)


class DestinationModule(Protocol):
    """The module of a destination."""

    CAPABILITIES: DestinationCapabilities
    Options: type[BaseModel]

    def place(self, options: Any, *, base_dir: Path | None = None) -> str:  # noqa: ANN401
        """Return what its `uri` would be, without looking whether it is there."""
        ...

    def open(self, options: Any, *, base_dir: Path | None = None) -> Destination:  # noqa: ANN401
        """Open the destination; one that cannot be written is found here.

        Args:
            options: An instance of the module's `Options`.
            base_dir: What relative paths are relative to; None is the working directory.

        Raises:
            DestinationError: It cannot be written.
        """
        ...


@cache
def destination_names() -> tuple[str, ...]:
    """Return the registry names of all destinations, sorted."""
    modules = pkgutil.iter_modules(__path__)
    return tuple(sorted(module.name for module in modules if module.name not in _SEAM))


def load_destination(name: str) -> DestinationModule:
    """Import a destination's module.

    Raises:
        UnknownDestinationError: No such destination; the hint names the nearest or lists all.
    """
    names = destination_names()
    if name not in names:
        near = get_close_matches(name, names, n=1)
        hint = f"did you mean '{near[0]}'?" if near else f"known destinations: {', '.join(names)}"
        msg = f"destination type '{name}' is not one this Rivet has"
        raise UnknownDestinationError(msg, hint=hint, destination=name)
    return cast("DestinationModule", importlib.import_module(f"{__name__}.{name}"))


def sink_ref(
    settings: BaseModel,
    *,
    base_dir: Path | None = None,
    placeholders: Mapping[str, str] | None = None,
    without: Collection[str] = (),
) -> SinkRef:
    """Return where a configuration's `destination:` block leads, its placeholders replaced.

    Args:
        settings: The block: `type`, and the keys of that destination; unset keys do not count.
        base_dir: What relative paths are relative to.
        placeholders: Values for `{name}` in `path` and `prefix`.
        without: Keys that are not for this kind of destination.

    Raises:
        ConfigError: A placeholder is not known.
    """
    values = settings.model_dump(exclude_unset=True, exclude_none=True, exclude=set(without))
    kind = str(values.pop("type"))
    for key in ("path", "prefix"):
        if isinstance(values.get(key), str):
            values[key] = resolve_placeholders(values[key], placeholders or {}, key=key)
    return SinkRef(kind, values, base_dir)


def open_destination(ref: SinkRef, *, interrupted: Callable[[], bool] = never) -> Destination:
    """Open a destination, each of whose calls is timed.

    Args:
        ref: Which one; `timeout_s` among its options is how long a call may take, 0 for ever.
        interrupted: Whether somebody asked to stop, so that no call is waited for long.

    Raises:
        UnknownDestinationError: No such destination.
        ConfigError: A key does not belong to it.
        DestinationError: It cannot be written.
        DestinationTimeoutError: It does not answer.
    """
    module, values = load_destination(ref.kind), dict(ref.options)
    limits = CallLimits(module.CAPABILITIES.call_timeout_s, interrupted)
    if limits.timeout_s is not None:
        limits.timeout_s = values.pop("timeout_s", limits.timeout_s) or None
    options = _options(module, ref.kind, values)
    place = str(values.get("path") or values.get("bucket") or ref.kind)
    return open_within(limits, place, lambda: module.open(options, base_dir=ref.base_dir))


def place_of(ref: SinkRef) -> str:
    """Return where a destination leads, for people, without contacting anything.

    Raises:
        UnknownDestinationError: No such destination.
        ConfigError: A key does not belong to it.
    """
    module, values = load_destination(ref.kind), dict(ref.options)
    if module.CAPABILITIES.call_timeout_s is not None:
        values.pop("timeout_s", None)
    return module.place(_options(module, ref.kind, values), base_dir=ref.base_dir)


def _options(module: DestinationModule, name: str, values: dict[str, Any]) -> BaseModel:
    from pydantic import ValidationError

    try:
        return module.Options.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"]) or "destination"
        is_foreign = first["type"] == "extra_forbidden"
        reason = "is not a key of it" if is_foreign else first["msg"].lower()
        msg = f"destination '{name}': `{where}` {reason}"
        known = ", ".join(sorted(module.Options.model_fields)) or "none"
        raise ConfigError(msg, hint=f"keys of '{name}': {known}") from error
