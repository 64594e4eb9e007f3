"""Whatever names, messages and sizes there are: one line per card, none too wide, none harmful."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from wcwidth import wcswidth, wcwidth

from rivet.events import (
    ExportFinished,
    ExportLaunched,
    ExportStarted,
    Progress,
    ProgressInit,
    Warned,
)
from rivet.ui.cards import Cards
from rivet.ui.frame import frame
from rivet.ui.painter import Painter
from rivet.ui.remarks import remark
from rivet.ui.text import UNICODE

_nasty = st.sampled_from("\x1b\x9b\r\n\t\0\x7f\u2028\u202e\u200d\ufe0f\u0301漢👍é\ud800\u00ad …")
_texts = st.text(st.one_of(st.characters(), _nasty), max_size=60)
_names = st.lists(_texts.filter(bool), min_size=1, max_size=8, unique=True)
_numbers = st.one_of(st.integers(-5, 10**7), st.sampled_from([-(2**63), 2**63 - 1]))
_statuses = st.sampled_from(["success", "failed", "interrupted", "skipped", "odd"])


@st.composite
def _events(draw, names):
    name = draw(st.sampled_from(names))
    kind = draw(st.integers(0, 4))
    if kind == 0:
        return ExportLaunched(name, "run", 7)
    if kind == 1:
        return ExportStarted(name, "run", draw(_texts), "p", 1, draw(st.none() | _numbers))
    if kind == 2:
        return ProgressInit(name, draw(_numbers))
    if kind == 3:
        return Progress(name, draw(_numbers), draw(_numbers), 0, draw(_numbers))
    numbers = [draw(_numbers) for _ in range(5)]
    error = draw(st.none() | _texts)
    return ExportFinished(
        name, "run", draw(_statuses), *numbers, error, is_synthetic=draw(st.booleans())
    )


@st.composite
def _scenes(draw):
    names = draw(_names)
    cards = Cards(tuple(names), draw(st.sampled_from(["utf-8", "latin-1", "ascii"])))
    for now_s, event in enumerate(draw(st.lists(_events(names), max_size=25))):
        cards.apply(event, float(now_s))
    return cards, len(names)


def _is_harmless(line):
    return not any(unicodedata.category(each) in {"Cc", "Cs", "Zl", "Zp"} for each in line)


@settings(deadline=None)
@given(_scenes(), st.integers(1, 140), st.floats(0, 1e6))
def test_each_card_is_one_harmless_line_that_fits(scene, width, now_s):
    cards, count = scene
    lines = cards.lines(now_s, width)
    assert len(lines) == count
    for line in lines:
        assert _is_harmless(line)
        # Terminals that join emoji and those that do not.
        assert sum(max(wcwidth(each), 0) for each in line) <= width
        assert wcswidth(line) <= width


@settings(deadline=None)
@given(_scenes(), st.integers(1, 140), st.integers(1, 12))
def test_a_frame_leaves_a_line_for_the_cursor(scene, width, height):
    cards, count = scene
    lines = frame(cards, 9.0, width, height)
    assert len(lines) <= height - 1
    assert all(wcswidth(line) <= width for line in lines)
    if count < height:
        assert lines == cards.lines(9.0, width)


@settings(deadline=None)
@given(_texts, _texts)
def test_remarks_are_one_harmless_line(name, message):
    line = remark(Warned(name, "rule", message))
    assert line is not None
    assert _is_harmless(line)


@settings(deadline=None)
@given(_scenes())
def test_a_painted_frame_moves_the_cursor_only_as_the_painter_says(scene):
    cards, _ = scene
    with Path(os.devnull).open("w", encoding="utf-8") as stream:
        painter = Painter(stream, UNICODE, has_colour=False)
    size = os.terminal_size((80, 24))
    painter.paint(["first"], [], size)
    lines = frame(cards, 9.0, 79, 24)
    painted = painter.paint(lines, [], size)
    rest = painted.removeprefix("\x1b[?2026h\r\x1b[1A").removesuffix("\x1b[J\x1b[?2026l")
    assert rest == "".join(f"\x1b[2K{line}\r\n" for line in lines)
