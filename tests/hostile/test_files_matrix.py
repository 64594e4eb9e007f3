"""Every name that somebody can give, times every kind of thing that may lie under it.

The command ends in bounded time and memory, with the right code and one line, and touches nothing
else. A key or a variable that names a file and has no row here fails the last tests.
"""

import itertools
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from rivet.config.schema import config_schema
from rivet.state.locks import lock_file_name
from support import warm
from support.hostile import mysql
from support.hostile.fake import FakeServer
from support.hostile.places import KINDS, NOBODY, assert_untouched
from support.hostile.several import run_each

MOST_MB = 300
LONGEST_S = 10
RUN = ("run", "-c", "rivet.yaml")
IMPORT = ("state", "import", "-c", "rivet.yaml")
SUMMARY = (*RUN, "--summary-output", "summary.json")
DEMO = ("demo", "demo")
TUNED = {"tuning": {"connect_timeout_s": 2, "max_retries": 0}}
PLAIN = {"host": "127.0.0.1", "port": "PORT", "database": "d", "user": "u", "password_env": "P"}
AUTHORITY = {**PLAIN, "tls": {"mode": "verify-ca", "ca_file": "name"}}
SYSTEM = {**PLAIN, "tls": {"mode": "verify-ca"}}
OPEN_URL = "postgresql://u@127.0.0.1:PORT/d?sslmode=require"
URL = OPEN_URL.replace("u@", "u:p@")
MYSQL_URL = "mysql://u:p@127.0.0.1:PORT/d"


@dataclass(frozen=True)
class Name:
    """What is put where, and how a command that is led there ends.

    Attributes:
        path: The name, relative to the configuration.
        source: Of the configuration.
        export: Keys of its export.
        variables: Of the command.
        arguments: Of the command.
        fine: Kinds with which it ends well.
        skipped: Kinds with which it makes a whole demo.
        codes: What it ends with otherwise.
    """

    path: str
    source: dict = field(default_factory=lambda: {"type": "sqlite", "path": "a.db"})
    export: dict = field(default_factory=dict)
    variables: dict = field(default_factory=dict)
    arguments: tuple = RUN
    fine: tuple = ()
    skipped: tuple = ()
    codes: tuple = (1,)


def postgres(path="name", *, variables=None, **keys):
    return Name(
        path, {"type": "postgresql", **keys, **TUNED}, variables=variables or {}, codes=(1, 2)
    )


def maria(**keys):
    return Name("name", {"type": "mysql", **keys, **TUNED}, codes=(1, 2))


def in_url(key):
    return postgres(url=f"{URL}&{key}=name")


def in_variable(variable, url=URL):
    return postgres(url=url, variables={variable: "name"})


def in_state(what):
    return Name("name", variables={"RIVET_STATE_URL": f"{OPEN_URL}&{what}=name"})


def not_here(**export):
    """Return a name of what is not in this version: refused before anything is opened."""
    return Name("name", export=export)


def stored(path="name", *, destination=None, **variables):
    """Return a name that says who may sign in at a store, where nothing else does."""
    alone = {"AWS_EC2_METADATA_DISABLED": "true", "NO_GCE_CHECK": "true", **variables}
    return Name(path, export={"destination": destination or S3}, variables=alone)


EVERY = tuple(KINDS)
S3 = {"type": "s3", "bucket": "b", "endpoint": "http://127.0.0.1:1"}
DUCKDB = {"type": "duckdb", "path": "a.duckdb"}
GCS_BUCKET = {"type": "gcs", "bucket": "b"}
GCS = {**GCS_BUCKET, "credentials_file": "name"}
NAMES = {
    "--config": Name("rivet.yaml"),
    "source.path": Name("a.db"),
    "source.path -journal": Name("a.db-journal", fine=("dangling", "huge", "empty")),
    "source.path -wal": Name("a.db-wal", fine=("dangling", "huge", "empty")),
    "source.path of DuckDB": Name("a.duckdb", DUCKDB),
    "source.path of DuckDB .wal": Name(
        "a.duckdb.wal", DUCKDB, fine=("link", "dangling", "huge", "empty")
    ),
    "source.url_file": postgres(url_file="name"),
    "source.url_file of MySQL": maria(url_file="name"),
    "source.tls.ca_file": postgres(**AUTHORITY),
    "source.tls.ca_file of MySQL": maria(**AUTHORITY),
    "source.server_public_key": maria(**PLAIN, server_public_key="name"),
    "exports.query_file": Name("q.sql", export={"query_file": "q.sql"}),
    "exports.destination.path": Name("out", fine=("folder",)),
    "exports.destination.credentials_file": stored(destination=GCS),
    "exports.cdc.checkpoint": not_here(mode="cdc", cdc={"checkpoint": "name"}),
    "exports.load.ca_file": not_here(load={"ca_file": "name"}),
    "manifest.json": Name("out/manifest.json", codes=(3,)),
    "--summary-output": Name(
        "summary.json", arguments=SUMMARY, fine=("link", "dangling", "huge", "empty")
    ),
    "demo DIR": Name("demo", arguments=DEMO, skipped=("folder",), codes=(5,)),
    "demo DIR/rivet.yaml": Name("demo/rivet.yaml", arguments=DEMO, codes=(5,)),
    "demo DIR/shop.db": Name("demo/shop.db", arguments=DEMO, codes=(5,)),
    "demo DIR/shop.db-wal": Name("demo/shop.db-wal", arguments=DEMO, codes=(5,)),
    ".rivet": Name(".rivet", fine=("folder",)),
    ".rivet/state.db": Name(".rivet/state.db", fine=("empty",), codes=(1, 5)),
    ".rivet/locks": Name(".rivet/locks", fine=("folder",)),
    ".rivet/locks/NAME.lock": Name(
        f".rivet/locks/{lock_file_name('t')}", fine=("huge", "empty"), codes=(1, 2)
    ),
    ".rivet/runs": Name(".rivet/runs", fine=EVERY),
    ".rivet_state.db": Name(".rivet_state.db", arguments=IMPORT, fine=("empty",), codes=(5,)),
    "sslrootcert": in_url("sslrootcert"),
    "sslcert": in_url("sslcert"),
    "sslkey": in_url("sslkey"),
    "sslcrl": in_url("sslcrl"),
    "passfile": postgres(url=f"{OPEN_URL}&passfile=name"),
    "ssl-ca": maria(url=f"{MYSQL_URL}?ssl-ca=name"),
    "RIVET_STATE_URL with sslrootcert": in_state("sslrootcert"),
    "RIVET_STATE_URL with passfile": in_state("passfile"),
    "PGSSLROOTCERT": in_variable("PGSSLROOTCERT"),
    "PGSSLCERT": in_variable("PGSSLCERT"),
    "PGSSLKEY": in_variable("PGSSLKEY"),
    "PGSSLCRL": in_variable("PGSSLCRL"),
    "PGPASSFILE": in_variable("PGPASSFILE", OPEN_URL),
    "PGSERVICEFILE": postgres(service="s", variables={"PGSERVICEFILE": "name"}),
    "PGSYSCONFDIR": postgres(service="s", variables={"PGSYSCONFDIR": "name"}),
    "SSL_CERT_FILE": postgres(**SYSTEM, variables={"SSL_CERT_FILE": "name"}),
    "TMPDIR": Name(
        "name", export={"destination": {"type": "stdout"}}, variables={"TMPDIR": "name"}, fine=EVERY
    ),
    "AWS_CONFIG_FILE": stored(AWS_CONFIG_FILE="name"),
    "AWS_SHARED_CREDENTIALS_FILE": stored(AWS_SHARED_CREDENTIALS_FILE="name"),
    "AWS_WEB_IDENTITY_TOKEN_FILE": stored(AWS_WEB_IDENTITY_TOKEN_FILE="name"),
    "GOOGLE_APPLICATION_CREDENTIALS": stored(
        destination=GCS_BUCKET, GOOGLE_APPLICATION_CREDENTIALS="name"
    ),
    "~/.aws/credentials": stored(".aws/credentials"),
    "~/.pgpass": postgres(".pgpass", url=OPEN_URL),
    "~/.pg_service.conf": postgres(".pg_service.conf", service="s"),
    "~/.postgresql/root.crt": postgres(".postgresql/root.crt", url=URL),
}
# What is there becomes the state or the lock; the summary is written where its name leads.
CHANGED = {
    (".rivet/state.db", "empty"),
    *((".rivet/locks/NAME.lock", kind) for kind in ("huge", "empty")),
    *(("--summary-output", kind) for kind in NAMES["--summary-output"].fine),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("template")
    with closing(sqlite3.connect(base / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")
    with closing(duckdb.connect(base / "a.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1 AS id")
    return base


def take_up_tls(peer):
    """Hang up where TLS begins: what libpq reads of files, it has read by then."""
    peer.read(8)
    peer.send(b"S")


def greet(peer):
    peer.send(mysql.greeting(has_tls=True))
    peer.read(32)


@pytest.fixture(scope="module")
def ports():
    with FakeServer(take_up_tls) as one, FakeServer(greet) as other:
        yield {"mysql": other.port, "postgresql": one.port}


def prepare(folder, row, template, port):
    """Put all in place but what the name is to be."""
    shutil.copytree(template, folder)
    folder.chmod(0o700)
    export = {"name": "t", "format": "csv", "destination": {"type": "local", "path": "out"}}
    what = {} if "query_file" in row.export else {"table": "t"}
    config = json.dumps({"source": row.source, "exports": [{**export, **what, **row.export}]})
    (folder / "rivet.yaml").write_text(config.replace('"PORT"', port).replace("PORT", port))
    path = folder / row.path
    path.unlink(missing_ok=True)
    for parent in reversed(path.relative_to(folder).parents[:-1]):
        (folder / parent).mkdir(mode=0o700, exist_ok=True)
    return path


@pytest.mark.parametrize("name", NAMES)
def test_every_name_times_every_kind(name, template, ports, tmp_path):
    row = NAMES[name]
    port = str(ports.get(row.source["type"], ports["postgresql"]))
    paths = {
        kind: prepare(tmp_path / kind, row, template, port)
        for kind in KINDS
        if kind not in row.skipped
    }
    were = {}
    for kind, path in paths.items():
        KINDS[kind](path)
        were[kind] = path.lstat()
    variables = {key: value.replace("PORT", port) for key, value in row.variables.items()}
    folders = [tmp_path / kind for kind in paths]
    endings = run_each(
        folders, row.arguments, {"P": "p", **variables}, timeout_s=20, most_mb=MOST_MB
    )
    for (kind, path), ending in zip(paths.items(), endings, strict=True):
        told = (name, kind, ending)
        assert ending.seconds < LONGEST_S, told
        assert "Traceback" not in ending.said, told
        assert "this is a bug" not in ending.said, told
        errors = [line for line in ending.said.splitlines() if line.startswith("Error: [RIVET_")]
        if kind in row.fine:
            assert (ending.code, errors) == (0, []), told
        else:
            assert ending.code in row.codes, told
            assert len(errors) == 1, told
        if (name, kind) not in CHANGED:
            assert_untouched(path, kind, were[kind])


def file_keys():
    """Yield the keys whose description says that they hold the name of a file or a folder."""
    schema = config_schema()
    sections = {"Config": schema, **schema["$defs"]}
    for section, body in sections.items():
        for key, found in body.get("properties", {}).items():
            told = f"{key.replace('_', ' ')} {found.get('description', '')}"
            is_text = '"type": "string"' in json.dumps(found) and "enum" not in json.dumps(found)
            if is_text and re.search(r"\b(file|folder|path|certificate)\b", told, re.IGNORECASE):
                yield f"{section}.{key}"


# Keys in whose description the word stands for something else.
NO_NAMES = {
    "ColumnConfig.type",
    "DestinationConfig.prefix",
    "ExportConfig.rename",
    "SourceConfig.url",
}
ROWS = {
    "CdcConfig.checkpoint": "exports.cdc.checkpoint",
    "DestinationConfig.credentials_file": "exports.destination.credentials_file",
    "DestinationConfig.path": "exports.destination.path",
    "ExportConfig.query_file": "exports.query_file",
    "LoadConfig.ca_file": "exports.load.ca_file",
    "SourceConfig.path": "source.path",
    "SourceConfig.server_public_key": "source.server_public_key",
    "SourceConfig.service": "PGSERVICEFILE",
    "SourceConfig.url_file": "source.url_file",
    "TlsConfig.ca_file": "source.tls.ca_file",
}


def test_every_key_that_names_a_file_has_a_row():
    assert set(ROWS.values()) <= set(NAMES)
    assert set(file_keys()) == set(ROWS) | NO_NAMES


def test_every_variable_of_a_file_has_a_row():
    page = Path(__file__).parents[2] / "docs/reference/environment.md"
    named = set(re.findall(r"`(\w+(?:FILE|DIR|CERT|KEY|CRL))`", page.read_text()))
    # The first is read by SQLite alone; the others are no names of files.
    assert named - {"SQLITE_TMPDIR", "AWS_PROFILE", "AWS_SECRET_ACCESS_KEY"} <= set(NAMES)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, so it needs root")
def test_folders_of_others_are_not_trusted_with_state(template, tmp_path):
    spoilers = (lambda path: os.chown(path, NOBODY, NOBODY), lambda path: path.chmod(0o777))
    folders = []
    for name, spoil in itertools.product((".rivet", ".rivet/locks"), spoilers):
        folders.append(tmp_path / str(len(folders)))
        prepare(folders[-1], NAMES["TMPDIR"], template, "1")
        path = folders[-1] / name
        path.mkdir(parents=True, mode=0o700)
        path.parent.chmod(0o700)
        spoil(path)
    for folder, ending in zip(
        folders, run_each(folders, RUN, {}, timeout_s=20, most_mb=MOST_MB), strict=True
    ):
        assert ending.code == 1, ending
        assert "RIVET_STATE_FOLDER_UNSAFE" in ending.said
        assert not (folder / "out/manifest.json").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, so it needs root")
def test_what_belongs_to_others_is_read_and_written_to(template, tmp_path):
    base = tmp_path / "x"
    prepare(base, NAMES["exports.query_file"], template, "1").write_text("SELECT id FROM t")
    (base / "out").mkdir()
    for name in ("rivet.yaml", "a.db", "q.sql", "out"):
        os.chown(base / name, NOBODY, NOBODY)
    for name in ("a.db", "out"):
        (base / name).chmod(0o777)
    ended = warm.server().run(RUN, base, {**warm.plain_environment(), "HOME": str(base)}, 60)
    assert ended.code == 0, ended
    assert "warning" not in ended.stderr
    assert (base / "out/manifest.json").exists()
