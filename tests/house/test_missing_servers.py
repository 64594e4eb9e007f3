"""A server that is not there is a skip on a laptop and a failure where it is required."""

import pytest

from support.servers import missing


def test_skips_where_nothing_is_required(monkeypatch):
    monkeypatch.delenv("RIVET_TEST_REQUIRE", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no mysql server here"):
        missing("mysql")


def test_fails_where_the_engine_is_required(monkeypatch):
    monkeypatch.setenv("RIVET_TEST_REQUIRE", "postgresql, mysql")
    with pytest.raises(pytest.fail.Exception, match="RIVET_TEST_REQUIRE names it"):
        missing("mysql")


def test_skips_where_another_engine_is_required(monkeypatch):
    monkeypatch.setenv("RIVET_TEST_REQUIRE", "postgresql")
    with pytest.raises(pytest.skip.Exception):
        missing("mysql")
