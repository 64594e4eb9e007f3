"""Tokens of SQL text, by the spelling rules of a dialect: what is quoted, what is a comment.

Enough to find where a statement ends and which words stand outside quotes; no grammar.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.sources.dialect import Dialect

__all__ = ["Token", "tokens"]

_DOUBLED: Final = ("'(?:[^']|'')*'", '"(?:[^"]|"")*"')
_BACKSLASHED: Final = (r"'(?:[^'\\]|\\.|'')*'", r'"(?:[^"\\]|\\.|"")*"')
_LINE: Final = r"--[^\n]*"
_HASH_OR_LINE: Final = r"(?:\#|--(?=\s|\Z))[^\n]*"
_WORDS: Final = r"""
    (?P<escaped>\b[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<text>{single})
  | (?P<name>{double} | `(?:[^`]|``)*`{brackets})
  | (?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)
  | (?P<line>{line})
  | (?P<block>/\*)
  | (?P<blank>\s+)
  | (?P<end>;)
  | (?P<word>\w+)
  | (?P<mark>.)"""


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL that means something.

    Attributes:
        kind: `word`, `name` (quoted), `text` (a literal), `code` (a comment that is run), `end` (a
            semicolon) or `mark` (any other character).
        start: Where it begins.
        text: As written, with its quotes.
    """

    kind: str
    start: int
    text: str

    @property
    def word(self) -> str:
        """The word in lower case; empty where it is none."""
        return self.text.lower() if self.kind == "word" else ""

    @property
    def content(self) -> str:
        """What is written between the quotes."""
        if self.kind not in {"name", "text"}:
            return self.text
        quote = self.text[: self.text.index("$", 1) + 1] if self.text[0] == "$" else self.text[-1]
        opening = 2 if self.text[0] in "eE" else len(quote)
        return self.text[opening : -len(quote)]


@cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    single, double = _BACKSLASHED if dialect.has_backslash_escapes else _DOUBLED
    pattern = _WORDS.format(
        single=single,
        double=double,
        brackets=r" | \[[^\]]*\]" if dialect.has_brackets else "",
        line=_HASH_OR_LINE if dialect.has_hash_comments else _LINE,
    )
    return re.compile(pattern, re.VERBOSE | re.DOTALL)


def tokens(text: str, dialect: Dialect) -> Iterator[Token]:
    """Yield every token that is neither blank nor comment."""
    offset = 0
    pattern = _pattern(dialect)
    while match := pattern.match(text, offset):
        kind, start = str(match.lastgroup), match.start()
        offset = match.end()
        if (kind == "dollar" and not dialect.has_dollar_quotes) or (
            kind == "escaped" and not dialect.has_escape_strings
        ):
            offset = start + 1
            kind = "mark" if kind == "dollar" else "word"
        elif kind == "block":
            offset = _after_comment(text, offset, is_nested=dialect.has_nested_comments)
            kind = _kind_of_comment(text, match.end(), dialect)
        elif kind in {"dollar", "escaped"}:
            kind = "text"
        if kind not in {"blank", "line", "block"}:
            yield Token(kind, start, text[start:offset])


def _kind_of_comment(text: str, offset: int, dialect: Dialect) -> str:
    is_run = dialect.has_run_comments and text.startswith(("!", "M!"), offset)
    return "code" if is_run else "block"


def _after_comment(text: str, offset: int, *, is_nested: bool) -> int:
    depth = 1
    for mark in re.compile(r"/\*|\*/").finditer(text, offset):
        if mark.group() == "*/":
            depth -= 1
        elif is_nested:
            depth += 1
        if depth == 0:
            return mark.end()
    return len(text)
