"""Names that decide whom Rivet trusts, times what may lie there; nothing is dialled or written.

Who can write to such a file reads the password: one that every user of the machine can write to is
refused, or told of where that may be meant so.
"""

import json
import os
import time

import pytest

from support import warm

PLAIN = {"host": "127.0.0.1", "port": 1, "database": "d", "user": "u", "password_env": "P"}
POSTGRES = "postgresql://u:p@127.0.0.1:1/d"
MYSQL = "mysql://u:p@127.0.0.1:1/d"
KIND_LIMIT_S = 10


def fifo(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


def folder(path):
    path.mkdir()


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
    given = {**warm.plain_environment(), "HOME": str(base), "P": "p", **environment}
    return warm.server().run(["run", "-c", "rivet.yaml"], base, given, 30)


TUNED = {"tuning": {"connect_timeout_s": 2, "max_retries": 0}}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_decides_whom_to_trust(name, tmp_path):
    for make in (fifo, zero, folder, shared):
        base = tmp_path / make.__name__
        base.mkdir()
        make(base / "name")
        began = time.monotonic()
        ended = run(base, *NAMES[name])
        told = (name, make.__name__, ended)
        assert time.monotonic() - began < KIND_LIMIT_S, told
        assert ended.code == 1, told
        errors = [line for line in ended.stderr.splitlines() if line.startswith("Error:")]
        assert len(errors) == 1, told
        assert "name" in errors[0], told
        expected = {
            "fifo": "it is a named pipe",
            "zero": "it is a device",
            "folder": "it is a folder",
            "shared": "every user of this machine can write",
        }
        assert expected[make.__name__] in errors[0], told
        assert ("chmod o-w" in ended.stderr) == (make is shared), told
        assert not (base / "out/manifest.json").exists()


def test_a_password_file_that_is_none_is_left_out(tmp_path):
    for make in (fifo, zero, folder, shared):
        base = tmp_path / make.__name__
        base.mkdir()
        make(base / "name")
        ended = run(base, {"type": "postgresql", "url": f"{POSTGRES}?passfile=name"}, {})
        assert ended.code in {1, 2}
        assert "RIVET_SOURCE" in ended.stderr


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
