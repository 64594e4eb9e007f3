"""A query that may give other rows each time is evaluated once, on every engine."""

from __future__ import annotations

import json

import duckdb
import pytest
from ruamel.yaml import YAML

import rivet
from rivet.errors import PlanError, UnsupportedPlanError

ROWS = 4000
NUMBERS = {
    "postgresql": f"SELECT g AS n FROM generate_series(1, {ROWS}) g",
    "mysql": f"SELECT seq AS n FROM seq_1_to_{ROWS}",
    "duckdb": f"SELECT range AS n FROM range(1, {ROWS + 1})",
    "sqlite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
    f" WHERE n < {ROWS}) SELECT n FROM s",
}
RANDOM = {
    "postgresql": "CAST(floor(random() * 1000) AS int)",
    "mysql": "CAST(floor(rand() * 1000) AS SIGNED)",
    "duckdb": "CAST(floor(random() * 1000) AS int)",
    "sqlite": "abs(random() % 1000)",
}
CHUNKED = {"mode": "chunked", "chunk_column": "k", "chunk_size": 200}
DENSE = {"mode": "chunked", "chunk_column": "k", "chunk_dense": True, "chunk_size": 500}


@pytest.fixture
def source(engine):
    engine.execute(
        "CREATE TABLE t (id integer PRIMARY KEY, v varchar(10));"
        f"INSERT INTO t SELECT n, 'x' FROM ({NUMBERS[engine.name]}) s;"
        f"CREATE VIEW random_view AS SELECT {RANDOM[engine.name]} AS k, id FROM t;"
        "CREATE VIEW outer_view AS SELECT k, id FROM random_view;"
        "CREATE VIEW plain_view AS SELECT id AS k, id FROM t; SELECT 1"
    )
    return engine


def written(folder, source, exports):
    path = folder / "rivet.yaml"
    listed = [
        {
            "name": name,
            "format": "parquet",
            "destination": {"type": "local", "path": f"out/{name}"},
            **keys,
        }
        for name, keys in exports.items()
    ]
    with path.open("w") as file:
        YAML().dump({"source": source, "exports": listed}, file)
    return path


def rows_of(out):
    parts = json.loads((out / "manifest.json").read_text())["parts"]
    paths = [str(out / part["path"]) for part in parts]
    chunks = {part["chunk_index"] for part in parts}
    rows = duckdb.sql(f"SELECT k, id FROM read_parquet({paths})").fetchall()
    return rows, len(chunks)


def test_rows_are_neither_lost_nor_doubled(source, tmp_path):
    doubtful = {
        "random": {"query": f"SELECT {RANDOM[source.name]} AS k, id FROM t", **CHUNKED},
        "random_dense": {"query": f"SELECT {RANDOM[source.name]} AS k, id FROM t", **DENSE},
        "numbered": {"query": "SELECT row_number() OVER () AS k, id FROM t", **CHUNKED},
        "limited": {"query": f"SELECT id AS k, id FROM t LIMIT {ROWS}", **CHUNKED},
        "viewed": {"query": "SELECT * FROM outer_view", **CHUNKED},
        "view": {"table": "outer_view", **CHUNKED},
    }
    plain = {
        "query": {"query": "SELECT id AS k, id FROM t", **CHUNKED},
        "ended": {"query": "SELECT id AS k, id FROM t ; -- ;\n/* and */ ; -- this", **CHUNKED},
        "commented": {"query": "SELECT id AS k, id FROM t -- to the end", **CHUNKED},
        "plain_view": {"table": "plain_view", **CHUNKED},
        "insisted": {
            "query": f"SELECT id AS k, id FROM t ORDER BY id LIMIT {ROWS}",
            "query_is_stable": True,
            **CHUNKED,
        },
    }
    report = rivet.run(written(tmp_path, source.source, {**doubtful, **plain}))
    warned = {one.export_name: " ".join(one.warnings) for one in report.exports}
    for name in (*doubtful, *plain):
        rows, chunks = rows_of(tmp_path / "out" / name)
        assert sorted(row[1] for row in rows) == list(range(1, ROWS + 1)), name
        assert (chunks == 1) == (name in doubtful), name
        assert ("read as one statement" in warned[name]) == (name in doubtful), name
    numbered, _ = rows_of(tmp_path / "out" / "numbered")
    assert sorted(int(row[0]) for row in numbered) == list(range(1, ROWS + 1))
    assert "(OVER)" in warned["numbered"]
    assert "random_view'" in warned["view"]
    assert "as `query_is_stable: true` says" in warned["insisted"]


def test_side_by_side_is_refused_by_name(source, tmp_path):
    export = {"query": "SELECT row_number() OVER () AS k, id FROM t", "parallel": 2, **CHUNKED}
    with pytest.raises(UnsupportedPlanError, match=r"window function \(OVER\)"):
        rivet.run(written(tmp_path, source.source, {"a": export}))
    assert not list((tmp_path / "out").glob("**/*.parquet"))
    export["query_is_stable"] = True
    assert rivet.run(written(tmp_path, source.source, {"a": export})).is_success


def test_a_cursor_of_such_a_query_guarantees_nothing(source, tmp_path):
    query = "SELECT row_number() OVER () AS k, id FROM t"
    export = {"query": query, "mode": "incremental", "cursor_column": "k"}
    (report,) = rivet.run(written(tmp_path, source.source, {"a": export})).exports
    assert report.rows == ROWS
    assert any("window function (OVER)" in warning for warning in report.warnings)
    assert not any("complete if" in warning for warning in report.warnings)
    with pytest.raises(PlanError, match="strict_cursor"):
        rivet.run(written(tmp_path, source.source, {"b": {**export, "strict_cursor": True}}))
    insisted = {**export, "query_is_stable": True}
    (report,) = rivet.run(written(tmp_path, source.source, {"c": insisted})).exports
    assert not any("OVER" in warning for warning in report.warnings)
