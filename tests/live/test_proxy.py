"""The proxy does the harm it is told to do, to a real server's connection."""

import time

import psycopg
import pytest

from support.proxy import Proxy

pytestmark = pytest.mark.live("postgresql")
_WIDE = "SELECT repeat('x', 1000) FROM generate_series(1, 2000)"


@pytest.fixture
def proxy(shared_any_postgres):
    server = psycopg.conninfo.conninfo_to_dict(shared_any_postgres.url)
    with Proxy(server["host"], int(server["port"])) as running:
        yield running


def test_passes_everything_on_by_default(proxy, shared_any_postgres):
    with psycopg.connect(proxy.rewrite(shared_any_postgres.url)) as connection:
        assert len(connection.execute(_WIDE).fetchall()) == 2000
    assert proxy.accepted == 1


def test_cuts_in_the_middle_of_an_answer(proxy, shared_any_postgres):
    proxy.cut_after_bytes = 500_000
    connection = psycopg.connect(proxy.rewrite(shared_any_postgres.url))
    with pytest.raises(psycopg.OperationalError):
        connection.execute(_WIDE)
    connection.close()
    assert proxy.answered_bytes == 500_000


def test_black_hole_is_silent_until_it_ends(proxy, shared_any_postgres):
    proxy.is_black_hole = True
    with pytest.raises(psycopg.errors.ConnectionTimeout):
        psycopg.connect(proxy.rewrite(shared_any_postgres.url), connect_timeout=2)


def test_delays_every_answer(proxy, shared_any_postgres):
    with psycopg.connect(proxy.rewrite(shared_any_postgres.url)) as connection:
        proxy.delay_s = 0.2
        began = time.monotonic()
        connection.execute("SELECT 1")
        proxy.delay_s = 0
    assert time.monotonic() - began >= 0.2
