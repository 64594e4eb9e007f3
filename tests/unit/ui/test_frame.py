"""A frame is never taller than the terminal, and shows what matters first."""

import pytest

from rivet.events import ExportFinished, ExportLaunched
from rivet.ui.cards import Cards
from rivet.ui.frame import frame


def _finished(name, status="success"):
    return ExportFinished(name, "run", status, 5, 1, 80, 3, 0, None if status == "success" else "x")


def _cards(phases):
    names = tuple(f"{phase}{number}" for number, phase in enumerate(phases))
    cards = Cards(names)
    for name, phase in zip(names, phases, strict=True):
        if phase == "run":
            cards.apply(ExportLaunched(name, "run", 7), 0.0)
        elif phase != "wait":
            cards.apply(_finished(name, {"ok": "success", "bad": "failed"}[phase]), 0.0)
    return cards


def _shown(cards, height):
    return [line.split()[1] for line in frame(cards, 0.0, 80, height)[:-1]]


def test_a_stack_that_fits_is_shown_whole_and_in_order():
    cards = _cards(["wait", "run", "ok", "bad"])
    assert frame(cards, 0.0, 80, 5) == cards.lines(0.0, 80)


def test_a_taller_stack_shows_what_runs_then_what_failed_and_counts_the_rest():
    cards = _cards([*["ok"] * 12, "bad", "run", "bad", "run", *["wait"] * 12])
    assert _shown(cards, 24) == ["run13", "run15", "bad12", "bad14"]
    assert frame(cards, 0.0, 80, 24)[-1] == "… 24 more: 12 done, 12 waiting"
    assert _shown(cards, 5) == ["run13", "run15", "bad12"]
    assert frame(cards, 0.0, 80, 5)[-1] == "… 25 more: 12 done, 1 failed, 12 waiting"
    assert frame(cards, 0.0, 80, 3)[-1] == "… 27 more: 1 running, 12 done, 2 failed, 12 waiting"


@pytest.mark.parametrize(
    ("height", "lines"), [(0, []), (1, []), (2, ["… 3 more: 1 running, 2 waiting"])]
)
def test_a_terminal_of_hardly_a_line_is_not_overrun(height, lines):
    assert frame(_cards(["run", "wait", "wait"]), 0.0, 80, height) == lines


def test_the_counts_are_cut_too():
    assert frame(_cards(["run", "wait", "wait"]), 0.0, 12, 2) == ["… 3 more: 1…"]
