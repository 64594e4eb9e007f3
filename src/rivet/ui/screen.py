"""Choose how a run shows itself: live cards, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from rivet.ui.jsonl import JsonScreen
from rivet.ui.plain import PlainScreen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rivet.events import Emit, Event


@contextmanager
def screen(
    stream: TextIO,
    names: tuple[str, ...],
    *,
    style: str = "auto",
    opening: str | None = None,
    env: Mapping[str, str] | None = None,
) -> Iterator[Emit]:
    """Yield the `Emit` that shows events on `stream`; it may be called from any thread.

    Args:
        stream: Standard error, as a rule.
        names: The exports of the run, in configuration order.
        style: `cards`, `plain`, `json` or `none`; `auto` is cards on a terminal, unless `CI` is
            set, else plain. Without a terminal that moves its cursor cards are plain lines.
        opening: A line for plain lines to begin with.
        env: `TERM`, `CI` and `NO_COLOR` count; None is the process's environment.
    """
    environment = os.environ if env is None else env
    if style == "none":
        yield _drop
    elif style == "json":
        yield JsonScreen(stream).emit
    elif names and _has_cards(stream, style, environment):
        from rivet.ui.live import LiveScreen

        with LiveScreen(stream, names, has_colour=not environment.get("NO_COLOR")) as live:
            yield live.emit
    else:
        yield PlainScreen(stream, names, opening).emit


def _has_cards(stream: TextIO, style: str, env: Mapping[str, str]) -> bool:
    if style not in {"auto", "cards"} or (style == "auto" and env.get("CI")):
        return False
    return stream.isatty() and env.get("TERM", "dumb") != "dumb"


def _drop(_event: Event) -> None:
    return
