"""What the beginning of a connection URL says."""

from __future__ import annotations

import re
from typing import Final

from rivet.config.engines import EngineForm, engine_of_scheme
from rivet.config.problem import Problem

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")


def scheme_fault(url: str, form: EngineForm, *, key: str) -> Problem | None:
    """Say whether a URL is another engine's, or none; its text is never shown.

    Args:
        url: The whole URL.
        form: What `source.type` says.
        key: Where the URL comes from: `url`, `url_env` or `url_file`.
    """
    match = _SCHEME.match(url.strip())
    if match is None and form.takes_service and "=" in url:
        return None
    other = engine_of_scheme(match[1]) if match else None
    if other is form:
        return None
    message = f"the URL of `source.{key}` does not begin with {form.schemes[0]}://"
    if other is not None:
        message = (
            f"the URL of `source.{key}` is the address of {other.name}, "
            f"and `source.type` is {form.name}"
        )
    return Problem(
        ("source", key),
        message,
        hint=f"make `type` and the URL name the same kind of database: {form.schemes[0]}://...",
        code="RIVET_CONFIG_SOURCE_URL_SCHEME_MISMATCH",
    )
