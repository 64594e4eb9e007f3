"""The one place where `{date}` and its like in a destination's path become text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rivet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN: Final = ("date", "export", "table", "run_id", "partition")

_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_STEP: Final = re.compile(r"[/\\]")


def resolve_placeholders(text: str, values: Mapping[str, str], *, key: str = "path") -> str:
    """Replace every `{name}` in a path.

    Args:
        text: Such as `out/{export}/{date}`.
        values: Name to text; the date is the UTC date the run started on, also after midnight.
        key: The configuration key, for messages.

    Returns:
        The path without placeholders.

    Raises:
        ConfigError: A placeholder is not known or has no value here, a brace stands alone, or the
            path holds a `..` step.
    """

    def replace(match: re.Match[str]) -> str:
        name = match[1]
        if name not in KNOWN:
            msg = f"destination `{key}`: '{{{name}}}' is not a placeholder"
            known = " ".join(f"{{{word}}}" for word in KNOWN)
            raise ConfigError(msg, hint=f"use one of: {known}", code="RIVET_CONFIG_PLACEHOLDER")
        value = values.get(name)
        if value is None:
            msg = f"destination `{key}`: '{{{name}}}' has no value for this export"
            raise ConfigError(
                msg, hint=f"remove {{{name}}} from the path", code="RIVET_CONFIG_PLACEHOLDER"
            )
        if _STEP.search(value) or value in {"", ".", ".."}:
            msg = f"destination `{key}`: the value of '{{{name}}}' cannot stand in a path"
            raise ConfigError(msg, hint="a value must be one folder name without a slash")
        return value

    resolved = _PLACEHOLDER.sub(replace, text)
    if "{" in _PLACEHOLDER.sub("", text) or "}" in _PLACEHOLDER.sub("", text):
        msg = f"destination `{key}`: a brace in '{text}' belongs to no placeholder"
        raise ConfigError(msg, hint="write placeholders as {date}", code="RIVET_CONFIG_PLACEHOLDER")
    if ".." in _STEP.split(resolved):
        msg = f"destination `{key}`: '{text}' holds a '..' step"
        raise ConfigError(msg, hint="write the path without '..'", code="RIVET_CONFIG_PATH")
    return resolved
