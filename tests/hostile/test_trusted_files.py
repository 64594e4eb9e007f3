"""Files that decide whom Rivet trusts and that every user can write to; nothing is dialled.

Who can write to such a file reads the password: it is refused, or told of where that may be meant
so. What else may lie there is in test_files_matrix.py.
"""

import json

import pytest

from support import warm

PLAIN = {"host": "127.0.0.1", "port": 1, "database": "d", "user": "u", "password_env": "P"}
POSTGRES = "postgresql://u:p@127.0.0.1:1/d"
MYSQL = "mysql://u:p@127.0.0.1:1/d"


def zero(path):
    path.symlink_to("/dev/zero")


def shared(path):
    path.write_text("postgresql://u:p@127.0.0.1:1/d")
    path.chmod(0o646)


def _source(engine, **keys):
    return {"type": engine, **keys}, {}


def _verified(engine):
    return _source(engine, **PLAIN, tls={"mode": "verify-ca", "ca_file": "name"})


# Each gives the source and the variables of a configuration that names the file `name`.
NAMES = {
    "url_file": _source("postgresql", url_file="name"),
    "mysql-url_file": _source("mysql", url_file="name"),
    "ca_file": _verified("postgresql"),
    "mysql-ca_file": _verified("mysql"),
    "sslrootcert": _source("postgresql", url=f"{POSTGRES}?sslmode=verify-ca&sslrootcert=name"),
    "sslcert": _source("postgresql", url=f"{POSTGRES}?sslcert=name"),
    "sslkey": _source("postgresql", url=f"{POSTGRES}?sslkey=name"),
    "sslcrl": _source("postgresql", url=f"{POSTGRES}?sslcrl=name"),
    "variable": (_source("postgresql", url=POSTGRES)[0], {"PGSSLROOTCERT": "name"}),
    "service": (_source("postgresql", service="s")[0], {"PGSERVICEFILE": "name"}),
    "ssl-ca": _source("mysql", url=f"{MYSQL}?ssl-ca=name"),
    "server_public_key": _source("mysql", **PLAIN, server_public_key="name"),
    "state": (
        {"type": "sqlite", "path": "a.db"},
        {"RIVET_STATE_URL": f"{POSTGRES}?sslcert=name&connect_timeout=2"},
    ),
}


def run(base, source, environment):
    config = {
        "source": {**source, **({} if source["type"] == "sqlite" else TUNED)},
        "exports": [
            {
                "name": "t",
                "table": "t",
                "format": "csv",
                "destination": {"type": "local", "path": "out"},
            }
        ],
    }
    (base / "rivet.yaml").write_text(json.dumps(config))
    (base / "a.db").touch()
    given = {**warm.plain_environment(), "HOME": str(base), "P": "p", **environment}
    return warm.server().run(["run", "-c", "rivet.yaml"], base, given, 30)


TUNED = {"tuning": {"connect_timeout_s": 2, "max_retries": 0}}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_decides_whom_to_trust(name, tmp_path):
    shared(tmp_path / "name")
    ended = run(tmp_path, *NAMES[name])
    assert ended.code == 1, ended
    errors = [line for line in ended.stderr.splitlines() if line.startswith("Error:")]
    assert len(errors) == 1, ended
    assert "name" in errors[0], ended
    assert "every user of this machine can write" in errors[0], ended
    assert "chmod o-w" in ended.stderr, ended
    assert not (tmp_path / "out/manifest.json").exists()


@pytest.mark.parametrize("make", [zero, shared])
def test_a_password_file_that_libpq_does_not_take_is_left_out(make, tmp_path):
    make(tmp_path / "name")
    url = POSTGRES.replace("u:p@", "u@")
    ended = run(tmp_path, {"type": "postgresql", "url": f"{url}?passfile=name"}, {})
    assert ended.code in {1, 2}
    assert "RIVET_SOURCE" in ended.stderr


@pytest.mark.parametrize("variable", ["", "PGPASSFILE"])
def test_a_password_file_of_more_than_a_megabyte_is_refused(variable, tmp_path):
    named = tmp_path / "name"
    named.write_text("h:1:d:u:p\n" * 104_858)  # ten bytes a line
    named.chmod(0o600)
    url = POSTGRES.replace("u:p@", "u@") + ("" if variable else "?passfile=name")
    given = {variable: str(named)} if variable else {}
    ended = run(tmp_path, {"type": "postgresql", "url": url}, given)
    assert ended.code == 1, ended
    (error,) = [line for line in ended.stderr.splitlines() if line.startswith("Error:")]
    assert "password file" in error
    assert "larger than 1 MB" in error


def test_a_configuration_that_everybody_can_write_is_told_of(tmp_path):
    query = {"type": "sqlite", "path": "a.db"}
    (tmp_path / "q.sql").write_text("SELECT 1")
    export = {"name": "t", "query_file": "q.sql", "format": "csv"}
    config = {"source": query, "exports": [{**export, "destination": {"type": "stdout"}}]}
    (tmp_path / "rivet.yaml").write_text(json.dumps(config))
    environment = {**warm.plain_environment(), "HOME": str(tmp_path)}
    (tmp_path / "a.db").touch()
    for name in ("rivet.yaml", "q.sql"):
        (tmp_path / name).chmod(0o666)
        ended = warm.server().run(["run", "-c", "rivet.yaml"], tmp_path, environment, 30)
        assert ended.code == 0, ended
        (warning,) = [line for line in ended.stderr.splitlines() if "every user" in line]
        assert name in warning
        (tmp_path / name).chmod(0o644)
    ended = warm.server().run(["run", "-c", "rivet.yaml"], tmp_path, environment, 30)
    assert "every user" not in ended.stderr
