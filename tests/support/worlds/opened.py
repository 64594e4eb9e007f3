"""Rows of transactions that are open while an incremental run reads: what is complete has them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from support.worlds.strategies import WrongRows, same, succeed

if TYPE_CHECKING:
    from support.worlds.drawn import Drawn
    from support.worlds.strategies import Case
    from support.worlds.world import Row

CLOCKS = {
    "postgresql": ("now()", "statement_timestamp()", "clock_timestamp()"),
    "mysql": ("NOW(6)", "SYSDATE(6)", "CURRENT_TIMESTAMP(6)"),
}
# Statements that begin a transaction, leave it open, and end it.
_WAYS = {
    "postgresql": {
        "open": ("BEGIN", (), "COMMIT"),
        "prepared": ("BEGIN", ("PREPARE TRANSACTION 'soak'",), "COMMIT PREPARED 'soak'"),
    },
    "mysql": {
        "open": ("BEGIN", (), "COMMIT"),
        "prepared": ("XA START 'soak'", ("XA END 'soak'", "XA PREPARE 'soak'"), "XA COMMIT 'soak'"),
    },
}


# MariaDB tells whole seconds of some times, and rows wait that long.
_PAUSES = (0, 0.3, 1.1, 2.1)


def opened(drawn: Drawn, case: Case) -> str:
    """Run thrice around a transaction that ends between the first and the last.

    Returns:
        What was claimed.

    Raises:
        WrongRows: A row is there twice; or one is lost, and every run said that it is complete.
    """
    dice, number = drawn.random, 0
    way = dice.choice(sorted(_WAYS[drawn.engine]))
    begin, leave, end = _WAYS[drawn.engine][way]

    def row() -> str:
        nonlocal number
        number += 1
        clock = dice.choice(CLOCKS[drawn.engine])
        return (
            f"INSERT INTO t VALUES ({100_000 + number}, {50_000_000 + number}, 'OPEN{number}', 1,"
            f" NULL, {clock}, 0)"
        )

    found: list[Row] = []
    said: list[str] = []
    assert case.world.other is not None
    with case.world.other() as other:
        for statement in (begin, "SELECT 1"):
            other(statement)
        time.sleep(dice.choice((0, 0, 0.01, 0.3)))
        other(row())
        for statement in leave:
            other(statement)
        try:
            case.world.ask(row())
            for _ in range(dice.choice((1, 1, 2))):
                found += _taken(case, said)
                case.world.ask(row())
        finally:
            other(end)
    if dice.random() < 0.5:
        case.world.ask(row())
    found += _taken(case, said)
    expected = case.world.rows_of_source()
    for pause in _PAUSES:
        time.sleep(pause)
        found += _taken(case, said)
        if not (difference := same(found, expected)):
            break
    is_claimed = all(text.startswith("complete") for text in said)
    if difference and (is_claimed or len(set(found)) < len(found)):
        raise WrongRows(f"{way}: {difference}; said {said}")
    return f"{way}, complete" if is_claimed else f"{way}, not guaranteed"


def _taken(case: Case, said: list[str]) -> list[Any]:
    report = case.run()
    succeed(report)
    said.append(report.guarantee or "")
    return case.published()
