"""Where a SQLite address leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from rivet.errors import ConfigError
from rivet.model.source import SourceAddress
from rivet.redact import Secret
from rivet.sources import files

BASE = Path("/base/dir")


def database_path(address: SourceAddress) -> Path:
    return files.database_path(address, scheme="sqlite", title="SQLite")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///shop.db", "/base/dir/shop.db"),
        ("sqlite:///data/shop.db", "/base/dir/data/shop.db"),
        ("sqlite:////var/shop.db", "/var/shop.db"),
        ("sqlite:shop.db", "/base/dir/shop.db"),
        ("sqlite:/var/shop.db", "/var/shop.db"),
        ("SQLite:///odd name?#%20.db", "/base/dir/odd name?#%20.db"),
    ],
)
def test_urls(url: str, path: str) -> None:
    assert database_path(SourceAddress("sqlite", url=Secret(url), base_dir=BASE)) == Path(path)


@pytest.mark.parametrize(
    "url",
    ["sqlite://shop.db", "sqlite://host/shop.db", "sqlite:", "sqlite:///", "sqlite:///:memory:",
     "postgresql:///shop", "shop.db", "sqlite:file:shop.db?mode=rw"],
)  # fmt: skip
def test_urls_that_name_no_file(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        database_path(SourceAddress("sqlite", url=Secret(url), base_dir=BASE))
    assert caught.value.hint


def test_the_path_may_stand_in_database() -> None:
    found = database_path(SourceAddress("sqlite", database="shop.db", base_dir=BASE))
    assert found == Path("/base/dir/shop.db")
    with pytest.raises(ConfigError):
        database_path(SourceAddress("sqlite", base_dir=BASE))
