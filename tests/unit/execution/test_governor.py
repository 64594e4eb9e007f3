"""The governor: what is pressure, how it steps, and that it never outlives what it watches."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from rivet.errors import SourceInterruptedError
from rivet.execution.pool.governor import INTERVAL_VARIABLE, Governor, Permits, PressureJudge
from rivet.execution.progress import RunProgress
from rivet.execution.snapshot.sessions import SessionPool
from rivet.model.source import SessionSettings
from rivet.sources.abilities import Pressure
from support.stubengine import ADDRESS, FakeClock, StubEngine

CALM = Pressure(0, "requests")


@pytest.mark.parametrize(
    ("samples", "reason"),
    [
        ([(CALM, 0.01)], None),
        ([(Pressure(7, "requests"), 0.01)], None),  # it may have risen long ago
        ([(CALM, 0.01), (Pressure(3, "requests"), 0.01)], "requests: 3 more"),
        ([(CALM, 0.01), (CALM, 0.09)], None),
        ([(CALM, 0.01), (CALM, 0.3)], "a small question took 300 ms"),
        ([(CALM, 0.2), (CALM, 0.3)], None),  # the way there is long
        ([(Pressure(0, "", lag_bytes=65 << 20), 0.01)], "a replica is 65 MB behind"),
        ([(Pressure(0, "", lag_s=11.0), 0.01)], "the replica is 11 s behind"),
        ([(Pressure(0, "", lag_bytes=1, lag_s=9.9), 0.01)], None),
    ],
)
def test_pressure_is_told_from_calm(samples, reason):
    judge = PressureJudge()
    assert [judge.reason(*sample) for sample in samples][-1] == reason


class World:
    """A governor over a stub engine, and what it told."""

    def __init__(self, pressures, *, allowed=4, least=2):
        self.engine, self.events = StubEngine(pressures=list(pressures)), []
        self.permits, self.told = Permits(allowed), threading.Event()
        pool = SessionPool(self.engine, ADDRESS, SessionSettings(connect_timeout_s=0.05))
        context = SimpleNamespace(env={INTERVAL_VARIABLE: "1"}, emit=self.emit)
        self.progress = RunProgress("orders", "r1", datetime.now(UTC))
        clock = FakeClock()
        self.governor = Governor(self.permits, least, pool, context, self.progress, clock=clock)

    def emit(self, event):
        self.events.append(event)
        self.told.set()

    def wait(self, count):
        ends_at = time.monotonic() + 5
        while len(self.events) < count and time.monotonic() < ends_at:
            self.told.wait(0.1)
            self.told.clear()
        return [(one.before, one.after) for one in self.events[:count]]


def test_it_steps_down_to_the_least_and_up_again():
    rising = [Pressure(number, "requests") for number in range(6)]
    world = World([*rising, *[Pressure(5, "requests")] * 3])
    with world.governor:
        assert world.wait(4) == [(4, 3), (3, 2), (2, 3), (3, 4)]
    assert not world.engine.open
    assert world.permits.allowed == 4


def test_a_load_that_cannot_be_read_is_said_and_changes_nothing():
    lost = SourceInterruptedError("cut")
    world = World([CALM, lost, lost, CALM, lost, lost, lost])
    with world.governor:
        world.told.wait(5)
    assert world.permits.allowed == 4
    assert world.progress.warnings == ["the pressure of the source cannot be read: cut"]


def test_a_source_without_a_free_connection_is_not_watched():
    world = World([])
    world.engine.takes = 0
    with world.governor:
        world.told.wait(5)
    (warning,) = world.progress.warnings
    assert "too many connections" in warning


def test_permits_change_while_they_are_waited_for():
    permits = Permits(1)
    permits.acquire(lambda: False)
    taken = []
    waiting = threading.Thread(target=lambda: taken.append(permits.acquire(lambda: False)))
    waiting.start()
    assert taken == []
    permits.set(2)
    waiting.join(5)
    assert (taken, permits.active) == ([None], 2)
    permits.set(1)
    permits.release()
    permits.acquire(lambda: True)  # nobody needs one any more
    assert permits.active == 2
