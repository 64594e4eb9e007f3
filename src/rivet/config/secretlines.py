"""Passwords in a text that is no configuration yet: a message about it must not quote them.

What is wrong may be the password itself, written without quotes: then the parser takes pieces of it
for keys, tags or aliases and names them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from rivet.redact import register_secret

__all__ = ["register_given", "register_written"]

_WRITTEN: Final = re.compile(r"""(?:password|url)['"]?[ \t]{0,99}:[ \t]{0,99}([^\n]{1,4000})""")
_LONGEST_WORD: Final = re.compile(r"[*&!]?([^,}\]]*)")
_QUOTES: Final = "'\""


def register_given(source: Any) -> None:  # noqa: ANN401 - any YAML value
    """Let `redact` know the secrets of a `source:` block before anything is said of its keys."""
    for key in ("password", "url") if isinstance(source, dict) else ():
        if isinstance(source.get(key), str):
            register_secret(source[key])


def register_written(text: str) -> None:
    """Let `redact` know what stands behind `password:` and `url:`, whether it is YAML or not."""
    for match in _WRITTEN.finditer(text):
        rest = match[1].strip()
        if "${" in rest and rest.strip(_QUOTES + "{}$_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == "":
            continue
        register_secret(rest)
        register_secret(rest.strip(_QUOTES))
        if word := _LONGEST_WORD.match(rest):
            register_secret(word[1].strip().strip(_QUOTES))
