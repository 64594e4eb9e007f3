"""The words after a run."""

import signal
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rivet.model.part import FileStats, RecordedPart
from rivet.model.report import ChildOutput, ExportReport, Failure, RunReport
from rivet.ui.blocks import export_block, stderr_dump
from rivet.ui.commands import Again
from rivet.ui.summary import going_on, run_summary

_BEGAN_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def _success(name, rows=1_000, parts=1):
    files = tuple(_part(name, number, rows // parts) for number in range(parts))
    size = 10 * parts
    return ExportReport(name, "success", "run", rows=rows, bytes_written=size, files=files)


def _part(name, number, rows):
    stats = FileStats(rows, 10, "xxh3:0", "")
    file = f"{number}.parquet"
    return RecordedPart(number, "run", name, 0, 1, file, f"file:///{file}", 0, stats, _BEGAN_AT)


def _failed(name, message, hint=None, code="RIVET_SOURCE_QUERY"):
    return ExportReport(name, "failed", failure=Failure(code, message, hint, 1, retryable=False))


def _stopped(name, message=None):
    failure = message and Failure("RIVET_INTERRUPTED", message, None, 1, retryable=True)
    return ExportReport(name, "interrupted", failure=failure or None)


def _run(*exports, path="shop.yaml", mode="parallel-processes", stopped_by=None):
    ended_at = _BEGAN_AT + timedelta(seconds=2)
    return RunReport("agg_1", _BEGAN_AT, ended_at, path, exports, mode, stopped_by)


def test_the_summary_of_a_good_run_is_short():
    report = _run(_success("a"), _success("b", 501_000, 2))
    assert run_summary(report, written="out.json") == (
        "\n════════════════════════════════════════════════════════\n"
        "  Run summary (2 exports)\n"
        "════════════════════════════════════════════════════════\n"
        "  id:            agg_1\n"
        "  status:        2 success · 0 failed\n"
        "  rows:          502,000\n"
        "  files:         3\n"
        "  bytes written: 30 B\n"
        "  duration:      2.0s (wall clock)\n"
        "  throughput:    251K rows/s\n"
        "  mode:          parallel-processes\n"
        "  config:        shop.yaml\n"
        "\n  written:       out.json\n"
    )


def test_failures_are_listed_with_what_is_safe_and_how_to_go_on():
    report = _run(_success("a"), _failed("b", "no such\n table: b\x1b[2J"), path="my shop.yaml")
    assert run_summary(report).endswith(
        "\n  failed exports:\n"
        "    - b: [RIVET_SOURCE_QUERY] no such table: b\\u{1b}[2J\n"
        "\n"
        "  committed: a 1,000 rows in 1 file\n"
        "  go on with: rivet run -c 'my shop.yaml' -e b\n"
    )


def test_a_cause_is_one_line_of_200_characters():
    text = run_summary(_run(_success("a"), _failed("b", "x" * 300)))
    (line,) = [line for line in text.splitlines() if line.startswith("    - b: ")]
    assert len(line) == len("    - b: ") + 200
    assert line.endswith("x…")


def test_a_stopped_run_says_by_what_and_what_is_left():
    waiting = [_stopped(f"w{number}", "not started") for number in range(4)]
    partial = replace(_success("half", 500), status="interrupted")
    report = _run(_success("a"), partial, *waiting, stopped_by=signal.SIGINT)
    again = Again(params=" -p day=1", options=" --validate", parallel=" --parallel-exports=4")
    text = run_summary(report, again=again)
    assert "  status:        1 success · 0 failed · 5 interrupted\n" in text
    assert "  stopped:       by SIGINT\n" in text
    assert text.endswith(
        "\n  interrupted exports:\n"
        "    - 4 exports: [RIVET_INTERRUPTED] not started\n"
        "      w0, w1, w2, w3\n"
        "    - half: interrupted\n"
        "\n"
        "  committed: a 1,000 rows in 1 file\n"
        "  committed: half 500 rows in 1 file (of an unfinished run)\n"
        "  go on with: rivet run -c shop.yaml -p day=1 -e half -e w0 -e w1 -e w2 -e w3"
        " --validate --resume --parallel-exports=4\n"
    )


def test_a_single_export_says_how_to_go_on_only_where_it_was_stopped():
    stopped = _run(_stopped("a"), stopped_by=signal.SIGTERM)
    assert going_on(stopped) == "\n  go on with: rivet run -c shop.yaml -e a\n"
    partial = replace(_success("a"), status="interrupted")
    text = going_on(_run(partial, stopped_by=signal.SIGTERM))
    assert text.endswith("\n  go on with: rivet run -c shop.yaml -e a --resume\n")
    again = Again("backfill", options=" --export=a --from=1 --to=2", resumes=False)
    text = going_on(_run(replace(partial, export_name="a.backfill"), stopped_by=2), again)
    assert text.endswith("go on with: rivet backfill -c shop.yaml --export=a --from=1 --to=2\n")
    assert going_on(_run(_failed("a", "x"))) == ""
    assert going_on(_run(_success("a"), stopped_by=signal.SIGTERM)) == ""


def test_what_was_cut_off_says_what_is_safe_and_how_to_go_on():
    failure = _failed("a", "x").failure
    silent = replace(_failed("a", "x"), failure=replace(failure, exit_code=2))
    full = replace(_failed("a", "x"), failure=replace(failure, code="RIVET_DESTINATION_FULL"))
    kept = "\n  kept: the files and the progress of earlier runs\n"
    for cut_off in (silent, full):
        assert going_on(_run(cut_off)) == f"{kept}  go on with: rivet run -c shop.yaml -e a\n"
    midway = replace(_success("a", 500), status="failed", failure=failure)
    text = going_on(_run(midway))
    assert text.startswith("\n  committed: a 500 rows in 1 file (of an unfinished run)\n  kept: ")
    assert text.endswith("-c shop.yaml -e a --resume\n")
    refused = replace(midway, failure=replace(failure, exit_code=3))
    assert going_on(_run(refused)) == ""


def test_many_that_all_failed_are_gone_on_with_by_naming_none():
    many = [_failed(f"e{number}", "x") for number in range(51)]
    assert going_on(_run(*many[:2])) == "\n  go on with: rivet run -c shop.yaml\n"
    assert going_on(_run(*many[:50], _success("a"))).count(" -e ") == 50
    assert going_on(_run(*many, _success("a"))).endswith("go on with: rivet run -c shop.yaml\n")


def test_many_commits_are_one_line():
    good = [_success(f"e{number}") for number in range(25)]
    text = going_on(_run(*good, _failed("bad", "x")))
    assert text.count("  committed: ") == 1
    assert "  committed: 25 exports, 25,000 rows in 25 files\n" in text


def test_failures_are_told_by_cause_and_each_cause_once():
    report = _run(
        _failed("x", "something else"),
        *(
            _failed(f"t_{n}", f"t_{n}: no table 't{n}' at 10.0.0.{n}:5432", "ask\nus")
            for n in range(12)
        ),
        *(
            _failed(name, f"{name}: no column 'a'", f"look at {name}")
            for name in ("orders", "items")
        ),
        *(_failed(name, "the same for both", "try") for name in ("p", "q")),
    )
    assert run_summary(report).split("  failed exports:\n")[1] == (
        "    - 12 exports: such as [RIVET_SOURCE_QUERY] t_0: no table 't0' at 10.0.0.0:5432\n"
        "      t_0, t_1, t_2, t_3, t_4, t_5, t_6, t_7, t_8, t_9 and 2 more\n"
        "      hint: ask us\n"
        "    - orders: [RIVET_SOURCE_QUERY] orders: no column 'a'\n"
        "      hint: look at orders\n"
        "    - items: [RIVET_SOURCE_QUERY] items: no column 'a'\n"
        "      hint: look at items\n"
        "    - p, q: [RIVET_SOURCE_QUERY] the same for both\n"
        "      hint: try\n"
        "    - x: [RIVET_SOURCE_QUERY] something else\n"
        "\n"
        "  go on with: rivet run -c shop.yaml\n"
    )


def test_a_summary_is_at_most_50_lines_whatever_failed():
    words = ("alpha", "beta", "gamma", "delta", "epsilon")
    causes = [f"{one} {other}" for one in words for other in words for _ in range(3)]
    failed = [_failed(f"f{n}", causes[n], f"hint {causes[n]}") for n in range(75)]
    stopped = [_stopped(f"s{n}", causes[n]) for n in range(75)]
    good = [_success(f"g{n}") for n in range(5)]
    partial = [replace(_success(f"p{n}"), status="interrupted") for n in range(5)]
    text = run_summary(_run(*failed, *stopped, *good, *partial, stopped_by=2), written="x.json")
    assert text.count("\n") <= 50
    assert "more exports, of other causes: `--json` lists all\n" in text
    assert "  committed: 5 exports, 5,000 rows in 5 files\n" in text
    assert "  committed: 5 exports, 5,000 rows in 5 files (of unfinished runs)\n" in text


def test_a_rate_is_told_of_large_tables_only():
    assert "throughput:    251K rows/s\n" in run_summary(
        _run(_success("a"), _success("b", 501_000))
    )
    many = [_success(f"e{number}", 90_000) for number in range(10)]
    assert "throughput" not in run_summary(_run(*many))
    assert "rows/s" not in export_block(replace(_success("a", 90_000), duration_ms=1000))
    assert "(200K rows/s)" in export_block(replace(_success("a", 200_000), duration_ms=1000))


def test_the_words_of_children_are_shown_with_what_was_dropped():
    outputs = [
        ChildOutput("orders", ("one", "two"), dropped=7, tail=("last",)),
        ChildOutput("silent", ()),
        ChildOutput("b", ("x",)),
    ]
    assert stderr_dump(outputs) == (
        "\n"
        "  child stderr (captured to keep the live card stack stable):\n"
        "  ── orders ──\n"
        "    | one\n"
        "    | two\n"
        "    | … (truncated, 7 more line(s) dropped)\n"
        "    | last\n"
        "  ── b ──\n"
        "    | x\n"
    )
    assert stderr_dump([ChildOutput("silent", ())]) == ""
    assert stderr_dump([]) == ""


def test_a_block_shows_foreign_text_harmless():
    block = export_block(_stopped("or\x1bders", "no\x1b[2J such\u202e"))
    assert "  stopped:  no\\u{1b}[2J such\\u{202e}\n" in block
    assert "or\\u{1b}ders" in block


def test_a_block_says_whose_work_the_server_counted():
    report = replace(_success("orders"), harm=(("rows_read", 1200), ("temp_files", 0)))
    line = next(line for line in export_block(report).splitlines() if "source did" in line)
    assert line.endswith("rows read 1,200 (by everybody there, not by this run alone)")
    assert "source did" not in export_block(replace(report, harm=(("temp_files", 0),)))
