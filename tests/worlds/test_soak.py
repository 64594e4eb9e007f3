"""Worlds, tables and strategies at random: nothing lost, doubled, changed or claimed falsely.

`RIVET_SOAK_CASES` is how many in all, 10,000 without it; `RIVET_SOAK_FIRST` is the number of the
first. `make test` looks at a few of each engine.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from support.worlds.drawn import Drawn, draw
from support.worlds.opened import opened
from support.worlds.places import PLACES, Place, move_of
from support.worlds.strategies import (
    Case,
    Refused,
    WrongRows,
    once,
    resumed,
    succeed,
    twice,
    windowed,
)

if TYPE_CHECKING:
    from pathlib import Path

ENGINE = pytest.mark.parametrize("engine", sorted(PLACES))
FEW = 12
# Refusals that a drawn case may meet; none of them reads a row.
EXPECTED = {"RIVET_PLAN_UNSUPPORTED"}


@ENGINE
def test_a_few_cases(engine: str, tmp_path: Path) -> None:
    look_at(engine, range(FEW), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(7200)
@ENGINE
def test_many_cases(engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = int(os.environ.get("RIVET_SOAK_CASES", "10000")) // len(PLACES)
    first = int(os.environ.get("RIVET_SOAK_FIRST", "1000"))
    told = look_at(engine, range(first, first + count), tmp_path)
    with capsys.disabled():
        listed = ", ".join(f"{name} {number:,}" for name, number in sorted(told.items()))
        print(f"\n{engine}: {count:,} cases: {listed}; none lost, doubled, changed or claimed")  # noqa: T201


def look_at(engine: str, numbers: range, folder: Path) -> Counter[str]:
    """Run cases by their numbers; fail at the end with those that went wrong."""
    told: Counter[str] = Counter()
    wrong: list[str] = []
    with PLACES[engine](folder) as place:
        for number in numbers:
            case = draw(engine, number)
            own = folder / "case"
            own.mkdir()
            try:
                told[_act(case, place, own)] += 1
            except Exception as error:  # noqa: BLE001 - told below, with its number
                wrong.append(f"{case}\n    {type(error).__name__}: {error}"[:1500])
                assert len(wrong) < 20, "\n".join(wrong)
            shutil.rmtree(own)
    assert not wrong, "\n".join(wrong)
    return told


_ACTS = {"once": once, "twice": twice, "resumed": resumed, "windowed": windowed}


def _act(drawn: Drawn, place: Place, folder: Path) -> str:
    world = place.fill(drawn)
    case = Case(world, folder, drawn.keys)
    try:
        if drawn.act == "moving":
            return _moving(drawn, case)
        if drawn.act == "opened":
            return opened(drawn, case)
        _ACTS[drawn.act](case)
    except Refused as refusal:
        if refusal.code not in EXPECTED:
            raise WrongRows(f"refused: {refusal}") from refusal
        return "refused"
    return drawn.act


def _moving(drawn: Drawn, case: Case) -> str:
    """Rows move to other keys between chunks: one instant holds each once, several say so."""
    everybody = sorted(row[0] for row in case.world.rows_of_source())
    moved = 0
    alone = threading.Lock()  # chunks end on threads of their own

    def move(event: Any) -> None:
        nonlocal moved
        if event.type != "chunk_completed" or not everybody:
            return
        with alone:
            for _ in range(2 if moved < 12 else 0):
                moved += 1
                case.world.ask(move_of(moved, drawn.random.choice(everybody)))

    report = case.run(on_event=move)
    succeed(report)
    found = sorted(row[0] for row in case.published())
    is_one = report.instants <= 1 and not report.not_covered
    if is_one and found != everybody:
        raise WrongRows(f"one instant, and {len(found)} of {len(everybody)} rows: {found}")
    return "moving, one instant" if is_one else "moving, several instants"
