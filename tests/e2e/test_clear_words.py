"""What is printed where a run cannot begin: the sentence names what is wrong, the hint mends it."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import pytest

import rivet as library

TABLES = "CREATE TABLE orders (id integer); CREATE TABLE clients (id integer)"
SALES = "CREATE SCHEMA sales; CREATE TABLE sales.invoices (id integer)"


def _configured(tmp_path, source, *tables, **export):
    exports = [
        {
            "name": f"e{place}",
            "table": table,
            "format": "parquet",
            "destination": {"type": "local", "path": "out/{export}"},
            **export,
        }
        for place, table in enumerate(tables)
    ]
    path = tmp_path / "rivet.yaml"
    path.write_text(json.dumps({"source": source, "exports": exports}, indent=1))
    return path


def _told(rivet, tmp_path, source, *tables, code=1, **export):
    """Run exports that fail; return message and hint of each, of one alone as it is printed."""
    config = _configured(tmp_path, source, *tables, **export)
    if len(tables) > 1:
        failures = [one.failure for one in library.run(config, check=False).exports]
        found = [(one.message, one.hint) for one in failures]
    else:
        done = rivet("run", "-c", config).expect(code)
        error, hint = done.stderr.strip().splitlines()[-2:]
        assert error.startswith("Error: ")
        assert hint.startswith("Hint: ")
        found = [(error, hint.removeprefix("Hint: "))]
    assert not (tmp_path / "out").exists()
    return found


def test_a_table_that_is_not_there(rivet, engine, tmp_path):
    has_schemas = engine.name in {"postgresql", "duckdb"}
    statements = f"{TABLES}; {SALES}" if has_schemas else TABLES
    engine.execute(statements if engine.name != "sqlite" else f"{statements}; SELECT 1")
    own = {"postgresql": "public", "duckdb": "main", "sqlite": "main"}.get(engine.name)
    if own is None:
        ((own,),) = engine.execute("SELECT DATABASE()")
    cases = {
        "odrers": "did you mean 'orders'?",
        "CLIENTZ": "did you mean 'clients'?",
        f"{own}.ordrs": f"did you mean '{own}.orders'?",
    }
    if engine.name != "sqlite":
        cases["nowhere.orders"] = f"did you mean '{own}.orders'?"
    else:
        cases["nowhere.orders"] = "did you mean 'orders'?"
    if has_schemas:
        cases |= {
            "invoices": "did you mean 'sales.invoices'?",
            "sales.invocies": "did you mean 'sales.invoices'?",
            "slaes.invoices": "did you mean 'sales.invoices'?",
        }
    found = dict(zip(cases, _told(rivet, tmp_path, engine.source, *cases), strict=True))
    for table, hint in cases.items():
        message, said = found[table]
        assert table in message or table.replace(".", "`.`") in message
        assert said is not None
        assert said.startswith(hint), f"{table}: {said}"
    ((_, said),) = _told(rivet, tmp_path, engine.source, "zzzzzz")
    if engine.name != "mysql":  # whose user sees the other databases of the server
        assert said.startswith("the database has: 'clients', ")


@pytest.mark.parametrize("server", ["any_postgres", "mariadb"])
def test_a_server_without_tls(rivet, request, tmp_path, server):
    database = request.getfixturevalue(server)
    database.execute("CREATE TABLE orders (id integer)")
    scheme = database.url.partition(":")[0]
    by_url = {"postgresql": "?sslmode=require", "mysql": "?ssl-mode=REQUIRED"}[scheme]
    required = {"type": scheme, "url": database.url, "tls": {"mode": "require"}}
    local = "set `tls: {mode: disable}` in the source, which is meant for a server on this machine"
    for source in (required, {"type": scheme, "url": database.url + by_url}):
        ((message, hint),) = _told(rivet, tmp_path, source, "orders")
        assert "SSL" in message
        assert hint.startswith(local)
        # What the hint says is what helps.
        mended = {**source, "tls": {"mode": "disable"}}
        rivet("run", "-c", _configured(tmp_path, mended, "orders")).expect(0)
        for made in (tmp_path / "out").rglob("*"):
            made.is_file() and made.unlink()
        (tmp_path / "out" / "e0").rmdir()
        (tmp_path / "out").rmdir()
    # An address that leads to this machine and is no loopback address stands for another machine.
    away = database.url.replace(f"@{urlsplit(database.url).hostname}", "@0.0.0.0")
    ((_, hint),) = _told(rivet, tmp_path, {**required, "url": away}, "orders")
    assert hint.startswith("switch TLS on at the server")
    assert "in the clear on purpose" in hint


@pytest.mark.parametrize("server", ["tls_postgres", "tls_mariadb"])
def test_an_authority_that_is_not_known(rivet, request, tmp_path, server):
    database = request.getfixturevalue(server)
    database.execute("CREATE TABLE orders (id integer)")
    url = database.url.replace("127.0.0.1", "localhost")
    source = {"type": url.partition(":")[0], "url": url, "tls": {"mode": "verify-full"}}
    ((message, hint),) = _told(rivet, tmp_path, source, "orders")
    assert "certificate verify failed" in message
    assert "`tls: {mode: verify-full, ca_file: FILE}`" in hint
    source["tls"]["ca_file"] = str(database.home / "ca.crt")
    rivet("run", "-c", _configured(tmp_path, source, "orders")).expect(0)


@pytest.mark.parametrize("option", ["schema", "currentSchema"])
def test_a_schema_in_the_url(rivet, tmp_path, option):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        port = listener.getsockname()[1]
        for scheme in ("postgresql", "mysql"):
            url = f"{scheme}://reader@127.0.0.1:{port}/shop?{option}=sales"
            ((message, hint),) = _told(rivet, tmp_path, {"type": scheme, "url": url}, "invoices")
            assert f"has the option '{option}'" in message
            assert hint == "remove it, and write the schema in the export: `table: schema.name`"
        with pytest.raises(TimeoutError):
            listener.accept()
    for scheme in ("sqlite", "duckdb"):
        (tmp_path / "shop.db").touch()
        source = {"type": scheme, "url": f"{scheme}:///shop.db?{option}=sales"}
        ((message, hint),) = _told(rivet, tmp_path, source, "invoices")
        assert message.endswith("shop.db has options behind a '?'")
        assert hint.startswith("remove them")


@pytest.mark.parametrize("server", ["mariadb", "mysql9"])
def test_a_view_whose_definer_is_gone(rivet, request, tmp_path, server):
    database = request.getfixturevalue(server)
    gone = f"gone_{database.name[-8:]}"
    host, name = "'%'", database.name
    database.execute(
        f"""
        CREATE TABLE orders (id integer); CREATE TABLE lost (id integer);
        CREATE USER {gone}@{host}; CREATE USER poor_{gone}@{host};
        GRANT SELECT ON {name}.* TO {gone}@{host};
        CREATE DEFINER = {gone}@{host} SQL SECURITY DEFINER VIEW orphan AS SELECT * FROM orders;
        CREATE DEFINER = poor_{gone}@{host} SQL SECURITY DEFINER VIEW denied
            AS SELECT * FROM orders;
        CREATE VIEW broken AS SELECT * FROM lost;
        DROP USER {gone}@{host}; DROP TABLE lost;
        """
    )
    try:
        source = {"type": "mysql", "url": database.url, "tls": {"mode": "disable"}}
        if server == "mysql9":
            source["tls"] = {"mode": "require"}
        orphan, denied, broken = _told(rivet, tmp_path, source, "orphan", "denied", "broken")
        assert "definer" in orphan[1]
        assert "define the view again" in orphan[1]
        for _, hint in (denied, broken):
            assert hint.startswith("what the view reads is gone, or its definer may not read it")
        found = _told(rivet, tmp_path, source, None, query="SELECT id FROM orphan")
        assert "define the view again" in found[0][1]
    finally:
        database.execute(f"DROP USER poor_{gone}@{host}")


def test_a_folder_that_cannot_be_made(rivet, shop):
    (shop.directory / "file").touch()
    for path, words, mend in (
        ("file", "file: there is a file of that name, not a folder", "move that file away"),
        ("file/out", "file: there is a file of that name, not a folder", "move that file away"),
        ("/proc/rivet/out", "/proc/rivet: this file system takes no folder", "another path"),
        ("new/deep/" + "n" * 300, "the name is too long", "choose a shorter path"),
        ("/sys/rivet", "/sys/rivet: permission denied", "the right to write there"),
    ):
        shop.configure({"destination": {"type": "local", "path": path}})
        done = rivet("run", "-c", shop.config).expect(1)
        error, hint = done.stderr.strip().splitlines()[-2:]
        assert "cannot create the folder" in error
        assert words in error
        assert mend in hint
        assert not (shop.directory / "new").exists()


def test_no_empty_folder_is_left(rivet, shop):
    """Neither the folder that a failed run made, nor one that was there, nor one with a file."""
    shop.configure({"table": "ordrs", "destination": {"type": "local", "path": "a/b/c"}})
    rivet("run", "-c", shop.config).expect(1)
    assert not (shop.directory / "a").exists()
    (shop.directory / "a").mkdir()
    rivet("run", "-c", shop.config).expect(1)
    assert list((shop.directory / "a").iterdir()) == []
    # A value that fits no column is found while rows are read.
    shop.execute("INSERT INTO orders (customer, amount) VALUES ('x', 'no number')")
    exports = [
        {"name": name, "table": "orders", "destination": {"type": "local", "path": f"out/{path}"}}
        for name, path in (("one", "same"), ("two", "other/deep"))
    ]
    shop.configure(*exports)
    rivet("run", "-c", shop.config, "--parallel-exports=2").expect(1)
    assert not shop.out.exists()


def test_parameters_without_a_name_or_a_value(rivet, shop):
    for given, words in (
        ("day", "--param needs KEY=VALUE, and has no = after 'day'"),
        ("2024-01-31", "--param needs KEY=VALUE, and has no ="),
        ("=x", "--param needs KEY=VALUE, and has no KEY before its ="),
    ):
        done = rivet("run", "-c", shop.config, "-p", given).expect(1)
        assert done.stderr.splitlines() == [
            f"Error: [RIVET_CLI_VALUE_INVALID] {words}",
            "Hint: for example: -p day=2024-01-31",
        ]
    assert not (shop.directory / ".rivet").exists()
