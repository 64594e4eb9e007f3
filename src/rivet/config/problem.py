"""What is wrong with a configuration and where, before it becomes an error for people."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

Path = tuple[str | int, ...]

YAML_INVALID: Final = "RIVET_CONFIG_YAML_INVALID"
OUT_OF_RANGE: Final = "RIVET_CONFIG_VALUE_OUT_OF_RANGE"
COLUMN_OVERRIDE: Final = "RIVET_CONFIG_COLUMN_OVERRIDE_TYPE_INVALID"
MODE_SETTING: Final = "RIVET_CONFIG_MODE_SETTING_INVALID"
CONNECTION: Final = "RIVET_CONFIG_SOURCE_CONNECTION_INVALID"
EXPORT_SOURCE: Final = "RIVET_CONFIG_EXPORT_SOURCE_INVALID"
DESTINATION_AUTH: Final = "RIVET_CONFIG_DESTINATION_AUTH_INVALID"
PATH_UNSAFE: Final = "RIVET_CONFIG_PATH_UNSAFE"
SECRET_UNSET: Final = "RIVET_CONFIG_SECRET_UNSET"  # noqa: S105 - an error code
FILE_UNREADABLE: Final = "RIVET_CONFIG_FILE_UNREADABLE"
NOT_YET: Final = "RIVET_CONFIG_NOT_IN_THIS_VERSION"


class Problem(Exception):  # noqa: N818 - never leaves this package
    """One fault of a configuration, at a path of keys and list positions.

    Attributes:
        path: Such as `("exports", 0, "format")`; the loader turns it into line and column.
        hint: The next step, None where the message says it all.
        code: The stable error code.
    """

    def __init__(
        self, path: Path, message: str, *, hint: str | None = None, code: str = YAML_INVALID
    ) -> None:
        super().__init__(message)
        self.path = path
        self.message = message
        self.hint = hint
        self.code = code


def dotted(path: Path) -> str:
    """Return a path as people write it: `exports[0].destination.path`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant, None where nothing is close."""
    candidates = list(known)
    lowered = word.strip().lower().replace("-", "_")
    if lowered in candidates:
        return lowered
    found = get_close_matches(lowered, candidates, n=1, cutoff=0.6)
    return found[0] if found else None
