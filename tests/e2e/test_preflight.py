"""What can be refused without the source is refused before it is contacted, and leaves nothing."""

from __future__ import annotations

import json
import socket
from contextlib import contextmanager

import pytest

import rivet as library

CASES = {
    "a query file that is missing": (
        {"query_file": "no.sql"},
        "query_file 'no.sql' does not exist",
    ),
    "one outside, by a link": (
        {"query_file": "link.sql"},
        "lead out of the configuration's folder",
    ),
    "an empty one": ({"query_file": "empty.sql"}, "holds no query"),
    "a variable of one": ({"query_file": "open.sql"}, "${NOWHERE} is not set"),
    "a table that is no name": ({"table": "a.b.c"}, "table 'a.b.c' is not a name or schema.name"),
    "a table of dots": ({"table": "..a"}, "table '..a' is not a name"),
    "several files, by size": (
        {"table": "t", "destination": {"type": "stdout"}, "max_file_size": "1MB"},
        "stdout is one stream, it cannot be split",
    ),
    "several files, by chunks": (
        {"table": "t", "destination": {"type": "stdout"}, "mode": "chunked"}
        | {"chunk_column": "id", "chunk_count": 3},
        "3 chunks are as many files",
    ),
}


@contextmanager
def _counted():
    """Listen on a port where no database is; yields the port and asserts that nobody came."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]
        listener.settimeout(0.05)
        with pytest.raises(TimeoutError):
            listener.accept()


def _export(name, **given):
    export = {
        "name": name,
        "format": "csv",
        "destination": {"type": "local", "path": "out/{export}"},
    }
    return export | given


def _write(directory, source, *exports, **top):
    path = directory / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": exports, **top}, indent=1))
    return path


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "configured"
    home.mkdir()
    (tmp_path / "secret.sql").write_text("SELECT 1")
    (home / "link.sql").symlink_to(tmp_path / "secret.sql")
    (home / "empty.sql").write_text(" ;\n")
    (home / "open.sql").write_text("SELECT ${NOWHERE}")
    return home


def _left(home):
    return sorted(one.name for one in home.iterdir() if one.suffix not in {".sql", ".yaml"})


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
def test_exports_are_refused_before_the_source_is_contacted(folder, scheme):
    with _counted() as port:
        source = {"type": scheme, "url": f"{scheme}://reader@127.0.0.1:{port}/shop"}
        for parallel in ({}, {"parallel_exports": 4}):
            exports = [_export(f"e{n}", **given) for n, (given, _) in enumerate(CASES.values())]
            streams = [one for one in exports if one["destination"]["type"] == "stdout"]
            for group in ([one for one in exports if one not in streams], *([s] for s in streams)):
                config = _write(folder, source, *group, **parallel)
                report = library.run(config, check=False)
                for one in report.exports:
                    words = list(CASES.values())[int(one.export_name[1:])][1]
                    assert words in one.failure.message
                    assert one.failure.exit_code == 1
                assert _left(folder) == []


def test_one_of_several_that_is_refused_stops_none_of_the_others(shop, rivet):
    shop.configure({}, {"name": "later", "query_file": "later.sql"})
    done = rivet("run", "-c", shop.config, "--parallel-export-processes").expect(1)
    assert "query_file 'later.sql' does not exist" in done.stderr
    assert len(list(shop.out.rglob("*.parquet"))) == 1
    assert not (shop.out / "later").exists()
    (shop.directory / "later.sql").write_text("SELECT id FROM orders")
    rivet("run", "-c", shop.config, "-e", "later").expect(0)


@pytest.mark.parametrize("parallel", [[], ["--parallel-exports"], ["--parallel-export-processes"]])
def test_a_source_that_is_no_address_leaves_no_state(rivet, tmp_path, parallel):
    """One refusal for each of several exports, one exit code, and nothing in the folder."""
    exports = [_export("a", table="a"), _export("b", table="b")]
    with _counted() as port:
        url = f"postgresql://reader@127.0.0.1:{port}/shop"
        for source, words in (
            ({"type": "postgresql", "url_env": "NOWHERE"}, "env var 'NOWHERE' is not set"),
            ({"type": "postgresql", "url": "postgresql://db.example.com/x"}, "TLS is required"),
            ({"type": "mysql", "url": "mysql://db.example.com/x"}, "TLS is required"),
            ({"type": "postgresql", "url": f"{url}?schema=x"}, "the option 'schema'"),
            (
                {"type": "mysql", "url": url.replace("postgresql", "mysql")}
                | {"tls": {"mode": "verify-full", "ca_file": "no.crt"}},
                "tls.ca_file: there is no file",
            ),
            ({"type": "sqlite", "url": "sqlite:///no.db"}, "no database file at"),
            ({"type": "duckdb", "path": "no.duckdb"}, "no database file at"),
        )[: None if not parallel else 2]:
            config = _write(tmp_path, source, *exports)
            done = rivet("run", "-c", config, "--json", *parallel).expect(1)
            assert words in done.stderr
            told = done.json["per_export"]
            assert [one["status"] for one in told] == ["failed", "failed"]
            assert sorted(one.name for one in tmp_path.iterdir()) == [".home", "rivet.yaml"]


def test_commands_that_only_look_leave_no_state(rivet, shop):
    """A configuration that is refused, and one that was never run."""
    shop.configure({"formt": "csv"})
    for command in (["run"], ["files"], ["prune"], ["state", "reset"], ["repair", "--state"]):
        rivet(*command, "-c", shop.config).expect(1)
        assert not (shop.directory / ".rivet").exists(), command


def test_children_that_fail_leave_no_folder_that_they_shared(shop, rivet):
    """The one that made it cannot remove it while another has something in it."""
    path = {"destination": {"type": "local", "path": "out/deep/{export}"}}
    shop.configure(*({"name": f"e{n}", "table": f"none_{n}", **path} for n in range(6)))
    words = ["run", "-c", shop.config, "--parallel-export-processes=6"]
    rivet(*words).expect(1)
    assert not shop.out.exists()
    shop.out.mkdir()  # somebody's own stays
    rivet(*words).expect(1)
    assert [*shop.out.iterdir()] == []
