"""Cards are a pure function of events and the clock."""

from rivet.events import ExportFinished, ExportStarted, Progress
from rivet.ui.cards import Cards


def _started(name, **more):
    return ExportStarted(name, "run", "full", "balanced (default)", 10_000, **more)


def _finished(name, status="success", error=None):
    return ExportFinished(name, "run", status, 1_000_908, 11, 33_973_862, 104_400, 50, error)


def test_a_running_card_shows_rows_rate_bytes_and_eta():
    cards = Cards()
    cards.apply(_started("orders", estimated_rows=3_000_000), 10.0)
    cards.apply(Progress("orders", 0, 1_200_000, 0, 50_000_000), 12.0)
    assert cards.lines(12.0, 100) == [
        "▸ orders        full     1.2M/~3.0M rows  600K rows/s  47.7 MB  2.0s  ETA 3.0s"
    ]


def test_a_finished_card_shows_its_totals():
    cards = Cards()
    cards.apply(_started("orders"), 0.0)
    cards.apply(_finished("orders"), 1.0)
    assert cards.line("orders", 9.0, 100) == (
        "✓ orders        full     1,000,908 rows  11 files  32.4 MB  1m 44.4s  RSS 50 MB"
    )


def test_a_failure_before_the_start_has_a_card_too():
    cards = Cards()
    cards.apply(_finished("orders", "failed", "no\x1b[2J such\ntable"), 1.0)
    line = cards.line("orders", 1.0, 100)
    assert line == "✗ orders        -        no\\u{1b}[2J such table"


def test_no_line_is_wider_than_the_screen():
    cards = Cards(("a" * 30,))
    cards.apply(_started("a" * 30), 0.0)
    cards.apply(_finished("a" * 30, "failed", "x" * 300), 1.0)
    (line,) = cards.lines(1.0, 60)
    assert len(line) == 60
    assert line.endswith("…")
