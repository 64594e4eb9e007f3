"""A materialized view that was never filled: no run changes that, and the words say what does."""

import pytest

from support.roles import run_many_as

pytestmark = pytest.mark.live("postgresql")


def test_an_unpopulated_materialized_view_is_a_lasting_error(postgres, tmp_path):
    postgres.execute(
        "CREATE MATERIALIZED VIEW kept AS SELECT g AS id FROM generate_series(1, 9) g WITH NO DATA;"
        "CREATE VIEW above AS SELECT * FROM kept;"
        "CREATE TABLE t (id int)"
    )
    exports = {
        "itself": {"table": "kept"},
        "behind": {"table": "above"},
        "queried": {"query": "SELECT id FROM t UNION ALL SELECT id FROM kept"},
        "cut": {"table": "kept", "mode": "chunked", "chunk_column": "id", "parallel": 2},
        "grown": {"table": "kept", "mode": "incremental", "cursor_column": "id"},
    }
    for name, report in run_many_as(postgres.url, tmp_path, exports).items():
        failure = report.failure
        assert failure is not None, name
        assert (failure.code, failure.exit_code) == ("RIVET_SOURCE_QUERY", 1), (name, failure)
        assert "has not been populated" in failure.message
        assert "REFRESH MATERIALIZED VIEW" in failure.hint
        assert report.retries == 0
    postgres.execute("REFRESH MATERIALIZED VIEW kept")
    assert run_many_as(postgres.url, tmp_path / "after", exports)["behind"].rows == 9
