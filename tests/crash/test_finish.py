"""The finish of a run is one step: whatever ends it, its rows are taken once and by one run."""

from __future__ import annotations

import duckdb
import pytest

from support.growing import Growing

REFUSES = "CREATE TRIGGER refuse BEFORE INSERT ON {table} WHEN NEW.export_name <> '' {body}"
BODY = "BEGIN SELECT RAISE(ABORT, 'no'); END"


@pytest.fixture
def followed(tmp_path):
    return Growing(tmp_path)


@pytest.mark.parametrize("table", ["schemas", "watermarks", "publications"])
def test_a_state_that_refuses_a_step_of_the_finish_loses_nothing(rivet, followed, table):
    rivet("run", "-c", followed.config).expect(0)
    followed.add(2)
    trigger = (
        REFUSES if table != "publications" else REFUSES.replace("WHEN NEW.export_name <> ''", "")
    )
    followed.sql(trigger.format(table=table, body=BODY), state=True)
    assert rivet("run", "-c", followed.config).code != 0
    assert followed.recorded() == 3
    followed.sql("DROP TRIGGER refuse", state=True)
    followed.add(1)
    rivet("run", "-c", followed.config).expect(0)
    assert followed.ids() == list(range(1, 7))
    assert followed.recorded() == 6
    listed = rivet("files", "-c", followed.config).expect(0).stdout.split()
    assert duckdb.sql(f"SELECT id FROM read_parquet({listed})").fetchall() == [(6,)]
