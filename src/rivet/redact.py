"""Mask secrets and neutralise terminal control bytes in any text that leaves the process.

Known secret values are registered when they are resolved, and every text that is printed, logged or
stored goes through `redact`. Patterns catch URL credentials that were never registered. This module
must not import anything else of Rivet.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote

from typing_extensions import override

MASK: Final = "***"
_MINIMUM_SECRET: Final = 3
_LONGEST_FOREIGN: Final = 4000

_UNBROKEN = re.compile(r"[^\s'\"<>]+")
_KEY_VALUE = re.compile(
    r"(?P<key>\b(?:password|passwd|pwd|sslpassword|secret|token|sas_token)\s*[=:]\s*)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)}]+)",
    re.IGNORECASE,
)
# Control characters, and those that turn the direction of text or break its lines.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_lock = threading.Lock()
_known: set[str] = set()


class Secret:
    """A string that never shows itself: `str`, `repr` and formatting give the mask.

    Making one registers its value, so that `redact` masks it wherever it turns up.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        register_secret(value)

    def reveal(self) -> str:
        """Return the value itself: only for the call that hands it to a driver."""
        return self._value

    @override
    def __str__(self) -> str:
        return MASK

    @override
    def __repr__(self) -> str:
        return f"Secret({MASK})"

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    @override
    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


def register_secret(value: str) -> None:
    """Remember a secret value, so that `redact` masks it raw and percent-encoded.

    Values shorter than three characters are not registered: masking them would eat ordinary text.
    """
    if len(value) < _MINIMUM_SECRET:
        return
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), unquote(value)}
    with _lock:
        _known.update(form for form in forms if len(form) >= _MINIMUM_SECRET)


def redact(text: str) -> str:
    """Mask every registered secret and every URL userinfo or `password=` value in `text`."""
    with _lock:
        known = sorted(_known, key=len, reverse=True)
    for value in known:
        if value in text:
            text = text.replace(value, MASK)
    if "://" in text and "@" in text:
        text = _UNBROKEN.sub(lambda match: _without_userinfo(match.group()), text)
    return _KEY_VALUE.sub(lambda match: f"{match['key']}{MASK}", text)


def _without_userinfo(text: str) -> str:
    """Mask from the first `://` to the last `@`: both found without a second look at any character.

    The userinfo of a URL ends at the last @ before the next blank or quote, because passwords hold
    unescaped / ? # @ : more often than one would like.
    """
    start, end = text.find("://"), text.rfind("@")
    return text if start < 0 or end < start else f"{text[:start]}://{MASK}{text[end:]}"


def redacted(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Mask every string inside lists and mappings; mappings keep their keys, numbers stay."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, list | tuple):
        return [redacted(item) for item in value]
    if isinstance(value, dict):
        return {key: redacted(item) for key, item in value.items()}
    return value


def redact_json(text: str) -> str:
    """Mask the strings of a JSON text; the result is JSON too.

    Masking the text itself would miss secrets that JSON escapes, and would break it where a mask
    swallows a quote or a number equals a secret.
    """
    try:
        body = json.loads(text)
    except ValueError:
        return redact(text)
    masked = redacted(body)
    return text if masked == body else json.dumps(masked, ensure_ascii=False)


def brief(text: str) -> str:
    """Cut a text of foreign origin to a few kilobytes and say how much was cut.

    Redact it first: a piece of a secret is not known for one.
    """
    cut = len(text) - _LONGEST_FOREIGN
    return text if cut <= 0 else f"{text[:_LONGEST_FOREIGN]}... ({cut:,} characters more)"


def visible(text: str) -> str:
    r"""Replace control and bidirectional characters by `\u{hh}` text, except tab and line feed.

    For every string of foreign origin (database errors, child output) before it meets a terminal.
    """
    return _CONTROL.sub(lambda match: f"\\u{{{ord(match.group()):02x}}}", text)


def visible_line(text: str) -> str:
    """Return `visible(text)` on one line: tabs and line feeds are shown like the others."""
    return visible(text).replace("\n", "\\u{0a}").replace("\t", "\\u{09}")


def visible_json(text: str) -> str:
    """Escape control and bidirectional characters in a JSON text, which means the same after it."""
    return _CONTROL.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
