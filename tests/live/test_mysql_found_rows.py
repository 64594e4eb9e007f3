"""The server's own count of the rows it sent is that of the rows that arrive, whatever is read."""

import pytest

from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.mysql import connect

TABLES = """
CREATE TABLE t (a int PRIMARY KEY, b int);
INSERT INTO t VALUES (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (6, NULL);
CREATE TABLE nothing (a int);
CREATE TABLE parted (a int PRIMARY KEY) PARTITION BY HASH (a) PARTITIONS 4;
INSERT INTO parted SELECT a FROM t;
CREATE VIEW plain AS SELECT a, b FROM t WHERE a > 2;
CREATE VIEW warned AS SELECT a, CAST('x' AS SIGNED) AS w FROM t;
CREATE VIEW grouped AS SELECT b, count(*) AS n FROM t GROUP BY b;
CREATE VIEW united AS SELECT a FROM t UNION SELECT b FROM t;
CREATE VIEW all_united AS SELECT a FROM t UNION ALL SELECT a FROM t;
CREATE VIEW limited AS SELECT a FROM t ORDER BY a LIMIT 2;
CREATE VIEW both_limited AS (SELECT a FROM t LIMIT 2) UNION ALL (SELECT a FROM t LIMIT 3) LIMIT 4;
CREATE VIEW joined AS SELECT l.a, r.b FROM t l LEFT JOIN t r ON l.b = r.a WHERE EXISTS
    (SELECT 1 FROM t i WHERE i.b = l.b LIMIT 1);
CREATE VIEW recursive_one AS WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c
    WHERE n < 50) SELECT n FROM c;
"""
NAMES = {
    "t": 6,
    "nothing": 0,
    "parted": 6,
    "plain": 4,
    "warned": 6,
    "grouped": 4,
    "united": 7,
    "all_united": 12,
    "limited": 2,
    "both_limited": 4,
    "joined": 5,
    "recursive_one": 50,
}


def look(database):
    database.execute(TABLES)
    address = SourceAddress("mysql", url=Secret(database.url))
    with connect(address, SessionSettings()) as session:
        for slice_s in (0.0, 0.5):
            for name, rows in NAMES.items():
                relation = Relation(table=name)
                columns = session.columns(relation, ColumnRules())
                request = ReadRequest(relation, columns, slice_s=slice_s)
                assert sum(batch.num_rows for batch in session.read(request)) == rows, name


@pytest.mark.live("mysql")
def test_on_mariadb(mariadb):
    look(mariadb)


def test_on_mysql(mysql9):
    look(mysql9)
