"""How a state store tells which runs hold an export's rows, whatever database it is in."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from rivet.errors import StateDamagedError
from rivet.model.finish import Finish
from rivet.state import watermarks
from rivet.state.chain import chain_of
from rivet.state.sqlite import SqliteDatabase
from unit.state.behaviour import NOON, WHOLE, a_part, a_success, start

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rivet.state.store import StateStore

RUNS = 3_000
_NUMBERS = "WITH RECURSIVE n(g) AS (SELECT 1 UNION ALL SELECT g + 1 FROM n WHERE g < :count)"
_TOLD = {
    "of an earlier version": {"moves_on": True},
    "of this version": {"moves_on": True, "follows": "BEFORE"},
}


def _grown(store: StateStore, told: dict[str, object]) -> list[str]:
    """Record so many runs of one part, each after the one before, and return their names."""
    start(store, "first")
    claim = store.claim("first", "orders", WHOLE)
    store.record(claim, [a_part("a")], chunk_done=True)
    store.finish("first", Finish(a_success(file_count=1)))
    made = {
        "run_id": "'r' || (10000 + g)",
        "plan_json": "replace(:told, 'BEFORE', 'r' || (9999 + g))",
        "started_at": ":noon",
    }
    with store.database.write() as db:
        for table in ("runs", "chunks", "parts"):
            row = db.one(f"SELECT * FROM pyrivet.{table} LIMIT 1")
            names = [name for name in row or () if name != "sequence"]
            values = [made.get(name, name) for name in names]
            bound = {"told": json.dumps(told), "noon": NOON} if table == "runs" else {}
            db.change(
                f"{_NUMBERS} INSERT INTO pyrivet.{table} ({', '.join(names)}) SELECT"
                f" {', '.join(values)} FROM pyrivet.{table}, n WHERE run_id = 'first' ORDER BY g",
                count=RUNS,
                **bound,
            )
        begins = json.dumps({"moves_on": True, **({"follows": None} if "follows" in told else {})})
        db.change("UPDATE pyrivet.runs SET plan_json = :b WHERE run_id = 'r10001'", b=begins)
        db.change("UPDATE pyrivet.runs SET plan_json = '{}' WHERE run_id = 'first'")
    return [f"r{10_000 + number}" for number in range(1, RUNS + 1)]


@contextmanager
def _counted(store: StateStore) -> Iterator[list[str]]:
    """Collect the statements that reach the database."""
    found: list[str] = []
    database = store.database
    if isinstance(database, SqliteDatabase):
        database._connection.set_trace_callback(found.append)
        yield found
        database._connection.set_trace_callback(None)
    else:

        def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            found.append(statement)

        event.listen(database._engine, "before_cursor_execute", note)
        yield found
        event.remove(database._engine, "before_cursor_execute", note)


class ChainBehaviour:
    """The suite; a subclass gives the `store` fixture."""

    @pytest.mark.parametrize("version", _TOLD)
    def test_a_long_chain_takes_few_statements(self, store: StateStore, version: str) -> None:
        names = _grown(store, _TOLD[version])
        with _counted(store) as statements:
            links = chain_of(store, "orders")
        assert [link.row.run_id for link in links] == names
        assert [link.follows for link in links] == [None, *names[:-1]]
        assert {len(link.parts) for link in links} == {1}
        assert len(statements) <= RUNS / 30
        assert [one.row.run_id for one in chain_of(store, "orders", after=names[-3])] == names[-2:]
        with store.database.write() as db:
            middle = names[1500]
            later = NOON + timedelta(days=1)
            db.change(
                "UPDATE pyrivet.runs SET started_at = :later WHERE run_id > :middle",
                later=later,
                middle=middle,
            )
            watermarks.forget(db, "orders", NOON + timedelta(hours=1))
        with _counted(store) as statements:
            links = chain_of(store, "orders")
        # What an earlier version began anew is told by the audit alone.
        assert len(links) == (RUNS if "this" in version else RUNS - 1501)
        assert len(statements) <= RUNS / 30
        lost = names[-100]
        with store.database.write() as db:
            db.change("DELETE FROM pyrivet.parts WHERE run_id = :lost", lost=lost)
        with pytest.raises(StateDamagedError, match=f"run {lost} are not on record"):
            chain_of(store, "orders")
        assert len(chain_of(store, "orders", after=lost)) == 99
