"""`max_connections` where a statement is given up that the server goes on with: it counts."""

from __future__ import annotations

import json

import pytest

import rivet as library
from support.countedserver import FAMILY, ROWS, counted_server
from support.roles import rows_of

WAYS = {
    "sequential": {},
    "threads": {"parallel_exports": 1},
    "children": {"parallel_export_processes": 1},
}
TUNING = {"read_timeout_s": 1, "retry_backoff_ms": 1, "lock_timeout_s": 0}
SLEEPER = "SELECT SLEEP(4) AS s"
CHUNKED = {"mode": "chunked", "chunk_column": "id", "chunk_count": 4, "parallel": 4}


CASES = {
    "mysql": [("sequential", 1), ("children", 1)],
    "mysql9": [("threads", 1), ("sequential", 2)],
}


@pytest.fixture(scope="module", params=FAMILY)
def server(request):
    database = request.getfixturevalue(FAMILY[request.param])
    with counted_server(request.param, database) as counted:
        counted.cases = CASES[request.param]
        yield counted


@pytest.mark.live("mysql", "mysql9")
@pytest.mark.parametrize("number", range(2))
def test_the_server_never_sees_one_more(server, tmp_path, number):
    """The first export gives its statement up; the server runs that for seconds more."""
    way, limit = server.cases[number]
    exports = {"first": {"query": SLEEPER}, "then": {"table": "budget", **CHUNKED}}
    bodies = [
        {
            "name": name,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            "tuning": TUNING,
            **keys,
        }
        for name, keys in exports.items()
    ]
    source = {"type": "mysql", "url": server.url, "tls": server.tls}
    path = tmp_path / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "max_connections": limit, "exports": bodies}))
    with server.polled():
        report = library.run(path, check=False, **WAYS[way])
    first, then = report.exports
    assert first.failure.code == "RIVET_SOURCE_STATEMENT_TIMEOUT"
    assert then.is_success, then.failure
    assert len(rows_of(tmp_path, "then")) == ROWS
    assert max(server.seen) == limit
    server.end_all()
