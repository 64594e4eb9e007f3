"""`${NAME}` in text: parameters first, then the environment, then a default of its own.

A name that is not set is an error, never an empty text; `${NAME:-text}` is that text where NAME is
not set or empty, and `$${` a literal `${`. Values are never shown in messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.config.problem import SECRET_UNSET
from rivet.errors import ConfigError, SecretNotFoundError
from rivet.redact import register_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# A `$${` or a reference; what stands between the braces, with its default.
_REFERENCE: Final = re.compile(r"\$(?:\$\{|\{(?P<inside>[^{}\n]*)\})")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_DEFAULT: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*):-(?P<text>.*)\Z")
_LITERAL: Final = "${"
_IS_SECRET: Final = re.compile(
    r"PASS|PWD|SECRET|TOKEN|CREDENTIAL|DSN|UR[IL]$|"
    r"(?:API|ACCESS|ACCOUNT|PRIVATE|SAS|SHARED|SIGNING|ENCRYPTION)_?KEY",
    re.IGNORECASE,
)
_SHORTEST_MASKED: Final = 3
# Private planes: no document needs them, and YAML takes them for letters.
_FIRST: Final = 0xF0000
_MOST_REFERENCES: Final = 60_000
_PAD: Final = chr(0x100000)
_PLACEHOLDER: Final = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + _MOST_REFERENCES)}]{_PAD}*")


@dataclass(frozen=True, slots=True)
class Substituted:
    """Text after substitution.

    Attributes:
        text: The result.
        values: The values that came from the environment, by name; for masking only.
    """

    text: str
    values: Mapping[str, str]


def substitute(
    text: str, *, params: Mapping[str, str], env: Mapping[str, str], where: str
) -> Substituted:
    """Replace every `${NAME}` once; what was put in is not looked at again.

    `${}` becomes nothing, `$${` becomes `${`; a `${` without an end on its line is left as it is.

    Args:
        text: Any text, comments included.
        params: Take precedence over `env`.
        env: The environment.
        where: How messages name the text, such as `config file 'rivet.yaml'`.

    Raises:
        SecretNotFoundError: A name is set nowhere; the hint says how to set it.
        ConfigError: A value holds a NUL character.
    """
    values: dict[str, str] = {}

    def put_in(match: re.Match[str]) -> str:
        line = text.count("\n", 0, match.start()) + 1
        return _replaced(match, params, env, f"{where}, line {line}", values)

    return Substituted(_REFERENCE.sub(put_in, text), values)


class References:
    """`${NAME}` in a document, put in after it is parsed: each value is part of one scalar.

    Before parsing, every reference becomes a placeholder of the same length, of characters that
    mean nothing to YAML: nothing in a value can end a text, add a key or begin a comment, and every
    place in the text stays that of the file. A reference in a comment is not looked up.

    Args:
        text: The document as it was written.
        params: Take precedence over `env`.
        env: The environment.
        where: How messages name the document.

    Raises:
        ConfigError: The text holds characters that placeholders are made of.
    """

    def __init__(
        self, text: str, *, params: Mapping[str, str], env: Mapping[str, str], where: str
    ) -> None:
        self._original = text
        self._params = params
        self._env = env
        self._where = where
        self._offsets: list[int] = []
        self._values: dict[str, str] = {}
        if found := _PLACEHOLDER.search(text):
            line = text.count("\n", 0, found.start()) + 1
            msg = f"{where}, line {line}: a character of a private plane, U+{ord(found[0][0]):X}"
            raise ConfigError(msg, hint="keep it in a file, or in an environment variable")
        self.text = _REFERENCE.sub(self._placeholder, text)

    def _placeholder(self, match: re.Match[str]) -> str:
        place = len(self._offsets)
        if place >= _MOST_REFERENCES:
            msg = f"{self._where}: more than {_MOST_REFERENCES:,} references such as ${{NAME}}"
            raise ConfigError(msg)
        self._offsets.append(match.start())
        return chr(_FIRST + place) + _PAD * (len(match[0]) - 1)

    def holds(self, text: str) -> bool:
        """Whether a piece of the parsed text holds a reference."""
        return _PLACEHOLDER.search(text) is not None

    def put_in(self, text: str, *, keeps_escapes: bool = False) -> str:
        """Return a scalar with its values; they are not looked at again.

        Args:
            text: A piece of the parsed text.
            keeps_escapes: `$${` stays as it is, for a text that is resolved once more later.

        Raises:
            SecretNotFoundError: A name is set nowhere; the hint says how to set it.
            ConfigError: A value holds a NUL character.
        """
        escape = f"${_LITERAL}" if keeps_escapes else _LITERAL
        return _PLACEHOLDER.sub(lambda match: self._value(match, escape), text)

    def _value(self, match: re.Match[str], escape: str) -> str:
        offset, reference = self._reference(match)
        if reference["inside"] is None:
            return escape
        line = self._original.count("\n", 0, offset) + 1
        where = f"{self._where}, line {line}"
        return _replaced(reference, self._params, self._env, where, self._values)

    def _reference(self, match: re.Match[str]) -> tuple[int, re.Match[str]]:
        """Return the place of a placeholder's reference, and the reference as it was written."""
        offset = self._offsets[ord(match[0][0]) - _FIRST]
        found = _REFERENCE.match(self._original, offset)
        if found is None:
            msg = "a placeholder stands for no reference"
            raise AssertionError(msg)
        return offset, found

    def shown(self, text: str) -> str:
        """Write `${NAME}` for every reference, and for every environment value `text` shows."""
        text = _PLACEHOLDER.sub(lambda match: self._reference(match)[1][0], text)
        for name, value in sorted(self._values.items(), key=lambda item: -len(item[1])):
            if len(value) >= _SHORTEST_MASKED:
                text = text.replace(value, f"${{{name}}}")
        return text


def _replaced(
    reference: re.Match[str],
    params: Mapping[str, str],
    env: Mapping[str, str],
    where: str,
    values: dict[str, str],
) -> str:
    """Return what stands in for a reference; adds what came from the environment to `values`."""
    inside = reference["inside"]
    if not inside:
        return _LITERAL if inside is None else ""
    found = _DEFAULT.match(inside)
    name, default = (found["name"], found["text"]) if found else (inside, None)
    value = params.get(name, env.get(name))
    if default is not None and not value:
        return default
    if value is None:
        msg = f"{where}: ${{{name}}} is not set"
        raise SecretNotFoundError(msg, hint=_how_to_set(name), code=SECRET_UNSET, variable=name)
    if name not in params:
        values[name] = value
        if _IS_SECRET.search(name):
            register_secret(value)
    if "\x00" in value:
        msg = f"{where}: the value of ${{{name}}} holds a NUL character"
        raise ConfigError(msg, hint=f"set {name} to text without NUL characters", variable=name)
    return value


def _how_to_set(name: str) -> str:
    if _NAME.match(name):
        return f"run `export {name}=...` first, or pass `--param {name}=...`"
    bare = re.split(r"[:\-=?+]", name, maxsplit=1)[0]
    return f"write ${{{bare}}}, or ${{{bare}:-text}} for a text where {bare} is not set"


def unused_params(text: str, params: Iterable[str]) -> tuple[str, ...]:
    """Return the parameters whose `${key}` occurs nowhere in `text`, with or without a default."""
    used = {match["inside"] for match in _REFERENCE.finditer(text)} - {None}
    names = used | {found["name"] for one in used if (found := _DEFAULT.match(one))}
    return tuple(key for key in params if key not in names)
