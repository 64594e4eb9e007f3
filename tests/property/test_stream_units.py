"""Whatever order claims, units, acknowledgements and new runs come in, a stream stays whole."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from rivet.errors import InternalError, RefusedError
from rivet.model.commit_unit import CommitUnit
from rivet.model.finish import Finish
from rivet.state.store import open_store
from unit.state.behaviour import a_part, a_run, a_success
from unit.state.units import at

if TYPE_CHECKING:
    from pathlib import Path

    from rivet.model.commit_unit import RecordedPosition, StreamClaim
    from rivet.model.source import Position
    from rivet.state.store import StateStore

STEPS = 60
REFUSED = (InternalError, RefusedError)


class Model:
    """The store against a plain model of it."""

    def __init__(self, store: StateStore, seed: int) -> None:
        self.store, self.random = store, random.Random(seed)
        self.run, self.is_running = 0, False
        self.claims: list[StreamClaim] = []
        self.ends: list[RecordedPosition] = []
        self.acknowledged = 0
        self.parts: dict[int, list[str]] = {}
        self.runs: dict[int, str] = {}
        self.place: Position | None = None
        self.made = 0

    @property
    def run_id(self) -> str:
        return f"r{self.run}"

    def step(self) -> None:
        ways = [self.begin, *[self.claim] * 3, *[self.commit] * 9, *[self.repeat] * 2]
        ways += [*[self.acknowledge] * 2, self.forget, self.reset]
        self.random.choice(ways)()
        if not self.is_running and self.random.random() < 0.3:
            self.begin()

    def begin(self) -> None:
        if self.is_running and self.random.random() < 0.5:
            self.store.finish(self.run_id, Finish(a_success()))
            self.is_running = False
            return
        self.run += 1
        self.store.begin_run(a_run(self.run_id))
        self.is_running = True
        if self.random.random() < 0.8:
            self.claim()

    def claim(self) -> None:
        if not self.is_running:
            return
        claim = self.store.claim_stream(self.run_id, "orders")
        assert (claim.next_unit, claim.position) == (len(self.ends) + 1, self.place)
        self.claims.append(claim)

    def commit(self) -> None:
        if not self.claims:
            return
        claim = self.random.choice(self.claims[:-3:-1] + self.claims[-1:])
        number = len(self.ends) + self.random.choice([1, 1, 1, 2])
        self.made += 1
        names = [f"{self.made}-{ordinal}" for ordinal in range(self.random.randrange(3))]
        goes_nowhere = self.place is not None and self.random.random() < 0.1
        position = self.place if goes_nowhere and self.place else at(self.made)
        stored = {f"t{ordinal}": [a_part(name, ordinal)] for ordinal, name in enumerate(names)}
        unit = CommitUnit(number, stored, position)
        stands = self.is_running and claim == self.claims[-1] and claim.run_id == self.run_id
        if not stands or number != len(self.ends) + 1 or goes_nowhere:
            with pytest.raises(REFUSED):
                self.store.commit_unit(claim, unit)
            return
        self.ends.append(self.store.commit_unit(claim, unit).end)
        self.parts[number], self.runs[number], self.place = names, claim.run_id, position

    def repeat(self) -> None:
        if not self.is_running or not self.ends or self.claims[-1].run_id != self.run_id:
            return
        number = self.random.randrange(1, len(self.ends) + 1)
        unit = CommitUnit(number, {"t": [a_part("again")]}, self.ends[number - 1].position)
        try:
            found = self.store.commit_unit(self.claims[-1], unit)
        except RefusedError:  # its row is gone: progress alone, and acknowledged
            assert number <= self.acknowledged
            assert not self.parts[number]
        else:
            assert [part.name for part in found.parts] == self.parts[number]

    def acknowledge(self) -> None:
        if self.ends:
            end = self.random.choice(self.ends)
            self.store.acknowledge(end)
            self.acknowledged = max(self.acknowledged, end.unit_number)

    def forget(self) -> None:
        run_id = f"r{self.random.randrange(self.run + 1)}"
        if run_id == self.run_id and self.is_running:
            return
        self.store.forget_parts(run_id)
        self.parts |= {number: [] for number, by in self.runs.items() if by == run_id}

    def reset(self) -> None:
        self.store.forget_watermark("orders")
        self.place, self.acknowledged = None, len(self.ends)

    def check(self) -> None:
        told = [name for _, names in sorted(self.parts.items()) for name in names]
        assert [part.name for part in self.store.unit_parts("orders")] == told
        assert self.store.unacknowledged("orders") == tuple(self.ends[self.acknowledged :])
        assert self.store.last_unit("orders") == (self.ends[-1] if self.ends else None)
        assert self.store.watermark("orders") == self.place


@pytest.mark.parametrize("seed", range(12))
def test_units_are_those_that_were_committed_in_turn(tmp_path: Path, seed: int) -> None:
    with open_store(tmp_path, url="") as store:
        model = Model(store, seed)
        for _ in range(STEPS):
            model.step()
            model.check()
        assert len(model.ends) > 2
