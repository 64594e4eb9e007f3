"""Cards are a pure function of events and the clock."""

import pytest

from rivet.events import (
    ExportFinished,
    ExportLaunched,
    ExportStarted,
    Progress,
    ProgressInit,
)
from rivet.ui.cards import Cards


def _launched(name):
    return ExportLaunched(name, "run", 7)


def _started(name, mode="full", **more):
    return ExportStarted(name, "run", mode, "balanced (default)", 10_000, **more)


def _finished(name, status="success", error=None, **more):
    numbers = {
        "total_rows": 1_000_908,
        "files_produced": 11,
        "bytes_written": 33_973_862,
        "duration_ms": 104_400,
        "peak_rss_mb": 50,
        **more,
    }
    return ExportFinished(name, "run", status, error_message=error, **numbers)


def _stack(*events, names=(), encoding="utf-8"):
    cards = Cards(names, encoding)
    for event in events:
        cards.apply(event, 10.0)
    return cards


def test_every_export_has_a_card_from_the_start_and_each_state_its_mark():
    names = ("waits", "prepares", "reads", "done", "skipped", "broke", "stopped", "killed")
    cards = _stack(
        _finished("killed", "failed", "its process was killed by SIGKILL", is_synthetic=True),
        _finished("stopped", "interrupted", total_rows=1_000, files_produced=1),
        _finished("broke", "failed", "no such table: broke"),
        _finished("skipped", "skipped", details={"skip_reason": "no new rows"}),
        _started("done", "incremental"),
        _finished("done"),
        _launched("reads"),
        _started("reads", estimated_rows=3_000_000),
        Progress("reads", 0, 1_200_000, 0, 50_000_000),
        _launched("prepares"),
        names=names,
    )
    assert cards.lines(12.0, 100) == [
        "• waits         -            waiting",
        "▸ prepares      -            preparing…  2.0s",
        "▸ reads         full         1.2M/~3.0M rows  600K rows/s  47.7 MB  2.0s  ETA 3.0s",
        "✓ done          incremental  1,000,908 rows  11 files  32.4 MB  1m 44.4s",
        "• skipped       -            skipped: no new rows",
        "✗ broke         -            no such table: broke",
        "⚠ stopped       -            interrupted; 1,000 rows in 1 file recorded",
        "⚠ killed        -            its process was killed by SIGKILL",
    ]


def test_final_columns_are_right_aligned():
    small = _finished(
        "b", total_rows=5, files_produced=1, bytes_written=80, duration_ms=3, peak_rss_mb=0
    )
    assert _stack(_finished("a"), small).lines(0.0, 100) == [
        "✓ a             -        1,000,908 rows  11 files  32.4 MB  1m 44.4s",
        "✓ b             -                5 rows    1 file     80 B       3ms",
    ]


def test_a_line_that_stands_alone_has_columns_wide_enough_for_those_to_come():
    cards = _stack(_finished("orders"), _finished("b", total_rows=123_456_789), names=("orders",))
    assert [cards.line(name, 9.0, 200) for name in ("orders", "b", "unknown")] == [
        "✓ orders        -              1,000,908 rows   11 files    32.4 MB  1m 44.4s",
        "✓ b             -            123,456,789 rows   11 files    32.4 MB  1m 44.4s",
        "",
    ]


@pytest.mark.parametrize(
    ("width", "line"),
    [
        (80, "✓ public.sales_orders_of…  full     1,000,908 rows  11 files  32.4 MB  1m 44.4s"),
        (60, "✓ public.sale…  full     1,000,908 rows  11 files  1m 44.4s"),
        (40, "✓ public.sale…  1,000,908 rows  1m 44.4s"),
        (20, "✓ public.…  1,000,9…"),
        (6, "✓ …  …"),
        (1, "…"),
    ],
)
def test_a_long_name_gives_way_to_the_body(width, line):
    cards = _stack(_started("public.sales_orders_of_the_last_year"))
    cards.apply(_finished("public.sales_orders_of_the_last_year"), 1.0)
    assert cards.lines(1.0, width) == [line]


@pytest.mark.parametrize(
    ("width", "body"),
    [
        (100, "2/4 chunks  1.2M/~3.0M rows  600K rows/s  47.7 MB  2.0s  ETA 3.0s"),
        (84, "2/4 chunks  1.2M/~3.0M rows  600K rows/s  2.0s  ETA 3.0s"),
        (80, "1.2M/~3.0M rows  600K rows/s  2.0s  ETA 3.0s"),
        (60, "1.2M/~3.0M rows  2.0s  ETA 3.0s"),
    ],
)
def test_a_running_card_keeps_what_matters_most(width, body):
    cards = _stack(_started("orders", estimated_rows=3_000_000), ProgressInit("orders", 4))
    cards.apply(Progress("orders", 2, 1_200_000, 0, 50_000_000), 12.0)
    assert cards.lines(12.0, width) == [f"▸ orders        full     {body}"]


def test_nothing_is_more_than_all_of_it_and_no_time_is_left_over():
    cards = _stack(_started("orders", estimated_rows=1_000), ProgressInit("orders", 4))
    cards.apply(Progress("orders", 9, 5_000, 0, -1), 12.0)
    assert cards.lines(12.0, 100) == [
        "▸ orders        full     4/4 chunks  5K rows  2K rows/s  2.0s"
    ]


def test_chunks_tell_the_time_left_where_nobody_guessed_the_rows():
    cards = _stack(_started("orders"), ProgressInit("orders", 4), Progress("orders", 1, 500))
    assert cards.lines(14.0, 100)[0].endswith("1/4 chunks  500 rows  125 rows/s  4.0s  ETA 12.0s")


def test_a_failure_before_the_start_has_a_card_too():
    cards = _stack(_finished("orders", "failed", "no\x1b[2J such\n  table\u2028\u202e\udc80"))
    assert cards.lines(1.0, 100) == [
        "✗ orders        -        no\\u{1b}[2J such table\\u{2028}\\u{202e}\\u{dc80}"
    ]


def test_double_width_names_are_measured_in_cells():
    cards = _stack(
        _finished("注文"), _finished("中文表名很长的一个表名很长的"), _finished("e\u0301t")
    )
    assert cards.lines(1.0, 79) == [
        "✓ 注文                    -        1,000,908 rows  11 files  32.4 MB  1m 44.4s",
        "✓ 中文表名很长的一个表…   -        1,000,908 rows  11 files  32.4 MB  1m 44.4s",
        "✓ e\u0301t                      -        1,000,908 rows  11 files  32.4 MB  1m 44.4s",
    ]


def test_a_stream_without_the_glyphs_gets_ascii():
    cards = _stack(
        _finished("a"),
        _finished("b", "failed", "größer als 漢"),
        _finished("c", "interrupted", "interrupted"),
        _launched("d"),
        names=("a", "b", "c", "d", "é漢"),
        encoding="latin-1",
    )
    assert cards.lines(10.0, 100) == [
        "+ a             -        1,000,908 rows  11 files  32.4 MB  1m 44.4s",
        "x b             -        größer als \\u6f22",
        "! c             -        interrupted",
        "> d             -        preparing...",
        "- é\\u6f22       -        waiting",
    ]


def test_a_verdict_is_final_and_a_new_start_is_not_a_new_card():
    cards = _stack(
        _started("a", "chunked"),
        Progress("a", 1, 70),
        _started("a"),
        names=("a", "b"),
    )
    assert cards.lines(10.0, 100)[0] == "▸ a             full     0 rows  0ms"
    cards.apply(_finished("a", "failed", "first"), 11.0)
    for late in (_finished("a"), _started("a"), Progress("a", 1, 70), _launched("a")):
        cards.apply(late, 12.0)
    assert cards.lines(12.0, 100)[0] == "✗ a             full     first"


def test_events_of_an_export_nobody_knows_are_ignored():
    cards = _stack(Progress("a", 1, 70), ProgressInit("a", 4))
    assert cards.lines(10.0, 100) == []


def test_what_has_begun_and_not_ended_says_so_at_the_end():
    cards = _stack(_started("a"), _launched("b"), _finished("c"), names=("d",))
    cards.close()
    assert cards.lines(0.0, 90)[:3] == [
        "• d             -        waiting",
        "⚠ a             full     ended without a verdict",
        "⚠ b             -        ended without a verdict",
    ]
    assert cards.lines(0.0, 90)[3].startswith("✓ c ")


def test_secrets_are_masked_before_they_are_cut():
    cards = _stack(_finished("a", "failed", "cannot reach postgresql://u:pa55word@host/db"))
    assert cards.lines(0.0, 100) == [
        "✗ a             -        cannot reach postgresql://***@host/db"
    ]
