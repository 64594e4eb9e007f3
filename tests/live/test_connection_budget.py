"""`max_connections` counts every connection of a run, as the server sees them."""

from __future__ import annotations

import json
import time
from urllib.parse import urlsplit

import pytest

import rivet as library
from support.countedserver import FIXTURES, ROWS, counted_server
from support.roles import rows_of

WAYS = {"sequential": {}, "threads": {"parallel_exports": 2}, "children": {}}
WAYS["children"] = {"parallel_export_processes": 2}


@pytest.fixture(scope="module", params=FIXTURES)
def server(request):
    database = request.getfixturevalue(FIXTURES[request.param])
    with counted_server(request.param, database) as counted:
        yield counted


def run(
    server,
    folder,
    *,
    names="ab",
    limit=5,
    on_event=None,
    consistency="export",
    tuning=None,
    options=None,
    **top,
):
    exports = [
        {
            "name": name,
            "table": "budget",
            "mode": "chunked",
            "chunk_column": "id",
            "chunk_count": 12,
            "parallel": 8,
            "consistency": consistency,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            "tuning": {"retry_backoff_ms": 1, "adaptive": True, **(tuning or {})},
        }
        for name in names
    ]
    source = {"type": server.engine, "url": server.url, "tls": {"mode": "disable"}}
    folder.mkdir(exist_ok=True)
    path = folder / "rivet.yaml"
    path.write_text(
        json.dumps({"source": source, "max_connections": limit, "exports": exports, **top})
    )
    with server.polled():
        report = library.run(path, check=False, on_event=on_event, **(options or {}))
    return {one.export_name: one for one in report.exports}


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize("way", WAYS)
def test_the_server_never_sees_one_more(server, tmp_path, way, monkeypatch):
    monkeypatch.setenv("RIVET_GOVERNOR_INTERVAL_MS", "5")
    seen = []

    def listen(event):
        seen.append(event)
        if event.type == "chunk_completed":
            time.sleep(0.03)
            if len([one for one in seen if one.type == "chunk_completed"]) == 4:
                server.is_cut = False  # the youngest is ended

    consistency = "run" if server.engine == "postgresql" else "export"
    reports = run(server, tmp_path, consistency=consistency, on_event=listen, **WAYS[way])
    assert max(server.seen) in {4, 5}
    for name, report in reports.items():
        if not report.is_success:  # it was cut before it had anything to read again
            continue
        assert len(rows_of(tmp_path, name)) == ROWS
        assert any("`max_connections`" in text for text in report.warnings), report.warnings
        is_watched = not any("is not watched" in text for text in report.warnings)
        assert is_watched == (way == "sequential"), report.warnings
    assert any(report.is_success for report in reports.values())


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_few_are_enough(server, tmp_path, limit):
    reports = run(server, tmp_path, names="ab", limit=limit, parallel_exports=2)
    assert max(server.seen) <= limit
    for name, report in reports.items():
        assert report.is_success, report.failure
        assert len(rows_of(tmp_path, name)) == ROWS


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize("way", ["sequential", "children"])
def test_resume_splits_and_the_count_stay_within_it(server, tmp_path, way, monkeypatch):
    monkeypatch.setenv("RIVET_GOVERNOR_INTERVAL_MS", "5")
    monkeypatch.setenv("RIVET_SPLIT_AFTER_MS", "0")
    slow = {"batch_size": 50, "throttle_ms": 10}
    monkeypatch.setenv("RIVET_FAULT", "error@part_recorded:1")
    failed = run(server, tmp_path, tuning=slow, **WAYS[way])
    assert 0 < max(server.seen) <= 5
    assert not any(report.is_success for report in failed.values())
    monkeypatch.delenv("RIVET_FAULT")
    for options in ({"resume": True}, {"reconcile": True}):
        reports = run(server, tmp_path, tuning=slow, options=options, **WAYS[way])
        assert max(server.seen) in {4, 5}
        for name, report in reports.items():
            assert report.is_success, report.failure
            assert len(rows_of(tmp_path, name)) == ROWS
    assert all(report.reconciled == (ROWS, ROWS) for report in reports.values())


@pytest.mark.live("postgresql", "mysql")
def test_a_stop_stays_within_it(server, tmp_path):
    """MySQL is told to stop over connections of their own."""

    def listen(event):
        if event.type == "chunk_completed":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(server, tmp_path, names="a", on_event=listen)
    assert max(server.seen, default=0) <= 5  # it may be over before anybody looks


@pytest.mark.live("postgresql")
def test_an_instant_of_the_whole_run_needs_one_of_its_own(server, tmp_path):
    if server.engine == "mysql":
        pytest.skip("refused for another reason")
    with pytest.raises(library.RivetError, match="max_connections: 1") as refused:
        run(server, tmp_path, limit=1, consistency="run")
    assert "2" in (refused.value.hint or "")
    assert urlsplit(server.url).password not in str(refused.value)
