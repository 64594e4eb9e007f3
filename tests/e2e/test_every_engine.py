"""The same small shop on every engine of the registry, through the command: files and counts."""

from __future__ import annotations

import hashlib

import duckdb
import pytest
from ruamel.yaml import YAML

SETUP = """
    CREATE TABLE orders (id integer, name varchar(20), price decimal(10,2), day date);
    INSERT INTO orders VALUES (1, 'é😀', 0.10, '2024-02-29'), (2, NULL, 0.20, '1969-12-31');
    INSERT INTO orders VALUES (3, '', -99999999.99, NULL)
"""


@pytest.fixture
def config(engine, tmp_path):
    setup = f"{SETUP}; SELECT 1" if engine.name == "sqlite" else SETUP
    engine.execute(setup)
    exports = [
        {"name": "table", "table": "orders"},
        {"name": "query", "query": "SELECT id, price FROM orders WHERE id > 1"},
        {"name": "masked", "table": "orders", "exclude": ["day"], "mask": {"name": "hash"}},
    ]
    for export in exports:
        export["format"] = "parquet"
        export["destination"] = {"type": "local", "path": f"out/{export['name']}"}
    path = tmp_path / "rivet.yaml"
    with path.open("w") as file:
        YAML().dump({"source": engine.source, "exports": exports}, file)
    return path


def test_tables_and_queries_arrive_whole(rivet, config, engine, tmp_path):
    done = rivet("run", "-c", config, "--validate", "--reconcile").expect(0)
    assert "url" not in engine.source or engine.source["url"] not in done.stderr
    read = "SELECT * FROM read_parquet('{}/out/{}/*.parquet') ORDER BY id"
    table = duckdb.sql(read.format(tmp_path, "table")).fetchall()
    assert [(a, b, str(c), str(d)) for a, b, c, d in table] == [
        (1, "é😀", "0.10", "2024-02-29"),
        (2, None, "0.20", "1969-12-31"),
        (3, "", "-99999999.99", "None"),
    ]
    query = duckdb.sql(read.format(tmp_path, "query")).fetchall()
    assert [(a, str(b)) for a, b in query] == [(2, "0.20"), (3, "-99999999.99")]
    masked = duckdb.sql(read.format(tmp_path, "masked")).fetchall()
    digest = hashlib.sha256("é😀".encode()).hexdigest()
    assert [name for _, name, _ in masked][:2] == [digest, None]


def test_a_table_that_is_not_there_is_named(rivet, config):
    config.write_text(config.read_text().replace("table: orders", "table: odrers"))
    done = rivet("run", "-c", config, "-e", "table").expect(1)
    assert "'odrers'" in done.stderr
    assert "did you mean" in done.stderr
    assert "orders" in done.stderr.partition("did you mean")[2]
