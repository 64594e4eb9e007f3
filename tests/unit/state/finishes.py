"""How a state store finishes runs, whatever database it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rivet.errors import InternalError, StateError
from rivet.model.finish import Finish, Receipt
from rivet.model.run import RunStatus
from rivet.model.source import Position
from unit.state.behaviour import WHOLE, a_part, a_success, start

if TYPE_CHECKING:
    from rivet.state.store import StateStore


class FinishBehaviour:
    """The suite; a subclass gives the `store` fixture."""

    def test_a_watermark_needs_a_recorded_part(self, store: StateStore) -> None:
        start(store, "r1")
        claim = store.claim("r1", "orders", WHOLE)
        store.record(claim, [a_part("a")], chunk_done=True)
        first = Position("sqlite", "int", "9", is_approximate=False)
        store.finish("r1", Finish(a_success(), first))
        assert store.watermark("orders") == first
        assert store.watermark("customers") is None
        start(store, "r2", export_name="customers")
        store.record(store.claim("r2", "customers", WHOLE), [], chunk_done=True)
        with pytest.raises(InternalError, match="no part"):
            store.finish("r2", Finish(a_success(), Position("sqlite", "int", "1")))
        assert store.watermark("customers") is None

    def test_a_finish_is_all_or_nothing(self, store: StateStore) -> None:
        start(store, "r1")
        store.record(store.claim("r1", "orders", WHOLE), [a_part("a")], chunk_done=True)
        receipt = Receipt("manifest", "file:///out", "xxh3:1")
        finish = Finish(a_success(), Position("e", "k", "7"), columns=(("a", "int64"),))
        with pytest.raises(StateError):
            store.finish("r1", finish, [receipt, receipt])
        assert store.watermark("orders") is None
        assert store.schema_of("orders") is None
        row = store.run("r1")
        assert row is not None
        assert (row.status, row.manifest_at) == (RunStatus.RUNNING, None)
        store.finish("r1", finish, [receipt])
        assert store.watermark("orders") == Position("e", "k", "7")
        assert store.schema_of("orders") == (("a", "int64"),)

    def test_what_was_about_to_be_published_is_finished_later(self, store: StateStore) -> None:
        start(store, "r1")
        claim = store.claim("r1", "orders", WHOLE)
        finish = Finish(a_success(rows=5), Position("e", "k", "7"), columns=(("a", "int64"),))
        with pytest.raises(InternalError, match="incomplete"):
            store.intend("r1", finish)
        store.record(claim, [a_part("a")], chunk_done=True)
        assert store.unfinished("orders") is None
        store.intend("r1", finish)
        store.finish("r1", Finish(a_success(status=RunStatus.FAILED, error_code="RIVET_X")))
        found = store.unfinished("orders")
        assert found is not None
        assert (found[0].run_id, found[1]) == ("r1", finish)
        store.finish_dead(*found, [Receipt("manifest", "file:///out", "xxh3:1")])
        assert store.unfinished("orders") is None
        row = store.current_run("orders")
        assert row is not None
        assert row.outcome == finish.outcome
        assert store.watermark("orders") == finish.watermark
        start(store, "r2")
        store.record(store.claim("r2", "orders", WHOLE), [], chunk_done=True)
        store.intend("r2", finish)
        start(store, "r3")
        assert store.unfinished("orders") is None  # r2 was superseded
