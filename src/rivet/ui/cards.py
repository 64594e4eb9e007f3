"""One card per export: a pure function of events and the clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rivet.events import (
    Event,
    ExportFinished,
    ExportLaunched,
    ExportStarted,
    Progress,
    ProgressInit,
)
from rivet.ui.layout import Layout, Part, figures, fitted
from rivet.ui.quantities import duration, files, rate, rows_short, size
from rivet.ui.text import Glyphs, cells, encodable, glyphs_of, one_line, padded

_ETA_LIMIT_S: Final = 360_000
_NO_VERDICT: Final = "ended without a verdict"


class Phase(StrEnum):
    """Where an export stands."""

    WAITING = "waiting"
    PREPARING = "preparing"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_running(self) -> bool:
        """Whether somebody works on it."""
        return self in {Phase.PREPARING, Phase.RUNNING}

    @property
    def is_over(self) -> bool:
        """Whether its verdict is known."""
        return self in {Phase.DONE, Phase.FAILED, Phase.INTERRUPTED}


@dataclass(slots=True)
class Card:
    """What is known of one export.

    Attributes:
        name: As it is shown.
        began_s: Monotonic seconds when its turn came, then when reading began.
        mark: Its icon.
        figures: The columns of a success.
        text: What is said instead of figures.
        brief: The same, where the words after the run say more.
    """

    name: str
    mark: str
    phase: Phase = Phase.WAITING
    mode: str = "-"
    began_s: float = 0.0
    rows: int = 0
    estimated_rows: int = 0
    bytes_written: int = 0
    chunks_done: int = 0
    total_chunks: int = 0
    figures: list[str] = field(default_factory=list)
    text: str = ""
    brief: str = ""


class Cards:
    """The cards of an invocation, in configuration order.

    Args:
        names: The exports; each has a card from the start. Others get theirs when they begin.
        encoding: That of the stream the lines go to: it decides on the glyphs.
    """

    def __init__(self, names: tuple[str, ...] = (), encoding: str = "utf-8") -> None:
        self.glyphs: Glyphs = glyphs_of(encoding)
        self._encoding = encoding
        self._cards: dict[str, Card] = {}
        for name in names:
            self._card(name)

    def apply(self, event: Event, now_s: float) -> None:
        """Take one event; what comes after the verdict of an export is ignored."""
        if self.is_over(event.export_name):
            return
        card = self._cards.get(event.export_name)
        match event:
            case ExportLaunched():
                self._launch(event, now_s)
            case ExportStarted():
                self._start(event, now_s)
            case ExportFinished():
                self._finish(event)
            case ProgressInit() if card:
                card.total_chunks = max(event.total_chunks, 0)
            case Progress() if card:
                card.rows = max(event.rows, 0)
                card.chunks_done = max(event.chunks_done, 0)
                card.bytes_written = max(event.bytes_written, 0)
            case _:
                pass

    def is_over(self, export_name: str) -> bool:
        """Whether the verdict of this export is known."""
        card = self._cards.get(export_name)
        return card is not None and card.phase.is_over

    def close(self) -> None:
        """Take it that no more events come: what has begun and not ended says so."""
        for card in self._cards.values():
            if card.phase.is_running:
                card.phase, card.mark = Phase.INTERRUPTED, self.glyphs.attention
                card.text = _NO_VERDICT

    @property
    def phases(self) -> list[Phase]:
        """Where each export stands, in the order of `lines`."""
        return [card.phase for card in self._cards.values()]

    def lines(self, now_s: float, width: int, *, is_last: bool = False) -> list[str]:
        """Return one line per card, none wider than `width` cells, columns aligned.

        The last ones name a failure by its code: the words that follow tell it, once.
        """
        cards = list(self._cards.values())
        layout = Layout.of(
            width,
            names=[cells(card.name) for card in cards],
            modes=[cells(card.mode) for card in cards],
            figures=[card.figures for card in cards if card.figures],
            ellipsis=self.glyphs.ellipsis,
        )
        return [self._line(card, now_s, layout, is_brief=is_last) for card in cards]

    def line(self, export_name: str, now_s: float, width: int) -> str:
        """Return the last line of one export, the empty string where it has no card.

        Its columns are wide enough for most, so that lines written one by one stand aligned too.
        """
        card = self._cards.get(export_name)
        if card is None:
            return ""
        layout = Layout.steady(
            width,
            names=[cells(each.name) for each in self._cards.values()],
            modes=[cells(card.mode)],
            figures=[card.figures] if card.figures else [],
            ellipsis=self.glyphs.ellipsis,
        )
        return self._line(card, now_s, layout, is_brief=True)

    def _line(self, card: Card, now_s: float, layout: Layout, *, is_brief: bool) -> str:
        if card.phase is Phase.RUNNING:
            body = fitted(_running(card, now_s - card.began_s), layout.body, layout.ellipsis)
        elif card.phase is Phase.PREPARING:
            elapsed_s = now_s - card.began_s
            parts = [Part(f"preparing{layout.ellipsis}")]
            parts += [Part(duration(elapsed_s), 1)] if elapsed_s >= 1 else []
            body = fitted(parts, layout.body, layout.ellipsis)
        elif card.figures:
            body = fitted(figures(card.figures, layout.figures), layout.body, layout.ellipsis)
        else:
            text = (card.brief if is_brief else "") or card.text or str(card.phase)
            body = layout.cut(text, layout.body)
        name = padded(layout.cut(card.name, layout.name), layout.name)
        mode = f"{padded(card.mode, layout.mode)}  " if layout.mode else ""
        return layout.cut(f"{card.mark} {name}  {mode}{body}".rstrip(), layout.width)

    def _card(self, export_name: str) -> Card:
        card = self._cards.get(export_name)
        if card is None:
            card = self._cards[export_name] = Card(self._shown(export_name), self.glyphs.other)
        return card

    def _launch(self, event: ExportLaunched, now_s: float) -> None:
        card = self._card(event.export_name)
        if card.phase is Phase.WAITING:
            card.phase, card.mark, card.began_s = Phase.PREPARING, self.glyphs.running, now_s

    def _start(self, event: ExportStarted, now_s: float) -> None:
        self._cards[event.export_name] = Card(
            self._card(event.export_name).name,
            self.glyphs.running,
            Phase.RUNNING,
            mode=self._shown(event.mode) or "-",
            began_s=now_s,
            estimated_rows=max(event.estimated_rows or 0, 0),
        )

    def _finish(self, event: ExportFinished) -> None:
        card = self._card(event.export_name)
        if event.mode:
            card.mode = self._shown(event.mode)
        card.phase, card.mark = self._verdict(event)
        if event.error_message:
            card.text = self._shown(event.error_message) or event.status
            has_code = event.status == "failed" and event.error_code
            code = f" [{event.error_code}]" if has_code else ""
            card.brief = self._shown(f"{event.status}{code}")
        elif event.status == "success":
            card.figures = _figures(event)
        else:
            card.text = self._shown(_told(event))

    def _verdict(self, event: ExportFinished) -> tuple[Phase, str]:
        glyphs = self.glyphs
        if event.status == "interrupted":
            return Phase.INTERRUPTED, glyphs.attention
        if event.status == "failed":
            return Phase.FAILED, glyphs.attention if event.is_synthetic else glyphs.failed
        return Phase.DONE, glyphs.success if event.status == "success" else glyphs.other

    def _shown(self, text: str) -> str:
        return encodable(one_line(text), self._encoding)


def _running(card: Card, elapsed_s: float) -> list[Part]:
    """Return what a running card says; where there is no room the highest ranks go first."""
    is_within = card.rows <= card.estimated_rows
    total = f"/~{rows_short(card.estimated_rows)}" if card.estimated_rows and is_within else ""
    chunks = card.total_chunks
    parts = [
        Part(f"{min(card.chunks_done, chunks)}/{chunks} chunks" if chunks else "", 4),
        Part(f"{rows_short(card.rows)}{total} rows"),
        Part(rate(card.rows, elapsed_s), 3),
        Part(size(card.bytes_written) if card.bytes_written else "", 5),
        Part(duration(elapsed_s), 1),
        Part(_eta(card, elapsed_s), 2),
    ]
    return [part for part in parts if part.text]


def _eta(card: Card, elapsed_s: float) -> str:
    done, total = card.rows, card.estimated_rows
    if not total:
        done, total = card.chunks_done, card.total_chunks
    if not done or elapsed_s < 1:
        return ""
    left_s = (total - done) * elapsed_s / done
    return f"ETA {duration(left_s)}" if 1 <= left_s < _ETA_LIMIT_S else ""


def _figures(event: ExportFinished) -> list[str]:
    return [
        f"{event.total_rows:,} rows",
        files(event.files_produced),
        size(event.bytes_written),
        duration(event.duration_ms / 1000),
    ]


def _told(event: ExportFinished) -> str:
    reason = (event.details or {}).get("skip_reason")
    if event.status == "skipped" and isinstance(reason, str):
        return f"skipped: {reason}"
    if event.files_produced:
        what = f"{event.total_rows:,} rows in {files(event.files_produced)} recorded"
        return f"{event.status}; {what}"
    return event.status
