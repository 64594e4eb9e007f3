"""Incremental exports while others write: rows that are committed late are not lost."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

import rivet as library
from support.followed import NOW, Followed, settle
from support.writers import connect, run

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=["postgresql", "mysql"])
def followed(request: pytest.FixtureRequest, tmp_path: Path) -> Followed:
    fixture = "any_postgres" if request.param == "postgresql" else "mariadb"
    return Followed(request.param, request.getfixturevalue(fixture), tmp_path)


def test_a_row_that_is_committed_late_comes_with_a_later_run(followed):
    followed.database.execute("INSERT INTO t (id) VALUES (1)")
    with connect(followed.engine, followed.database, autocommit=False) as late:
        run(late, "INSERT INTO t (id) VALUES (2)")
        settle()
        followed.database.execute("INSERT INTO t (id) VALUES (3)")
        settle()
        report = followed.run()
        # On MySQL nobody knows when the first statement of a transaction that stays open began.
        is_known = followed.engine == "postgresql"
        assert report.guarantee.startswith("complete" if is_known else "not guaranteed: a trans")
        assert 3 not in followed.taken()  # it waits for the one that is older
        late.commit()
    followed.run_until(lambda: followed.taken() == [1, 2, 3])
    assert followed.taken() == [1, 2, 3]


def test_a_tie_that_comes_late_is_not_missed(followed):
    followed.keys = {"settle": {"after": "2s"}}
    moment = "SELECT " + NOW[followed.engine]
    followed.database.execute("INSERT INTO t (id) VALUES (1)")
    assert followed.database.execute(moment)
    followed.database.execute("INSERT INTO t SELECT 2, ts FROM t WHERE id = 1")
    settle(3.2)
    followed.run()
    followed.database.execute("INSERT INTO t (id) VALUES (3)")
    followed.database.execute("INSERT INTO t SELECT 4, ts FROM t WHERE id = 3")
    followed.run()
    settle(2)
    followed.run_until(lambda: followed.taken() == [1, 2, 3, 4])
    assert followed.taken() == [1, 2, 3, 4]


def test_runs_beside_a_writer_take_every_row_once(followed):
    stop = threading.Event()
    written = [0]

    def write(first: int) -> None:
        with connect(followed.engine, followed.database, autocommit=False) as connection:
            n = first
            while not stop.is_set():
                for _ in range(3):
                    n += 2
                    run(connection, f"INSERT INTO t (id) VALUES ({n})")
                    time.sleep(0.02)
                connection.commit()
                written[0] += 3

    writers = [threading.Thread(target=write, args=(first,)) for first in (0, 1)]
    for writer in writers:
        writer.start()
    for _ in range(4):
        time.sleep(0.4)
        followed.run()
    stop.set()
    for writer in writers:
        writer.join()
    expected = sorted(int(n) for (n,) in followed.database.execute("SELECT id FROM t"))
    assert written[0] > 10
    followed.run_until(lambda: followed.taken() == expected)
    assert followed.taken() == expected


def test_two_runs_at_once_do_not_overlap(followed):
    followed.database.execute("INSERT INTO t (id) VALUES (1)")
    reports = []

    def second(event: Any) -> None:
        if event.type == "chunk_started" and not reports:
            reports.append(None)
            reports[0] = library.run(followed.config(), check=False).exports[0]

    followed.run_until(lambda: bool(reports), on_event=second)
    assert reports[0].failure.exit_code == 5
    assert followed.taken() == [1]


def test_a_backfill_runs_beside_the_live_export(followed, rivet):
    followed.database.execute("INSERT INTO t VALUES (1, '2024-01-01'), (2, '2024-06-01')")
    followed.run_until(lambda: followed.taken() == [1, 2])
    answers = []

    def fill(event: Any) -> None:
        if event.type == "chunk_started" and not answers:
            answers.append(None)
            span = ("--from", "2024-01-01", "--to", "2024-02-01")
            answers[0] = rivet("backfill", "-c", followed.config(), "-e", "t", *span)

    followed.database.execute("INSERT INTO t (id) VALUES (3)")
    followed.run_until(lambda: bool(answers), on_event=fill)
    answers[0].expect(0)
    assert followed.taken() == [1, 2, 3]
    filled = json.loads((followed.folder / "out/backfill/manifest.json").read_text())
    assert filled["row_count"] == 1


def test_without_the_right_to_see_transactions_it_says_so(any_postgres, tmp_path):
    followed = Followed("postgresql", any_postgres, tmp_path)
    with connect("postgresql", any_postgres, admin=True) as other:
        run(other, "SELECT 1")
        report = followed.run()
        assert "pg_read_all_stats" in report.guarantee
        assert any("not guaranteed" in warning for warning in report.warnings)
        followed.keys = {"settle": {"after": "10m"}}
        assert "within 600 s" in followed.run().guarantee
