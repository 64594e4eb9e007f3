"""Where the files of an export would have gone is told, too, where it failed before its plan."""

from __future__ import annotations

import json
import socket
import sqlite3
from datetime import UTC, datetime

import pytest

import rivet as library

_CHUNKED = {"mode": "chunked", "chunk_column": "id", "chunk_count": 3}


@pytest.fixture
def place(tmp_path):
    with sqlite3.connect(tmp_path / "shop.db") as database:
        database.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        database.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(30)])
    return tmp_path


def _configure(place, exports, **source):
    body = {
        "source": source or {"type": "sqlite", "path": "shop.db"},
        "exports": [
            {
                "name": name,
                "table": "t",
                "format": "csv",
                "destination": {"type": "local", "path": "out/{export}/./{date}"},
                **export,
            }
            for name, export in exports.items()
        ],
    }
    (place / "rivet.yaml").write_text(json.dumps(body))
    return place / "rivet.yaml"


def _told(report):
    return {one["export_name"]: one["destination_uri"] for one in report["per_export"]}


def _expected(place, *names, day=None):
    day = day or f"{datetime.now(UTC):%Y-%m-%d}"
    return {name: f"file://{place}/out/{name}/{day}" for name in names}


_WRONG = {
    "missing": {"table": "nowhere"},
    "refused": {"table": None, "query_file": "no.sql"},
    "good": {},
}


@pytest.mark.parametrize("how", ["one by one", "threads", "processes"])
def test_whatever_the_export_came_to(rivet, place, how):
    config = _configure(place, _WRONG)
    flags = {"threads": ["--parallel-exports"], "processes": ["--parallel-export-processes"]}
    done = rivet("run", "-c", config, "--json", *flags.get(how, ())).expect(1)
    assert _told(done.json) == _expected(place, *_WRONG)
    assert sorted(path.name for path in (place / "out").iterdir()) == ["good"]


def test_where_none_can_run_or_the_source_is_not_there(place):
    config = _configure(place, {"refused": _WRONG["refused"]})
    report = library.run(config, check=False)
    assert _told(report.to_json()) == _expected(place, "refused")
    assert report.exports[0].plan.destination_uri == _expected(place, "refused")["refused"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"postgresql://u:hunter2@127.0.0.1:{closed.getsockname()[1]}/d"
        config = _configure(place, {"away": {}}, type="postgres", url=url)
        with pytest.raises(library.RivetError) as caught:
            library.run(config)
    assert _told(caught.value.report.to_json()) == _expected(place, "away")


def test_other_destinations_and_what_cannot_be_known(place, monkeypatch):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    within = {"bucket": "lake", "prefix": "/raw/{export}/"}
    keys = {"access_key_env": "NOT_SET", "secret_key_env": "NOT_SET"}
    account = {"account_name": "me", "account_key_env": "NOT_SET"}
    refused = {"table": None, "query_file": "no.sql"}  # before any store is asked
    exports = {
        "store": {"destination": {"type": "s3", **within, **keys}},
        "gcs": {**refused, "destination": {"type": "gcs", **within}},
        "azure": {**refused, "destination": {"type": "azure", **account, **within}},
        "stream": {"table": "nowhere", "destination": {"type": "stdout"}},
        "runs": {"table": "nowhere", "destination": {"type": "local", "path": "out/{run_id}"}},
    }
    config = _configure(place, exports)
    report = library.run(config, check=False)
    assert _told(report.to_json()) == {
        "store": "s3://lake/raw/store",
        "gcs": "gs://lake/raw/gcs",
        "azure": "az://lake/raw/azure",
        "stream": "stdout:",
        "runs": f"file://{place}/out/{report.exports[-1].run_id}",
    }


def test_a_run_that_goes_on_has_the_folder_of_its_day(place):
    """The day before yesterday: also where nothing is left to do, and where it fails at once."""
    config = _configure(place, {"a": _CHUNKED})
    (report,) = library.run(config).exports
    ours = {"a": report.plan.destination_uri}
    skipped = library.run(config, resume=True)
    assert skipped.exports[0].skip_reason.startswith("nothing to resume")
    assert _told(skipped.to_json()) == ours
    with sqlite3.connect(place / ".rivet" / "state.db") as state:
        old = "2024-02-29"
        state.execute(
            "UPDATE runs SET status = 'failed', plan_json = json_set(plan_json, '$.day', ?)", (old,)
        )
    config = _configure(place, {"a": {**_CHUNKED, "table": "nowhere"}})
    failed = library.run(config, resume=True, check=False)
    assert _told(failed.to_json()) == _expected(place, "a", day=old)
