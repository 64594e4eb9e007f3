"""How a secret may be spelled in a text: escaped, encoded, in pieces. Pure functions.

This module must not import anything else of Rivet.
"""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "SHORT",
    "blocks_of",
    "spellings",
    "texts_of",
    "visible",
    "visible_json",
    "visible_line",
    "without_pieces",
]

SHORT: Final = 4
"""A secret of fewer characters is masked only where it stands alone between quotes."""
_PIECE: Final = 12
_BLOCK: Final = _PIECE // 2
# Forms that look like ordinary numbers and words where the secret is shorter.
_CODED_FROM: Final = 6
# Of a longer secret, only pieces of its beginning are looked for.
_LONGEST_CUT: Final = 4096

# Control characters, and those that turn the direction of text or break its lines.
_CONTROL: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_URL: Final = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.\-]{0,30}://")
_CONNINFO: Final = re.compile(r"\b(?:host|hostaddr|port|user|dbname|service)\s*=")
_PASSWORD_KEYS: Final = frozenset({"password", "sslpassword", "passwd", "pwd"})
_PERCENT: Final = re.compile("%[0-9A-F]{2}")


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


def texts_of(value: str) -> Iterator[tuple[str, bool]]:
    """Yield what is secret of a value, and whether its pieces are.

    A URL and a string of `key=value` hold hosts and names too, which messages show.
    """
    if _URL.match(value):
        yield value.strip(), False
        yield from _of_url(value.strip())
    elif _CONNINFO.search(value):
        yield value.strip(), False
    elif value.strip():
        yield value, True
        if value != value.strip():
            yield value.strip(), True


def _of_url(url: str) -> Iterator[tuple[str, bool]]:
    strict, options = None, ""
    try:
        parts = urlsplit(url)
        strict, options = parts.password, parts.query
    except ValueError:
        pass
    # To the last @: what a person meant who did not encode a reserved character.
    meant = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    found = [(strict, True), (meant, strict is None)]
    found += [(text, True) for key, text in parse_qsl(options) if key.lower() in _PASSWORD_KEYS]
    for text, is_cut in found:
        if text:
            yield text, is_cut
            if (plain := unquote(text)) != text:
                yield plain, is_cut


def spellings(value: str) -> set[str]:
    """Return the forms in which a driver, a shell, a server or a traceback may print a value."""
    found = {value, *_encoded(value)}
    if len(value) >= _CODED_FROM:
        data = value.encode("utf-8", "surrogatepass")
        found |= {value.lower(), data.hex(), data.hex().upper(), data.decode("latin1")}
        found |= {base64.b64encode(data).decode().rstrip("=")}
        found |= {base64.urlsafe_b64encode(data).decode().rstrip("=")}
    found |= {visible(form) for form in found}
    return {form for form in found if len(form) >= SHORT}


def _encoded(value: str) -> Iterator[str]:
    percent: tuple[Callable[[str], str], ...] = (
        lambda text: quote(text, safe="", errors="replace"),
        lambda text: quote(text, errors="replace"),
        lambda text: quote_plus(text, errors="replace"),
    )
    for form in percent:
        encoded = form(value)
        yield encoded
        yield _PERCENT.sub(lambda match: match.group().lower(), encoded)
    yield unquote(value)
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(value.encode("utf-8", "surrogatepass"))[2:-1]
    yield value.encode("ascii", "backslashreplace").decode()
    doubled = value.replace("\\", "\\\\")
    for text in (value, doubled):
        yield text
        yield text.replace("'", "\\'")
        yield from (text.replace(mark, mark * 2) for mark in "'\"`")


def blocks_of(secret: str) -> list[str]:
    """Return the blocks of six of a secret, one of which every piece of it holds whole."""
    secret = secret[:_LONGEST_CUT]
    if len(secret) <= _PIECE:
        return []
    return [secret[at : at + _BLOCK] for at in range(0, len(secret) - _BLOCK + 1, _BLOCK)]


def without_pieces(text: str, secrets: Iterable[str], mask: str) -> str:
    """Mask every piece of twelve characters and more of a secret, in time linear in the text.

    A piece of twelve holds a whole block of six, wherever it begins: blocks are looked for, and
    what is found is followed to both sides.
    """
    found = sorted(span for secret in secrets for span in _pieces(text, secret))
    kept: list[str] = []
    done = 0
    for first, last in found:
        if first > done or not kept:
            kept += [text[done:first], mask]
        done = max(done, last)
    return "".join([*kept, text[done:]])


def _pieces(text: str, secret: str) -> Iterator[tuple[int, int]]:
    for number, block in enumerate(blocks_of(secret)):
        at = text.find(block)
        floor = 0
        while at >= 0:
            first, last = _followed(text, secret, at, number * _BLOCK, floor)
            if last - first >= _PIECE:
                yield first, last
                floor = last
                at = text.find(block, last)
            else:
                at = text.find(block, at + 1)


def _followed(text: str, secret: str, at: int, start: int, floor: int) -> tuple[int, int]:
    """Return from where to where a text agrees with a secret around a place they share."""
    first, place = at, start
    while first > floor and place > 0 and text[first - 1] == secret[place - 1]:
        first, place = first - 1, place - 1
    last, place = at + _BLOCK, start + _BLOCK
    while last < len(text) and place < len(secret) and text[last] == secret[place]:
        last, place = last + 1, place + 1
    return first, last
