"""How a state store commits units of a change stream, whatever database it is in."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rivet.errors import InternalError, RefusedError, StateDamagedError, StateError
from rivet.model.commit_unit import CommitUnit, RecordedPosition
from rivet.model.finish import Finish
from rivet.model.owner import Owner, SourceIdentity
from rivet.model.run import RunStatus
from rivet.model.source import Position
from rivet.state import commit_units
from rivet.state.continuity import memory_of
from rivet.state.decoding import UnreadableRowError
from unit.state.behaviour import a_part, a_run, a_success, start

if TYPE_CHECKING:
    from rivet.model.commit_unit import RecordedUnit, StreamClaim
    from rivet.state.database import Statements
    from rivet.state.store import StateStore


def at(place: int) -> Position:
    return Position("postgresql", "lsn", f"0/{place}", is_approximate=False)


def a_unit(number: int, *names: str, end: int | None = None) -> CommitUnit:
    """Return a unit with parts of two relations, by turns."""
    parts: dict[str, list] = {"public.orders": [], "public.items": []} if names else {}
    for ordinal, name in enumerate(names):
        relation = ("public.orders", "public.items")[ordinal % 2]
        parts[relation].append(a_part(name, ordinal))
    return CommitUnit(number, parts, at(number if end is None else end))


def claimed(store: StateStore, run_id: str = "r1") -> StreamClaim:
    store.begin_run(a_run(run_id))
    return store.claim_stream(run_id, "orders")


def committed(store: StateStore, *units: CommitUnit) -> tuple[StreamClaim, list[RecordedUnit]]:
    claim = claimed(store)
    return claim, [store.commit_unit(claim, unit) for unit in units]


class _RolledBackError(Exception):
    pass


def _read_all(db: Statements) -> None:
    commit_units.unacknowledged(db, "orders")
    commit_units.last(db, "orders")
    commit_units.parts_of(db, "orders", None, 0)


def _numbers(store: StateStore) -> list[int]:
    with store.database.read() as db:
        rows = db.all("SELECT unit_number FROM pyrivet.commit_units ORDER BY unit_number")
    return [row["unit_number"] for row in rows]


class UnitBehaviour:
    """The suite; a subclass gives the `store` fixture."""

    def test_a_unit_is_recorded_with_its_place(self, store: StateStore) -> None:
        claim = claimed(store)
        assert (claim.number, claim.next_unit, claim.position) == (1, 1, None)
        assert (store.last_unit("orders"), store.unacknowledged("orders")) == (None, ())
        source = SourceIdentity("shop", "public")
        owner = Owner("postgresql", source, "", "local out", "parquet")
        first = store.commit_unit(claim, a_unit(1, "a", "b", "c"), owner=owner)
        assert [(part.relation, part.name) for part in first.parts] == [
            ("public.orders", "a"),
            ("public.orders", "c"),
            ("public.items", "b"),
        ]
        assert store.watermark("orders") == at(1)
        assert store.owner("orders") == owner
        quiet = store.commit_unit(claim, a_unit(2))
        third = store.commit_unit(claim, a_unit(3, "d"))
        assert store.watermark("orders") == at(3)
        assert store.last_unit("orders") == third.end == RecordedPosition("orders", 3, at(3))
        assert store.unacknowledged("orders") == (first.end, quiet.end, third.end)
        assert sorted(store.parts("r1"), key=lambda part: part.part_id) == [
            *first.parts,
            *third.parts,
        ]
        assert len(store.whole_parts("r1")) == 4
        store.finish("r1", Finish(a_success(rows=20)))
        assert store.watermark("orders") == at(3)

    def test_a_unit_twice_is_recorded_once(self, store: StateStore) -> None:
        claim, (first,) = committed(store, a_unit(1, "a", "b"))
        # Its files may have other names where it was read again.
        for unit in (a_unit(1, "a", "b"), a_unit(1, "other", "names", "more")):
            again = store.commit_unit(claim, unit)
            assert again.end == first.end
            assert sorted(again.parts, key=lambda part: part.part_id) == list(first.parts)
        later = store.claim_stream("r1", "orders")
        assert store.commit_unit(later, a_unit(1, "x")).claim_number == 1
        assert [part.name for part in store.parts("r1")] == ["a", "b"]
        assert len(store.whole_parts("r1")) == 2
        assert store.watermark("orders") == at(1)

    def test_threads_that_commit_the_same_unit_record_it_once(self, store: StateStore) -> None:
        claim = claimed(store)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda n: store.commit_unit(claim, a_unit(1, f"a{n}")), range(6)))
        assert len({unit.parts for unit in found}) == 1
        assert len(store.whole_parts("r1")) == 1

    def test_what_may_not_be_committed_changes_nothing(self, store: StateStore) -> None:
        claim, (first, _) = committed(store, a_unit(1, "a"), a_unit(2, "b"))
        with pytest.raises(RefusedError, match=r"unit 1 of 'orders' .* with another end"):
            store.commit_unit(claim, a_unit(1, "c", end=9))
        approximate = CommitUnit(2, {}, replace(at(2), is_approximate=True))
        with pytest.raises(RefusedError, match="unit 2"):
            store.commit_unit(claim, approximate)
        for number in (4, 0, -1):
            with pytest.raises((InternalError, RefusedError)):
                store.commit_unit(claim, a_unit(number, "c"))
        with pytest.raises(InternalError, match="ends where the stream is already"):
            store.commit_unit(claim, a_unit(3, "c", end=2))
        same = CommitUnit(3, {"one": [a_part("c")], "other": [a_part("d")]}, at(3))
        with pytest.raises(StateError):
            store.commit_unit(claim, same)
        assert [part.name for part in store.whole_parts("r1")] == ["a", "b"]
        assert store.watermark("orders") == at(2)
        assert len(store.unacknowledged("orders")) == 2
        assert store.commit_unit(claim, a_unit(3, "c")).parts[0].part_id == 3
        assert first.end.unit_number == 1

    def test_a_superseded_claim_or_run_commits_nothing(self, store: StateStore) -> None:
        old, _ = committed(store, a_unit(1, "a"))
        newer = store.claim_stream("r1", "orders")
        assert (newer.number, newer.next_unit, newer.position) == (2, 2, at(1))
        with pytest.raises(RefusedError, match="claim 1 on the stream 'orders'") as refused:
            store.commit_unit(old, a_unit(2, "b"))
        assert refused.value.error_code == "RIVET_REFUSED_SUPERSEDED"
        next_run = claimed(store, "r2")
        assert (next_run.number, next_run.next_unit, next_run.position) == (3, 2, at(1))
        for claim in (old, newer):
            for unit in (a_unit(1, "a"), a_unit(2, "b")):
                with pytest.raises(RefusedError, match="superseded by run 'r2'"):
                    store.commit_unit(claim, unit)
        with pytest.raises(RefusedError):
            store.claim_stream("r1", "orders")
        store.commit_unit(next_run, a_unit(2, "c"))
        # Units of every run are data, also of one that was superseded.
        assert [part.name for part in store.unit_parts("orders")] == ["a", "c"]
        assert [part.name for part in store.unit_parts("orders", after=1)] == ["c"]
        assert store.unit_parts("orders", "public.items") == ()

    def test_a_stream_and_chunks_do_not_share_a_run(self, store: StateStore) -> None:
        start(store, "r1")
        with pytest.raises(InternalError, match="reads chunks"):
            store.claim_stream("r1", "orders")
        # The snapshot is a run of its own: what it leaves is where the stream begins.
        (chunk,) = store.chunks("r1")
        store.record(store.claim("r1", "orders", chunk), [a_part("a")], chunk_done=True)
        store.finish("r1", Finish(a_success(), at(1)))
        claim = claimed(store, "r2")
        assert (claim.next_unit, claim.position) == (1, at(1))
        with pytest.raises(InternalError, match="ends where the stream is already"):
            store.commit_unit(claim, a_unit(1, "b"))
        store.commit_unit(claim, a_unit(1, "b", end=2))
        store.begin_run(a_run("e1", "customers"))
        with pytest.raises(InternalError, match="another export"):
            store.claim_stream("e1", "orders")
        assert store.claim_stream("e1", "customers").next_unit == 1

    def test_what_is_acknowledged_is_on_record(self, store: StateStore) -> None:
        units = [a_unit(1), a_unit(2, "a"), a_unit(3), a_unit(4), a_unit(5, "b"), a_unit(6)]
        _, found = committed(store, *units)
        ends = [unit.end for unit in found]
        for end in (RecordedPosition("orders", 7, at(7)), RecordedPosition("orders", 4, at(5))):
            with pytest.raises(InternalError, match="not on record"):
                store.acknowledge(end)
        with pytest.raises(InternalError, match="not on record"):
            store.acknowledge(RecordedPosition("customers", 1, at(1)))
        assert len(store.unacknowledged("orders")) == 6
        store.acknowledge(ends[3])
        store.acknowledge(ends[3])
        store.acknowledge(ends[0])
        assert store.unacknowledged("orders") == tuple(ends[4:])
        store.acknowledge(ends[5])
        assert store.unacknowledged("orders") == ()
        assert store.last_unit("orders") == ends[5]
        # What was progress alone is gone; the last place and units with parts are not.
        assert _numbers(store) == [2, 5, 6]
        assert claimed(store, "r2").next_unit == 7

    def test_files_that_are_forgotten_leave_no_rows(self, store: StateStore) -> None:
        claim, found = committed(store, a_unit(1, "a"), a_unit(2, "b"), a_unit(3, "c"))
        store.acknowledge(found[1].end)
        store.finish("r1", Finish(a_success(status=RunStatus.FAILED)))
        start(store, "r2")
        # Each run of a stream holds rows of its own: retention never proposes one.
        assert [row.run_id for row in store.runs_with_files("orders", good=1)] == ["r2"]
        store.forget_parts("r1")
        assert store.unit_parts("orders") == ()
        assert store.unacknowledged("orders") == (found[2].end,)
        assert _numbers(store) == [3]
        claim = claimed(store, "r3")
        store.acknowledge(store.commit_unit(claim, a_unit(4, "d")).end)
        assert _numbers(store) == [4]
        assert [part.name for part in store.unit_parts("orders")] == ["d"]

    def test_a_reset_begins_anew_and_a_lost_place_is_lost(self, store: StateStore) -> None:
        committed(store, a_unit(1, "a"), a_unit(2, "b"))
        with store.database.write() as db:
            db.change("DELETE FROM pyrivet.watermarks")
        assert memory_of(store, "orders", None).is_lost
        assert not store.forget_watermark("orders")
        memory = memory_of(store, "orders", None)
        assert (memory.is_lost, memory.is_reset) == (False, True)
        assert store.unacknowledged("orders") == ()
        claim = claimed(store, "r2")
        assert (claim.next_unit, claim.position) == (3, None)
        store.commit_unit(claim, a_unit(3, "c", end=1))
        with store.database.write() as db:
            db.change("DELETE FROM pyrivet.watermarks")
        assert memory_of(store, "orders", None).is_lost  # the reset was used up

    def test_damage_is_told_and_never_acknowledged(self, store: StateStore) -> None:
        committed(store, a_unit(1, "a"), a_unit(2), a_unit(3, "b"))
        wrong = [
            f"UPDATE pyrivet.{table} SET {column} = {value}"
            for table, columns in {
                "streams": "last_unit acknowledged_unit claim_number",
                "commit_units": "position_text kind part_count claim_number is_approximate",
            }.items()
            for column in columns.split()
            for value in ("'7'" if column in {"position_text", "kind"} else "7",)
        ]
        wrong += [
            "UPDATE pyrivet.commit_units SET unit_number = 9 WHERE unit_number = 3",
            "DELETE FROM pyrivet.commit_units WHERE unit_number = 3",
            "DELETE FROM pyrivet.commit_units WHERE unit_number = 2",
            "DELETE FROM pyrivet.commit_units",
            "DELETE FROM pyrivet.streams",
            "DELETE FROM pyrivet.parts WHERE chunk_index = 1",
        ]
        for sql in wrong:
            with suppress(_RolledBackError), store.database.write() as db:
                assert db.change(sql)
                with pytest.raises(UnreadableRowError):
                    _read_all(db)
                raise _RolledBackError
        with store.database.write() as db:
            db.change("UPDATE pyrivet.streams SET last_unit = 7")
        with pytest.raises(StateDamagedError, match="table 'streams'"):
            store.unacknowledged("orders")
        # A reset is the way out of it, too.
        assert store.forget_watermark("orders")
        assert claimed(store, "r2").next_unit == 1

    def test_a_death_at_any_statement_leaves_all_or_nothing(self, store: StateStore) -> None:
        store.begin_run(a_run("r1"))
        code = f"import sys; sys.path[:0] = {sys.path!r}\n{DIE_AT_STATEMENT}"
        run = subprocess.run(
            [sys.executable, "-c", code, str(store.base_dir)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert run.stderr == ""
        *deaths, survived = [json.loads(line) for line in run.stdout.splitlines()]
        assert len(deaths) >= 8
        for exit_code, parts, end, place in deaths:
            assert (exit_code, parts, end, place) == (9, [], None, None)
        # The last one died right after the commit, and told nobody.
        assert survived == [7, ["a0", "a1", "a2"], 1, "0/1"]
        (left,) = store.unacknowledged("orders")
        claim = claimed(store, "r2")
        assert (claim.next_unit, claim.position) == (2, left.position)


DIE_AT_STATEMENT = """
import json, os
from pathlib import Path
from rivet.state.store import open_store
from unit.state.units import a_unit
if os.environ.get("RIVET_STATE_URL"):
    import rivet.state.postgres, psycopg, sqlalchemy.dialects.postgresql  # once, not in each fork

def counted(kind, left):
    change = kind.change
    def dying(self, sql, **values):
        nonlocal left
        if left == 0:
            os._exit(9)
        left -= 1
        return change(self, sql, **values)
    kind.change = dying

def attempt(nth):
    store = open_store(Path(sys.argv[1]))
    claim = store.claim_stream("r1", "orders")
    with store.database.read() as db:
        kind = type(db)
    counted(kind, nth)
    store.commit_unit(claim, a_unit(1, "a0", "a1", "a2"))
    os._exit(7)

for nth in range(40):
    if (pid := os.fork()) == 0:
        attempt(nth)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with open_store(Path(sys.argv[1])) as store:
        end, place = store.last_unit("orders"), store.watermark("orders")
        names = sorted(part.name for part in store.parts("r1"))
    told = [code, names, end and end.unit_number, place and place.text]
    print(json.dumps(told), flush=True)
    if code != 9:
        break
"""
