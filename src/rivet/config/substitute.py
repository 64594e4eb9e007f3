"""`${NAME}` in text: parameters first, then the environment.

A name that is not set is an error, never an empty text. Values are never shown in messages.
"""

from __future__ import annotations

import re
import sys
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.config.problem import SECRET_UNSET
from rivet.errors import ConfigError, SecretNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REFERENCE: Final = re.compile(r"\$\{([^}\n]*)\}")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SHORTEST_MASKED: Final = 3


@dataclass(frozen=True, slots=True)
class Substituted:
    """Text after substitution, with the way back to where it came from.

    Attributes:
        text: The result.
        anchors: Pairs of offsets (in the result, in the original) where literal text begins.
        values: The values that came from the environment, by name; for masking only.
    """

    text: str
    anchors: tuple[tuple[int, int], ...]
    values: Mapping[str, str]

    def original_offset(self, offset: int) -> int:
        """Return where in the original text this offset of the result comes from."""
        index = bisect_right(self.anchors, (offset, sys.maxsize)) - 1
        start, origin = self.anchors[max(index, 0)]
        following = self.anchors[index + 1][1] if index + 1 < len(self.anchors) else None
        position = origin + offset - start
        return position if following is None else min(position, following)

    def masked(self, text: str) -> str:
        """Write `${NAME}` again for every environment value that `text` shows."""
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            if len(value) >= _SHORTEST_MASKED:
                text = text.replace(value, f"${{{name}}}")
        return text


def substitute(
    text: str, *, params: Mapping[str, str], env: Mapping[str, str], where: str
) -> Substituted:
    """Replace every `${NAME}` once; what was put in is not looked at again.

    `${}` becomes nothing; a `${` without an end on its line is left as it is.

    Args:
        text: Any text, comments included.
        params: Take precedence over `env`.
        env: The environment.
        where: How messages name the text, such as `config file 'rivet.yaml'`.

    Raises:
        SecretNotFoundError: A name is set nowhere; the hint says how to set it.
        ConfigError: A value holds a NUL character.
    """
    pieces: list[str] = []
    anchors = [(0, 0)]
    values: dict[str, str] = {}
    length = read = 0
    for match in _REFERENCE.finditer(text):
        name = match[1]
        literal = text[read : match.start()]
        line = text.count("\n", 0, match.start()) + 1
        value = _value(name, params, env, f"{where}, line {line}")
        if name and name not in params:
            values[name] = value
        anchors.append((length + len(literal), match.start()))
        pieces += (literal, value)
        length += len(literal) + len(value)
        read = match.end()
        anchors.append((length, read))
    pieces.append(text[read:])
    return Substituted("".join(pieces), tuple(anchors), values)


def _value(name: str, params: Mapping[str, str], env: Mapping[str, str], where: str) -> str:
    if not name:
        return ""
    value = params.get(name, env.get(name))
    if value is None:
        msg = f"{where}: ${{{name}}} is not set"
        raise SecretNotFoundError(msg, hint=_how_to_set(name), code=SECRET_UNSET, variable=name)
    if "\x00" in value:
        msg = f"{where}: the value of ${{{name}}} holds a NUL character"
        raise ConfigError(msg, hint=f"set {name} to text without NUL characters", variable=name)
    return value


def _how_to_set(name: str) -> str:
    if _NAME.match(name):
        return f"run `export {name}=...` first, or pass `--param {name}=...`"
    bare = re.split(r"[:\-=?+]", name, maxsplit=1)[0]
    return f"defaults inside ${{...}} are not supported: write ${{{bare}}} and set {bare}"


def unused_params(text: str, params: Iterable[str]) -> tuple[str, ...]:
    """Return the parameters whose `${key}` occurs nowhere in `text`."""
    return tuple(key for key in params if f"${{{key}}}" not in text)
