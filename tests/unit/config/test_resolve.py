"""Addresses with their secrets, and query files."""

import pytest

from rivet.config.load import config_from_dict, config_from_text
from rivet.config.resolve import quality_rules, resolve_query_file, resolve_source
from rivet.errors import ConfigError, SecretNotFoundError
from rivet.model.source import TlsMode
from rivet.redact import redact

EXPORT = {"name": "a", "format": "csv", "destination": {"type": "stdout"}}
FIELDS = {"host": "h", "user": "u", "database": "d"}


def address(tmp_path, env=None, **source):
    source = {"type": "postgres"} | source
    config = config_from_dict({"source": source, "exports": [EXPORT | {"table": "t"}]}, tmp_path)
    return resolve_source(config, env or {})


def test_url_forms(tmp_path):
    url = "postgresql://u:sesame9@h/d"
    (tmp_path / "secret").write_text(f"  {url}\n")
    for source in ({"url": url}, {"url_env": "U"}, {"url_file": "secret"}):
        found = address(tmp_path, {"U": url}, **source)
        assert found.url.reveal() == url
        assert (found.engine, found.base_dir) == ("postgresql", tmp_path)
        assert "sesame9" not in repr(found)
    assert "sesame9" not in redact("it was sesame9 all along")


def test_a_percent_encoded_password_is_masked_in_both_forms(tmp_path):
    address(tmp_path, url="postgresql://u:open%2Fsesame@h/d")
    assert "sesame" not in redact("open/sesame and open%2Fsesame")


def test_separate_fields(tmp_path):
    found = address(tmp_path, {"P": "sesame9"}, password_env="P", **FIELDS)
    assert (found.host, found.port, found.user, found.database) == ("h", 5432, "u", "d")
    assert found.password.reveal() == "sesame9"
    assert address(tmp_path, port=6000, password="p4ss", **FIELDS).port == 6000
    assert address(tmp_path, **FIELDS).password is None


def test_names_inside_a_url_variable(tmp_path):
    env = {"U": "postgresql://u:${PW}@h/d", "PW": "sesame9"}
    assert address(tmp_path, env, url_env="U").url.reveal() == "postgresql://u:sesame9@h/d"
    with pytest.raises(SecretNotFoundError, match=r"\$\{PW\} is not set"):
        address(tmp_path, {"U": env["U"]}, url_env="U")


def test_files_and_services(tmp_path):
    found = address(tmp_path, type="sqlite", path="shop.db")
    assert (found.database, found.url, found.port) == ("shop.db", None, None)
    assert address(tmp_path, type="sqlite", url="sqlite:///a.db").url.reveal() == "sqlite:///a.db"
    assert address(tmp_path, service="sh op").url.reveal() == "postgresql://?service=sh%20op"


@pytest.mark.parametrize(
    ("tls", "mode"),
    [
        ({}, TlsMode.VERIFY_FULL),
        ({"mode": "disable"}, TlsMode.DISABLE),
        ({"mode": "verify-ca"}, TlsMode.VERIFY_CA),
        ({"accept_invalid_certs": True}, TlsMode.REQUIRE),
        ({"accept_invalid_hostnames": True}, TlsMode.VERIFY_CA),
        ({"mode": "disable", "accept_invalid_certs": True}, TlsMode.DISABLE),
    ],
)
def test_tls(tls, mode, tmp_path):
    found = address(tmp_path, tls=tls | {"ca_file": "ca.pem"}, **FIELDS)
    assert (found.tls.mode, found.tls.ca_file) == (mode, tmp_path / "ca.pem")
    assert address(tmp_path, **FIELDS).tls is None


@pytest.mark.parametrize(
    ("source", "env", "words"),
    [
        ({"url_env": "U"}, {}, "env var 'U' is not set"),
        ({"url_env": "U"}, {"U": "  "}, "env var 'U' is empty"),
        ({"url_env": "U"}, {"U": "mysql://sesame9@h/d"}, "address of mysql"),
        ({"url_env": "U"}, {"U": "sesame9"}, "does not begin with postgresql"),
        ({"password_env": "P", **FIELDS}, {}, "env var 'P' is not set"),
        ({"url_file": "none"}, {}, "cannot be read"),
        ({"url_file": "empty"}, {}, "is empty"),
        ({"url_file": "folder"}, {}, "cannot be read"),
    ],
)
def test_what_is_not_there(source, env, words, tmp_path):
    (tmp_path / "empty").write_text(" \n")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match=words) as caught:
        address(tmp_path, env, **source)
    assert caught.value.hint
    assert "sesame9" not in f"{caught.value} {caught.value.hint}"


def query(tmp_path, name, params=None):
    text = (
        "source: {type: sqlite, path: a.db}\nexports:\n- name: a\n  format: csv\n"
        f"  query_file: {name}\n  destination: {{type: stdout}}\n"
    )
    config = config_from_text(text, tmp_path / "rivet.yaml", params, {})
    assert config.warnings == ()
    return resolve_query_file(config, config.exports[0])


def test_query_file(tmp_path):
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/q.sql").write_text("\ufeffSELECT '${day}';\n\n", encoding="utf-8")
    assert query(tmp_path, "sql/q.sql", {"day": "monday"}) == "SELECT 'monday'"


def test_query_file_stays_inside_the_folder(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "q.sql").write_text("SELECT 1")
    (inside / "link.sql").symlink_to(tmp_path / "q.sql")
    (inside / "good.sql").symlink_to(inside / "real.sql")
    (inside / "real.sql").write_text("SELECT 2")
    with pytest.raises(ConfigError, match="lead out"):
        query(inside, "link.sql")
    assert query(inside, "good.sql") == "SELECT 2"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "does not exist"),
        (b" ; ", "holds no query"),
        (b"\xff\xfe", "cannot be read"),
        (b"SELECT ${nowhere}", "is not set"),
        (b" " * 1_100_000, "larger than 1 MB"),
    ],
)
def test_query_files_that_are_none(content, words, tmp_path):
    if content is not None:
        (tmp_path / "q.sql").write_bytes(content)
    with pytest.raises(ConfigError, match=words):
        query(tmp_path, "q.sql")


def test_quality_rules(tmp_path):
    exports = [
        EXPORT | {"table": "t"},
        EXPORT | {"name": "b", "table": "t", "quality": {}},
        EXPORT | {"name": "c", "table": "t", "quality": {"row_count_min": 0}},
    ]
    source = {"type": "sqlite", "path": "a.db"}
    config = config_from_dict({"source": source, "exports": exports}, tmp_path)
    none, empty, some = map(quality_rules, config.exports)
    assert (none, empty, some.row_count_min) == (None, None, 0)
