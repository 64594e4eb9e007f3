"""The pooler of the tests is what they take it for."""

import psycopg
import pytest

from support.pooler import Pooler, need_pooler

pytestmark = pytest.mark.live("postgresql")


@pytest.mark.parametrize(("mode", "is_shared"), [("transaction", True), ("session", False)])
def test_connections_are_lent_for_as_long_as_the_mode_says(shared_any_postgres, mode, is_shared):
    need_pooler()
    pooler = Pooler(shared_any_postgres, pool_size=1, mode=mode, query_wait_s=1)
    with pooler, psycopg.connect(pooler.url, autocommit=True) as first:
        pid = first.execute("SELECT pg_backend_pid()").fetchone()
        with psycopg.connect(pooler.url, autocommit=True) as second:
            if is_shared:
                assert second.execute("SELECT pg_backend_pid()").fetchone() == pid
            else:
                with pytest.raises(psycopg.OperationalError, match="query_wait_timeout"):
                    second.execute("SELECT 1")
        assert pooler.servers() == 1
