"""Mask secrets and neutralise terminal control bytes in any text that leaves the process.

Known secret values are registered when they are resolved, and every text that is printed, logged or
stored goes through `redact`. Patterns catch URL credentials that were never registered. What counts
as a piece of a secret is decided in docs/adr/0031. This module must not import anything else of
Rivet but `spelling`.
"""

from __future__ import annotations

import json
import re
import threading
from typing import Any, Final

from typing_extensions import override

from rivet.spelling import (
    SHORT,
    blocks_of,
    spellings,
    texts_of,
    visible,
    visible_json,
    visible_line,
    without_pieces,
)

__all__ = [
    "MASK",
    "Secret",
    "brief",
    "cleanse",
    "foreign",
    "redact",
    "redact_json",
    "redacted",
    "register_secret",
    "visible",
    "visible_json",
    "visible_line",
]

MASK: Final = "***"
_LONGEST_FOREIGN: Final = 4000
# Of what a server says no more is looked at: twice what is shown, masks being shorter than secrets.
_LOOKED_AT: Final = 16_000
_LEAST_QUOTED: Final = 4
_MOST_EDGE: Final = 128

_UNBROKEN = re.compile(r"[^\s'\"<>]+")
_KEY_VALUE = re.compile(
    r"(?P<key>\b(?:password|passwd|pwd|sslpassword|secret|token|sas_token)\s*[=:]\s*)"
    r"(?P<value>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^\s,;&)}]+)",
    re.IGNORECASE,
)
# Where a text quotes or leaves out: between two such marks may stand a piece of a secret.
_PARTED = tuple(re.compile(rf"({mark}|\.\.\.|\u2026|\n)") for mark in "'\"`")

_lock = threading.Lock()


class _Known:
    """What is masked: never changed, only replaced, so that readers need no lock."""

    def __init__(
        self,
        whole: frozenset[str] = frozenset(),
        cut: frozenset[str] = frozenset(),
        short: frozenset[str] = frozenset(),
    ) -> None:
        self.whole = whole
        self.cut = cut
        self.short = short
        self.blocks = frozenset(block for form in cut for block in blocks_of(form))
        self.longest_first = sorted(whole, key=len, reverse=True)
        alone = "|".join(map(re.escape, sorted(short)))
        self.alone = re.compile(rf"(?<=['\"`])(?:{alone})(?=['\"`])") if short else None


_known = _Known()


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
    """Remember a secret value, so that `redact` masks it in every form it may be written in.

    Of a URL, the whole is a secret and so are the pieces of its password, but not its host. A value
    of fewer than four characters is masked only where it stands alone between quotes: anywhere
    else, masking it would eat ordinary text and tell where it was.
    """
    global _known  # noqa: PLW0603 - replaced whole, under the lock
    whole: set[str] = set()
    cut: set[str] = set()
    short: set[str] = set()
    for text, is_cut in texts_of(value):
        if len(text) < SHORT:
            short.add(text)
        forms = spellings(text)
        whole |= forms
        if is_cut:
            cut |= forms
    with _lock:
        old = _known
        if not (whole <= old.whole and cut <= old.cut and short <= old.short):
            _known = _Known(old.whole | whole, old.cut | cut, old.short | short)


def redact(text: str) -> str:
    """Mask every registered secret, long pieces of one, and what a text itself calls a password.

    That is the userinfo of a URL and the value of `password=`.
    """
    known = _known
    for value in known.longest_first:
        if value in text:
            text = text.replace(value, MASK)
    if any(block in text for block in known.blocks):
        text = without_pieces(text, known.cut, MASK)
    if known.alone is not None:
        text = known.alone.sub(MASK, text)
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


def foreign(text: str) -> str:
    """Return what a server or a driver says, on one line, as it may be shown and kept.

    Secrets are masked, and pieces of four characters where the text quotes them: a server cuts
    names, and quotes a statement from the place it does not understand. The rest is cut to a few
    kilobytes, with a count of what is left out, and control characters are made visible.
    """
    shown = text[:_LOOKED_AT]
    left_out = len(text) - len(shown)
    shown = _without_quoted_pieces(redact(shown))
    if left_out:  # the end may be the beginning of a secret
        shown = shown[:-_MOST_EDGE]
        left_out += _MOST_EDGE
    lines = [line.strip() for line in shown.splitlines() if line.strip()]
    shown = "; ".join(dict.fromkeys(lines))
    cut = len(shown) - _LONGEST_FOREIGN
    if cut > 0 or left_out:
        shown = f"{shown[:_LONGEST_FOREIGN]}... ({max(cut, 0) + left_out:,} characters more)"
    return visible(shown)


def brief(text: str) -> str:
    """Cut a text of foreign origin to a few kilobytes and say how much was cut.

    Redact it first: a piece of a secret is not known for one.
    """
    cut = len(text) - _LONGEST_FOREIGN
    return text if cut <= 0 else f"{text[:_LONGEST_FOREIGN]}... ({cut:,} characters more)"


def _without_quoted_pieces(text: str) -> str:
    cut = _known.cut
    for parts in _PARTED if cut else ():
        if parts.search(text):
            found = parts.split(text)
            last = len(found) - 1
            for place in range(0, len(found), 2):
                if len(found[place]) >= _LEAST_QUOTED:
                    found[place] = _without_edges(
                        found[place], cut, is_begun=place > 0, is_ended=place < last
                    )
            text = "".join(found)
    return text


def _without_edges(text: str, secrets: frozenset[str], *, is_begun: bool, is_ended: bool) -> str:
    """Mask what lies between two marks and is a piece of a secret, or begins or ends with one."""
    for secret in secrets:
        if is_begun and is_ended and text in secret:
            return MASK
        lengths = range(min(len(text), len(secret), _MOST_EDGE), _LEAST_QUOTED - 1, -1)
        if is_begun:
            length = next((one for one in lengths if secret.endswith(text[:one])), 0)
            text = MASK + text[length:] if length else text
        if is_ended:
            length = next((one for one in lengths if secret.startswith(text[-one:])), 0)
            text = text[:-length] + MASK if length else text
    return text


def cleanse(error: BaseException) -> None:
    """Mask what an exception, its notes and those behind it hold, for any later traceback.

    For the exceptions of drivers and parsers, whose text is not ours.
    """
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        one.args = tuple(_cleansed(item) for item in one.args)
        if notes := getattr(one, "__notes__", None):
            one.__notes__ = [_cleansed(note) for note in notes]
        waiting += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions


def _cleansed(item: Any) -> Any:  # noqa: ANN401 - whatever an exception is made with
    if isinstance(item, str):
        return _without_quoted_pieces(redact(item))
    if isinstance(item, bytes):
        return redact(item.decode("latin1")).encode("latin1", "replace")
    return item


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
