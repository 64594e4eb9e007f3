"""Names that an engine takes for the same: each column keeps its name and its values, or none."""

from __future__ import annotations

import json

import pyarrow.parquet as pq

import rivet as library

_ALIKE = {
    "query": {"query": 'SELECT a, b AS "A" FROM t'},
    "twice": {"query": "SELECT x.a, y.a FROM t x JOIN t y ON x.a = y.a"},
    "starred": {"query": "SELECT * FROM t x JOIN t y ON x.a = y.a"},
    "grown": {
        "query": 'SELECT a, b AS "A" FROM t',
        "mode": "incremental",
        "cursor_column": "a",
    },
    "view": {"table": "v"},
    "other": {"query": 'SELECT a AS x, b AS "y:1" FROM t'},
}


def test_alike_names_are_kept_or_refused(engine, tmp_path):
    tail = "; SELECT 1" if engine.name == "sqlite" else ""
    engine.execute("CREATE TABLE t (a int, b int); INSERT INTO t VALUES (1, 2)" + tail)
    cases = dict(_ALIKE)
    if engine.name == "mysql":  # quotes are the server's own there
        cases = {name: {**keys} for name, keys in cases.items() if name != "view"}
        for keys in cases.values():
            keys["query"] = keys["query"].replace('"', "`")
    else:
        engine.execute('CREATE VIEW v AS SELECT a, b AS "A" FROM t; SELECT 1')
    base = {"format": "parquet"}
    exports = [
        {"name": name, **base, **keys, "destination": {"type": "local", "path": f"out/{name}"}}
        for name, keys in cases.items()
    ]
    path = tmp_path / "rivet.yaml"
    path.write_text(json.dumps({"source": engine.source, "exports": exports}))
    for report in library.run(path, check=False).exports:
        name = report.export_name
        if not report.is_success:
            assert report.failure.exit_code == 1, (name, report.failure)
            assert "name" in report.failure.message.lower(), (name, report.failure)
            assert name != "other"
            continue
        (file,) = (tmp_path / "out" / name).glob("*.parquet")
        found = pq.read_table(file).to_pydict()
        assert list(found.values()) == [[1], [2]], (name, found)
        wanted = {"x": [1], "y:1": [2]} if name == "other" else {"a": [1], "A": [2]}
        # DuckDB's own name for the view's column, as its catalog has it.
        assert found in (wanted, {"a": [1], "A_1": [2]}), (name, found)
        assert name not in {"twice", "starred"}
