"""A reference that cannot be had is a skip on a laptop and a failure where it is required."""

import pytest

from support.reference import install, unavailable


def test_skips_where_nothing_is_required(monkeypatch):
    monkeypatch.setenv("RIVET_TEST_REQUIRE", "postgresql")
    with pytest.raises(pytest.skip.Exception, match="no registry"):
        unavailable("no registry")


def test_fails_where_it_is_required(monkeypatch):
    monkeypatch.setenv("RIVET_TEST_REQUIRE", "postgresql, reference")
    with pytest.raises(pytest.fail.Exception, match="RIVET_TEST_REQUIRE names"):
        unavailable("no registry")


def test_a_missing_registry_is_told(monkeypatch, tmp_path):
    for name in ("PIP_FIND_LINKS", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    problem = install(tmp_path / "there")
    assert problem
    assert "rivet-cli" in problem
