"""Rows whose clock is older than their transaction: their first statement waited, or worked."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from support.followed import Followed, settle
from support.writers import connect, run

SAID = "when its first statement began is not known"
# What a session does whose row has the time at which its statement began.
WAYS = {
    "waits for a table": ["INSERT INTO t (id) VALUES (2)"],
    "works before it writes": ["INSERT INTO t (id) VALUES (2 + SLEEP(2.8))"],
    "calls a procedure": ["CALL late()"],
}
PROCEDURE = (
    "CREATE PROCEDURE late() BEGIN START TRANSACTION; DO SLEEP(0.8); INSERT INTO t (id)"
    " SELECT 2 + SLEEP(2); END"
)


@pytest.fixture(params=["mariadb", "mysql9"])
def followed(request, tmp_path):
    made = Followed("mysql", request.getfixturevalue(request.param), tmp_path)
    made.database.execute("INSERT INTO t VALUES (1, '2024-05-01')")
    return made


def is_complete(report: Any) -> bool:
    return str(report.guarantee).startswith("complete")


@pytest.mark.parametrize(
    ("followed", "way"),
    [("mysql9", "works before it writes"), *(("mariadb", way) for way in WAYS)],
    indirect=["followed"],
)
def test_a_first_statement_that_took_its_time_is_not_forgotten(followed, way):
    database = followed.database
    with (
        connect("mysql", database) as holder,
        connect("mysql", database, autocommit=False) as late,
        connect("mysql", database) as other,
    ):
        run(other, PROCEDURE)
        if way == "waits for a table":
            run(holder, "LOCK TABLES t WRITE")
        for statement in WAYS[way]:
            waiting = threading.Thread(target=run, args=(late, statement))
            waiting.start()
        time.sleep(0.4)
        run(holder, "INSERT INTO t (id) VALUES (3)")
        time.sleep(2.4)
        run(holder, "UNLOCK TABLES")
        waiting.join()
        settle(0.2)
        report = followed.run()
        late.commit()
    assert not is_complete(report) or 3 not in followed.taken()
    assert SAID in report.guarantee
    assert "(end it), or set `settle`" in report.guarantee


def test_transactions_that_end_at_once_take_no_guarantee_away(followed):
    database = followed.database
    with connect("mysql", database, autocommit=False) as late:
        run(late, "INSERT INTO t VALUES (2, '2024-05-02')")
        soon = threading.Timer(0.3, late.commit)
        soon.start()
        report = followed.run()
        soon.join()
        assert is_complete(report), report.guarantee
        assert followed.taken() == [1, 2]
        run(late, "SELECT * FROM t FOR UPDATE")  # it has written nothing
        assert is_complete(followed.run())
