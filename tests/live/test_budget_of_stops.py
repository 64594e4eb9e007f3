"""Ctrl-C with few connections: it ends soon, and cancelling takes no connection more."""

from __future__ import annotations

import json
import signal
import time

import pytest

from support.countedserver import FIXTURES, counted_server

SLEEP = {"postgresql": "pg_sleep(40)::text", "mysql": "SLEEP(40)"}
WAYS = {
    "sequential": [],
    "threads": ["--parallel-exports=2"],
    "children": ["--parallel-export-processes=2"],
}
STOP_S = 3.0
LOADED_S = 3.0  # other tests run beside this one
SILENT = {"query": "SELECT id, {} AS s FROM budget WHERE id = 1"}
CHUNKED = {
    "table": "budget",
    "mode": "chunked",
    "chunk_column": "id",
    "chunk_count": 12,
    "parallel": 8,
    "tuning": {"batch_size": 20, "throttle_ms": 100, "adaptive": True},
}
CASES = [
    ("sequential", 1, SILENT),
    ("threads", 2, SILENT),
    ("children", 2, SILENT),
    *((way, 5, CHUNKED) for way in WAYS),
]


@pytest.fixture(scope="module", params=FIXTURES)
def server(request):
    database = request.getfixturevalue(FIXTURES[request.param])
    with counted_server(request.param, database) as counted:
        yield counted


def configure(server, folder, limit, keys):
    if "query" in keys:
        keys = {"query": keys["query"].format(SLEEP[server.engine])}
    exports = [
        {
            "name": name,
            "format": "csv",
            "destination": {"type": "local", "path": f"out/{name}"},
            **keys,
        }
        for name in "abc"
    ]
    source = {"type": server.engine, "url": server.url, "tls": {"mode": "disable"}}
    path = folder / "rivet.yaml"
    document = {"source": source, "max_connections": limit, "exports": exports}
    path.write_text(json.dumps(document))
    return path


@pytest.mark.live("postgresql", "mysql")
@pytest.mark.parametrize(("way", "limit", "keys"), CASES)
def test_ctrl_c_ends_soon_and_takes_no_connection_more(server, rivet, way, limit, keys):
    path = configure(server, rivet.directory, limit, keys)
    with server.polled():
        process = rivet.start("run", "-c", path, *WAYS[way])
        try:
            if keys is SILENT:
                server.wait_for(server.is_asleep)
            else:
                server.wait_for(lambda: max(server.seen, default=0) >= 4)
            begun_at = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, words = process.communicate(timeout=30)
            took_s = time.monotonic() - begun_at
        finally:
            process.kill()
            process.communicate()
    assert process.returncode == 130, words
    assert max(server.seen) <= limit
    assert took_s < STOP_S + LOADED_S
    server.end_all()
