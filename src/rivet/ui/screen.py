"""Show events while they come: live cards on a terminal, one line per verdict elsewhere."""

from __future__ import annotations

import os
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, TextIO

from rivet.events import ExportFinished, RetryAttempted, Warned
from rivet.redact import redact, visible
from rivet.ui.cards import Cards

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import RenderableType

    from rivet.events import Emit, Event

_WIDEST: Final = 100
_NARROWEST: Final = 60
_REFRESH_HZ: Final = 5
_COLOURS: Final = {"▸": "cyan", "✓": "green", "✗": "red", "⚠": "yellow"}


@contextmanager
def screen(
    stream: TextIO, names: tuple[str, ...], *, env: Mapping[str, str] | None = None
) -> Iterator[Emit]:
    """Yield the `Emit` that draws on `stream`.

    Args:
        stream: Standard error, as a rule.
        names: The exports of the run, so that columns do not move.
        env: `TERM=dumb` and `CI` choose plain lines; None is the process's environment.
    """
    environment = os.environ if env is None else env
    is_live = stream.isatty() and environment.get("TERM") != "dumb" and not environment.get("CI")
    with _live(stream, names) if is_live else _plain(stream, names) as emit:
        yield emit


@contextmanager
def _plain(stream: TextIO, names: tuple[str, ...]) -> Iterator[Emit]:
    cards = Cards(names)

    def emit(event: Event) -> None:
        now_s = time.monotonic()
        cards.apply(event, now_s)
        if isinstance(event, ExportFinished):
            _say(stream, cards.line(event.export_name, now_s, _WIDEST * 2))
        elif remark := _remark(event):
            _say(stream, remark)

    yield emit


@contextmanager
def _live(stream: TextIO, names: tuple[str, ...]) -> Iterator[Emit]:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    cards, lock = Cards(names), threading.Lock()
    console = Console(file=stream, highlight=False, markup=False, emoji=False)

    def draw() -> RenderableType:
        width = min(max(console.width, _NARROWEST), _WIDEST)
        room = max(console.height - 2, 1)
        with lock:
            lines = cards.lines(time.monotonic(), min(width, console.width))
        return Group(*(painted(line) for line in lines[-room:]))

    def painted(line: str) -> Text:
        text = Text(line, no_wrap=True, overflow="crop")
        text.stylize(_COLOURS.get(line[:1], ""), 0, 1)
        return text

    with Live(
        get_renderable=draw,
        console=console,
        refresh_per_second=_REFRESH_HZ,
        redirect_stdout=False,
        redirect_stderr=False,
    ) as live:

        def emit(event: Event) -> None:
            with lock:
                cards.apply(event, time.monotonic())
            if remark := _remark(event):
                live.console.print(Text(remark))
            if isinstance(event, ExportFinished):
                live.refresh()

        yield emit


def _remark(event: Event) -> str | None:
    match event:
        case Warned():
            text = f"{event.export_name}: warning: {event.message}"
        case RetryAttempted():
            text = (
                f"{event.export_name}: attempt {event.attempt} failed ({event.reason}); "
                f"trying again in {event.wait_s:.1f}s"
            )
        case _:
            return None
    return visible(redact(text))


def _say(stream: TextIO, line: str) -> None:
    with suppress(BrokenPipeError):  # a reader that went away must not fail the run
        stream.write(line + "\n")
        stream.flush()
