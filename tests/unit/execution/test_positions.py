"""Positions of a log: each engine's own order, which is none of their texts."""

from __future__ import annotations

from itertools import permutations

import pytest

from rivet.execution.positions import earliest
from rivet.model.source import Position

LSN = ("postgresql", "lsn")
GTID = ("mysql", "gtid")
UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"
OTHER = "4e11fa47-71ca-11e1-9e33-c80aa9429562"

# From the earliest on; sorted as texts they are in another order.
IN_ORDER = {
    "lsn": (LSN, "0/A", "0/10", "0/FFFFFFFF", "1/0", "9/0", "A/1", "10/0"),
    "mariadb": (GTID, "0-1-9", "0-1-10", "0-2-100", "0-1-101,1-1-1"),
    "mariadb, domains in another order": (GTID, "1-1-9,0-1-10", "0-1-11,1-2-10"),
    "mysql": (GTID, f"{UUID}:1-9", f"{UUID}:1-10", f"{UUID}:1-100,\n{OTHER}:1"),
    "mysql, several intervals": (GTID, f"{UUID}:1-3:7", f"{UUID.upper()}:1-5:6-8", f"{UUID}:1-9"),
    "mysql, tags": (GTID, f"{UUID}:1-3:a:1-9", f"{UUID}:1-3:a:1-10", f"{UUID}:1-4:a:1-10:b:1"),
}
UNKNOWN = {
    "none is told": (LSN, "0/A", None),
    "servers that know nothing of each other": (GTID, f"{UUID}:1-9", f"{OTHER}:1-9"),
    "servers, each with one of its own": (GTID, "0-1-9,1-1-1", "0-1-8,1-1-2"),
    "a gap": (GTID, f"{UUID}:1-9", f"{UUID}:1-4:6-20"),
    "tags of others": (GTID, f"{UUID}:a:1-9", f"{UUID}:b:1-9"),
    "no position of the engine": (LSN, "0/A", "binlog.000009:4"),
    "nor of this one": (GTID, "0-1-9", "nothing"),
    "an engine without a log": (("sqlite", "lsn"), "0/A", "0/B"),
    "an engine of others": (("oracle", "scn"), "1", "2"),
}


def _positions(told):
    (engine, kind), *texts = told
    return [None if text is None else Position(engine, kind, text) for text in texts]


@pytest.mark.parametrize("told", IN_ORDER.values(), ids=IN_ORDER)
def test_the_earliest_is_that_of_the_engine(told):
    positions = _positions(told)
    for some in permutations(positions, 2):
        assert earliest(some) == min(some, key=positions.index)
    assert earliest(reversed(positions)) == positions[0]
    assert earliest([*positions[1:], *positions]) == positions[0]


@pytest.mark.parametrize("told", UNKNOWN.values(), ids=UNKNOWN)
def test_what_cannot_be_compared_is_not_known(told):
    assert earliest(_positions(told)) is None
    assert earliest(reversed(_positions(told))) is None


def test_positions_of_several_kinds_are_not_compared():
    assert earliest([Position(*LSN, "0/A"), Position("postgresql", "slot", "0/B")]) is None
    assert earliest([Position(*LSN, "0/A"), Position("mysql", "lsn", "0/B")]) is None
    assert earliest([]) is None


def test_one_that_is_before_two_that_cannot_be_compared_is_the_earliest():
    for some in permutations(_positions((GTID, "0-1-9,1-1-1", "0-1-8,1-1-2", "0-1-8,1-1-1"))):
        assert earliest(some).text == "0-1-8,1-1-1"


def test_the_only_one_needs_no_order():
    assert earliest([Position("oracle", "scn", "1")] * 2) == Position("oracle", "scn", "1")
