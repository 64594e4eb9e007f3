"""What others read of a run's metrics keeps its names; what is new is everywhere by one line.

Running this file writes the golden file anew.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rivet.events import ExportFinished, from_line, to_line
from rivet.execution.children.verdict import Verdict
from rivet.execution.progress import RunProgress, outcome_of
from rivet.execution.telling.reports import finished_event, report_of
from rivet.execution.telling.runfiles import summary_json
from rivet.model.finish import Finish
from rivet.model.metrics import METRICS, RunMetrics, Unit
from rivet.model.part import FileStats, RecordedPart
from rivet.model.report import ExportReport, Failure, PlanSummary, RunReport
from rivet.model.seal import seal_of
from rivet.model.source import Position
from rivet.sources.base import ReadCounters
from rivet.state.store import open_store
from rivet.ui.blocks import export_block
from rivet.ui.summary import run_summary
from unit.state.behaviour import a_run

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics.json"
SAMPLES = {
    Unit.COUNT: 7,
    Unit.BYTES: 8,
    Unit.MILLISECONDS: 9,
    Unit.SECONDS: 1.25,
    Unit.MEBIBYTES: 10,
    Unit.BY_COLUMN: (("a", 1),),
    Unit.BY_COUNTER: (("b", -2),),
    Unit.CHECK: True,
    Unit.CHANGE: False,
    Unit.COMPARISON: (7, 8),
}
NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def a_part(number: int) -> RecordedPart:
    stats = FileStats(rows=600, size_bytes=2_000_000, content_hash="xxh3:0", content_md5="q")
    name = f"orders-{number}.parquet"
    return RecordedPart(number, "r1", "orders", 0, 1, name, f"file:///out/{name}", 0, stats, NOON)


def a_report() -> ExportReport:
    plan = PlanSummary(
        *("chunked", "postgresql", "local", "file:///out", "parquet", "snappy", "balanced", 10_000)
    )
    return ExportReport(
        export_name="orders",
        status="failed",
        run_id="r1",
        plan=plan,
        rows=1200,
        bytes_read=5_000_000,
        bytes_written=4_000_000,
        files=(a_part(1), a_part(2)),
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=2),
        duration_ms=2000,
        peak_rss_mb=90,
        retries=3,
        nulled=(("created", 4), ("ended", 1)),
        longest_statement_s=0.4567,
        position=Position("postgresql", "lsn", "0/1"),
        is_validated=True,
        reconciled=(1200, 1201),
        schema_changed=False,
        quality_passed=False,
        warnings=("be careful",),
        not_covered=("rows of others",),
        kernel="interpreted",
        failure=Failure("RIVET_QUALITY", "rules failed", "look", 3, retryable=False),
        skip_reason="because",
        guarantee="up to noon",
        harm=(("rows_read", 1300), ("temp_files", 0)),
        snapshot_age_s=1.5,
        instants=2,
        instant_doubt=None,
    )


def state_row(report: ExportReport, folder: Path) -> dict[str, object]:
    with open_store(folder, url="") as store:
        store.begin_run(a_run("r1"))
        store.finish("r1", Finish(outcome_of(report, NOON + timedelta(seconds=2))))
    with closing(sqlite3.connect(folder / ".rivet" / "state.db")) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM runs").fetchone())


def told(report: ExportReport, folder: Path) -> dict[str, object]:
    """Return all that leaves the process of a report."""
    run = RunReport("agg_1", NOON, NOON + timedelta(seconds=3), "shop.yaml", (report,))
    event = json.loads(to_line(finished_event(report)))
    # Their order is nobody's concern: only Rivet reads them.
    event["details"] = dict(sorted(event["details"].items()))
    return {
        "aggregate": run.to_json(),
        "summary": summary_json(report),
        "event": event,
        "state": state_row(report, folder),
        "block": export_block(report).splitlines(),
        "run_summary": run_summary(run).splitlines(),
    }


def as_text(body: dict[str, object]) -> str:
    return json.dumps(body, indent=1, ensure_ascii=False) + "\n"


def test_names_and_their_order_stay(tmp_path: Path) -> None:
    assert as_text(told(a_report(), tmp_path)) == GOLDEN.read_text(encoding="utf-8")


def test_every_metric_comes_back_from_wherever_it_goes(tmp_path: Path) -> None:
    report = replace(a_report(), **{one.name: SAMPLES[one.unit] for one in METRICS})
    wanted = {**report.values(), "file_count": 2}
    verdict = Verdict("failed", report.failure, is_synthetic=False)
    event = from_line(to_line(finished_event(report)))
    assert isinstance(event, ExportFinished)
    names = {"verdict": verdict, "row": None, "parts": report.files}
    assert report_of("orders", "r1", finished=event, **names).values() == {
        **wanted,
        "rows": 1200,  # what the record counts goes first
        "bytes_written": 4_000_000,
    }
    finish = Finish(outcome_of(report, NOON))
    assert finish.outcome.values() == wanted
    assert Finish.from_json(finish.to_json()) == finish
    with open_store(tmp_path, url="") as store:
        store.begin_run(a_run("r1"))
        store.finish("r1", finish)
        row = store.run("r1")
        assert row is not None
        assert row.outcome == finish.outcome
        with store.database.write() as db:
            db.change("UPDATE pyrivet.runs SET metrics_json = NULL")  # an earlier version's
        row = store.run("r1")
        assert row is not None
        assert row.outcome is not None
        assert (row.outcome.retries, row.outcome.instants) == (7, 0)


def test_a_finish_of_an_earlier_version_is_read() -> None:
    outcome = {
        "status": "success",
        "finished_at": NOON.isoformat(),
        "error_code": None,
        "error_message": None,
        "skip_reason": None,
        "rows": 5,
        "files": 2,
        "bytes_read": 9,
        "bytes_written": 8,
        "duration_ms": 7,
        "peak_rss_mb": 6,
        "retries": 1,
        "longest_statement_s": 0.5,
        "is_validated": None,
        "schema_changed": True,
        "quality_passed": None,
    }
    body = json.dumps(
        {"outcome": outcome, "watermark": None, "owner": None, "adopts": False, "columns": None}
    )
    read = Finish.from_json(json.dumps([body, seal_of(body)])).outcome
    assert (read.rows, read.file_count, read.longest_statement_s) == (5, 2, 0.5)
    assert (read.schema_changed, read.nulled) == (True, ())


def test_what_is_added_grows_as_its_unit_says() -> None:
    progress = RunProgress("orders", "r1", NOON)
    progress.take_counters(ReadCounters(5, 100, {"b": 1}, 2.0, {"a word"}))
    progress.take_counters(ReadCounters(5, 10, {"a": 2, "b": 3}, 1.0))
    progress.add(RunMetrics(retries=1, quality_passed=True, reconciled=(1, 2)))
    progress.add(RunMetrics(retries=2, quality_passed=False))
    assert progress.metrics(NOON + timedelta(seconds=1), 80) == RunMetrics(
        bytes_read=110,
        longest_statement_s=2.0,
        nulled=(("a", 2), ("b", 4)),
        retries=3,
        quality_passed=False,
        reconciled=(1, 2),
        duration_ms=1000,
        peak_rss_mb=80,
    )


WITH_ONE_MORE = """
import importlib.util, json, sys, tempfile
from pathlib import Path

sys.path[:0] = {paths!r}
spec = importlib.util.find_spec("rivet.model.metrics")
text = Path(spec.origin).read_text(encoding="utf-8")
before = "    retries: int = _metric("
assert text.count(before) == 1
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
more = "    slices_read: int = _metric(Unit.COUNT)\\n" + before
exec(text.replace(before, more), module.__dict__)

from unit.execution import test_metrics as tests

progress = tests.RunProgress("orders", "r1", tests.NOON)
progress.add(module.RunMetrics(slices_read=3))
progress.add(module.RunMetrics(slices_read=4))
report = progress.report("success", finished_at=tests.NOON, peak_rss_mb=1)
with tempfile.TemporaryDirectory() as folder:
    told = tests.told(report, Path(folder))
print(json.dumps([
    told["aggregate"]["per_export"][0]["slices_read"],
    told["summary"]["slices_read"],
    told["event"]["details"]["slices_read"],
    json.loads(told["state"]["metrics_json"])["slices_read"],
    [line.split() for line in told["block"] if "slices read" in line],
]))
"""


def test_a_new_metric_is_one_line() -> None:
    code = WITH_ONE_MORE.format(paths=sys.path)
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert run.stderr == ""
    assert json.loads(run.stdout) == [7, 7, 7, 7, [["slices", "read:", "7"]]]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        GOLDEN.write_text(as_text(told(a_report(), Path(made))), encoding="utf-8")
