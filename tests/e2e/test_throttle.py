"""`throttle_ms` pauses after every batch, and `profile: safe` reads batches of its size."""

from __future__ import annotations

import pytest

from rivet.config.load import config_from_dict
from rivet.execution.many.invocation import run_exports

BATCHES, PAUSE_S = 12, 0.2
TUNING = {
    "chosen": {"batch_size": 1000},
    "safe": {"profile": "safe"},
}


@pytest.fixture
def numbers(engine):
    """A table of 24,000 rows."""
    engine.execute("CREATE TABLE numbers (id bigint PRIMARY KEY, v varchar(40))")
    digits = " UNION ALL ".join(f"SELECT {n} AS n" for n in range(10))
    engine.execute(
        f"INSERT INTO numbers SELECT a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n, 'v'"
        f" FROM ({digits}) a, ({digits}) b, ({digits}) c, ({digits}) d, ({digits}) e"
        " WHERE 1000 * d.n + 10000 * e.n < 24000"
    )
    if engine.name in {"postgresql", "mysql"}:
        statement = "ANALYZE numbers" if engine.name == "postgresql" else "ANALYZE TABLE numbers"
        engine.execute(statement)
    return engine


@pytest.mark.parametrize("how", TUNING)
def test_each_batch_is_followed_by_a_pause(numbers, how, tmp_path):
    limit = 12_000 if how == "chosen" else 24_000
    export = {
        "name": "numbers",
        "format": "csv",
        "table": "numbers",
        "destination": {"type": "local", "path": "out"},
        "tuning": {**TUNING[how], "throttle_ms": int(PAUSE_S * 1000)},
    }
    if how == "chosen":
        numbers.execute(f"DELETE FROM numbers WHERE id >= {limit}; SELECT 1")
    config = config_from_dict({"source": numbers.source, "exports": [export]}, base_dir=tmp_path)
    (report,) = run_exports(config).report.exports
    assert (report.failure, report.rows) == (None, limit)
    assert report.duration_ms >= (BATCHES - 1) * PAUSE_S * 1000
    assert report.plan.batch_size == limit // BATCHES
    if numbers.name in {"postgresql", "mysql"}:
        # The server's statements are none of them open while a pause lasts.
        assert report.longest_statement_s < (BATCHES - 2) * PAUSE_S
