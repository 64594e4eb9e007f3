"""One card per export: a pure function of events and the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rivet.events import Event, ExportFinished, ExportStarted, Progress, ProgressInit
from rivet.redact import visible
from rivet.ui.quantities import duration, rate, rows_short, size

_ICONS: Final = {"running": "▸", "success": "✓", "failed": "✗", "interrupted": "⚠"}
_OTHER_ICON: Final = "•"
_NAME_WIDTH: Final = 12
_MODE_WIDTH: Final = 7


@dataclass(slots=True)
class Card:
    """What is known of one export; `started_s` and `ended_s` are monotonic seconds."""

    name: str
    mode: str
    started_s: float
    status: str = "running"
    rows: int = 0
    estimated_rows: int | None = None
    bytes_written: int = 0
    chunks_done: int = 0
    total_chunks: int | None = None
    ending: str = ""


class Cards:
    """The cards of an invocation, in order of their first event."""

    def __init__(self, names: tuple[str, ...] = ()) -> None:
        self._cards: dict[str, Card] = {}
        self._width = max((len(name) for name in names), default=0)

    def apply(self, event: Event, now_s: float) -> None:
        """Take one event; those of an unknown export that are no start are ignored."""
        if isinstance(event, ExportStarted):
            self._cards[event.export_name] = Card(
                event.export_name, event.mode, now_s, estimated_rows=event.estimated_rows
            )
            return
        card = self._cards.get(event.export_name)
        if card is None and isinstance(event, ExportFinished):
            card = self._cards[event.export_name] = Card(event.export_name, "-", now_s)
        if card is None:
            return
        match event:
            case ProgressInit():
                card.total_chunks = event.total_chunks
            case Progress():
                card.rows = event.rows
                card.chunks_done = event.chunks_done
                card.bytes_written = event.bytes_written
            case ExportFinished():
                card.status = event.status
                card.rows = event.total_rows
                card.ending = _ending(event)
            case _:
                pass

    def lines(self, now_s: float, width: int) -> list[str]:
        """Return one line per card, none wider than `width`."""
        names = max([_NAME_WIDTH, self._width, *(len(name) for name in self._cards)])
        modes = max([_MODE_WIDTH, *(len(card.mode) for card in self._cards.values())])
        return [_line(card, now_s, names, modes, width) for card in self._cards.values()]

    def line(self, export_name: str, now_s: float, width: int) -> str:
        """Return the line of one export, the empty string where it has no card."""
        names = [*self._cards]
        if export_name not in names:
            return ""
        return self.lines(now_s, width)[names.index(export_name)]


def _line(card: Card, now_s: float, names: int, modes: int, width: int) -> str:
    icon = _ICONS.get(card.status, _OTHER_ICON)
    body = card.ending or _running(card, now_s - card.started_s)
    line = visible(f"{icon} {card.name:<{names}}  {card.mode:<{modes}}  {body}")
    line = " ".join(line.splitlines())
    return line if len(line) <= width else line[: width - 1] + "…"


def _running(card: Card, elapsed_s: float) -> str:
    total = f"/~{rows_short(card.estimated_rows)}" if card.estimated_rows else ""
    parts = [f"{rows_short(card.rows)}{total} rows"]
    if card.total_chunks:
        parts.insert(0, f"{card.chunks_done}/{card.total_chunks} chunks")
    parts += [rate(card.rows, elapsed_s)]
    if card.bytes_written:
        parts.append(size(card.bytes_written))
    parts.append(duration(elapsed_s))
    parts.append(_eta(card, elapsed_s))
    return "  ".join(part for part in parts if part)


def _eta(card: Card, elapsed_s: float) -> str:
    if not card.estimated_rows or not card.rows or elapsed_s < 1:
        return ""
    left = max(card.estimated_rows - card.rows, 0) * elapsed_s / card.rows
    return f"ETA {duration(left)}" if left >= 1 else ""


def _ending(event: ExportFinished) -> str:
    if event.error_message:
        return event.error_message
    files = "1 file" if event.files_produced == 1 else f"{event.files_produced} files"
    parts = [
        f"{event.total_rows:,} rows",
        files,
        size(event.bytes_written),
        duration(event.duration_ms / 1000),
    ]
    if event.peak_rss_mb:
        parts.append(f"RSS {event.peak_rss_mb} MB")
    return "  ".join(parts)
