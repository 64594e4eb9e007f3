"""`one instant` is printed where it is proven, and nowhere else."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import rivet as library
from rivet.ui.blocks import export_block

if TYPE_CHECKING:
    from pathlib import Path


def claim(source: dict[str, Any], folder: Path, relation: str, **keys: Any) -> tuple[str, Any]:
    """Export something in chunks; return what its block says of consistency, and the report."""
    what = {"query": relation} if " " in relation else {"table": relation}
    export = {"name": "t", **what, "mode": "chunked", "chunk_column": "id", "format": "csv"}
    export |= {"chunk_count": 3, "destination": {"type": "local", "path": "out"}, **keys}
    path = folder / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": [export]}))
    (report,) = library.run(path, check=False).exports
    lines = [line for line in export_block(report).splitlines() if "consistency:" in line]
    return (lines[0].split(":", 1)[1].strip() if lines else ""), report


def mysql(url: str) -> dict[str, Any]:
    return {"type": "mysql", "url": url, "tls": {"mode": "disable"}}


ENGINES = {
    "innodb": None,
    "MyISAM": "table 'myisam' is of MyISAM",
    "Aria": "table 'aria' is of Aria",
    "MEMORY": "table 'memory' is of MEMORY",
    "MRG_MyISAM": "table 'mrg_myisam' is of MRG_MyISAM",
    "CSV": "table 'csv' is of CSV",
    "ARCHIVE": "table 'archive' is of ARCHIVE",
    "BLACKHOLE": "table 'blackhole' is of BLACKHOLE",
}
# Where they are not there by themselves.
PLUGINS = {"ARCHIVE": "ha_archive", "BLACKHOLE": "ha_blackhole"}


VIEWS = """
    CREATE VIEW behind AS SELECT i.id, m.id j FROM innodb i LEFT JOIN myisam m ON m.id = i.id;
    CREATE VIEW deeper AS SELECT DISTINCT id, j FROM behind;
    CREATE VIEW fine AS SELECT * FROM innodb;
    CREATE VIEW rows_of_csv AS SELECT id FROM csv;
    CREATE FUNCTION looks(a int) RETURNS int READS SQL DATA
        RETURN (SELECT max(id) FROM myisam);
"""


@pytest.mark.live("mysql")
@pytest.mark.parametrize("fixture", ["shared_mariadb", "shared_mysql9"])
def test_tables_without_snapshots_are_named(request, tmp_path, fixture):
    server = request.getfixturevalue(fixture)
    known = {name.lower() for name, *_ in server.execute("SHOW ENGINES")}
    cases = {}
    for engine, doubt in ENGINES.items():
        if engine.lower() not in known:
            if fixture == "shared_mysql9" or engine not in PLUGINS:
                continue
            server.execute(f"INSTALL SONAME '{PLUGINS[engine]}'")
        cases[engine.lower()] = doubt
        union = " UNION=(myisam)" if engine.startswith("MRG") else ""
        key = "NOT NULL" if engine in {"CSV", "ARCHIVE"} else "PRIMARY KEY"
        server.execute(f"CREATE TABLE {engine.lower()} (id int {key}) ENGINE={engine}{union};")
        if not union:
            server.execute(f"INSERT INTO {engine.lower()} VALUES (1), (2), (3)")
    server.execute(VIEWS)
    cases |= {
        "SELECT id FROM information_schema.processlist": "snapshots",
        "information_schema.processlist": "cannot be seen",
        "SELECT id FROM innodb WHERE id IN (SELECT id FROM rows_of_csv)": "csv' is of CSV",
        "fine": None,
        "behind": "myisam' is of MyISAM",
        "deeper": "myisam' is of MyISAM",
        "SELECT id FROM fine": None,
        "SELECT id FROM innodb WHERE id IN (SELECT id FROM memory)": "memory' is of MEMORY",
        "SELECT id, looks(id) AS l FROM innodb": "what function 'looks' reads is not known",
    }
    for number, (relation, doubt) in enumerate(cases.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        said, report = claim(mysql(server.url), folder, relation)
        assert report.is_success, (relation, report.failure)
        assert said.startswith("one instant") is (doubt is None), (relation, said, report)
        told = [(doubt or "").lower() in one.lower() for one in report.not_covered]
        assert told == [True] * bool(doubt), report
    said, report = claim(mysql(server.url), tmp_path, "myisam", strict=True)
    assert report.failure.code == "RIVET_REFUSED_NOT_COVERED"


@pytest.mark.live("postgresql")
def test_foreign_tables_and_functions_are_named(postgres, tmp_path):
    server = postgres
    if not server.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'postgres_fdw'"):
        pytest.skip("this server comes without postgres_fdw")
    server.execute(
        "CREATE EXTENSION postgres_fdw; CREATE SERVER itself FOREIGN DATA WRAPPER postgres_fdw"
        f" OPTIONS (dbname '{server.name}', host '127.0.0.1');"
        f"GRANT USAGE ON FOREIGN SERVER itself TO rivet",
        admin=True,
    )
    server.execute(
        "CREATE TABLE plain (id int PRIMARY KEY, day date); INSERT INTO plain VALUES (1), (2), (3);"
        "CREATE USER MAPPING FOR CURRENT_USER SERVER itself OPTIONS (user 'rivet', password 'x');"
        "CREATE FOREIGN TABLE far (id int, day date) SERVER itself OPTIONS (table_name 'plain');"
        "CREATE TABLE parts (id int NOT NULL, day date) PARTITION BY RANGE (id);"
        "CREATE TABLE near PARTITION OF parts FOR VALUES FROM (0) TO (10);"
        "CREATE FOREIGN TABLE away PARTITION OF parts FOR VALUES FROM (10) TO (20) SERVER itself;"
        "CREATE VIEW behind AS SELECT p.id FROM plain p WHERE EXISTS (SELECT FROM far);"
        "CREATE VIEW fine AS SELECT id, lower(day::text) AS d FROM plain;"
        "CREATE FUNCTION looks(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';"
        "CREATE VIEW calls AS SELECT id, looks(id) AS l FROM plain;"
        "CREATE VIEW state AS SELECT pid AS id FROM pg_stat_activity"
    )
    from rivet.config.resolve import resolve_source  # noqa: F401 - the engine is loaded by name
    from rivet.model.relation import Relation
    from rivet.model.source import SessionSettings, SourceAddress, TlsMode, TlsOptions
    from rivet.redact import Secret
    from rivet.sources.postgres import connect

    address = SourceAddress("postgresql", url=Secret(server.url), tls=TlsOptions(TlsMode.DISABLE))
    with connect(address, SessionSettings()) as session:
        for relation, doubt in {
            "plain": None,
            "fine": None,
            "far": "far)",
            "parts": "(away)",
            "behind": "far)",
            "calls": "function 'looks'",
            "state": "pg_stat_get_activity",
            "SELECT looks(id) FROM plain": "function 'looks'",
            "SELECT * FROM fine, generate_series(1, 3)": None,
        }.items():
            is_query = " " in relation
            what = Relation(query=relation) if is_query else Relation(table=relation)
            said = session.unproven(what)
            assert (said is None) is (doubt is None), (relation, said)
            assert (doubt or "") in (said or ""), relation
    source = {"type": "postgresql", "url": server.url, "tls": {"mode": "disable"}}
    assert claim(source, tmp_path, "fine", parallel=2)[0].startswith("one instant")
