"""Worlds of PostgreSQL: catalogs whose marks are not true, rights, a pooler and a standby."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from support import clusters, pooler, roles, servers, standby
from support.databases import PostgresDatabase
from support.worlds.postgres import NEWEST, OLDEST, TABLE, postgres_world
from support.worlds.world import NAMES, Columns, World, world

if TYPE_CHECKING:
    from collections.abc import Iterator


def _database(made: World, version: int | None = NEWEST) -> PostgresDatabase:
    url = made.source["url"]
    _, _, name = url.rpartition("/")
    server = servers._postgres_server(version)
    return PostgresDatabase(url, f"{server.admin_url}/{name}", name, server.version, server.home)


def _spread(made: World) -> None:
    """Give every third row to the child, with the parent's columns in another order."""
    listed = ", ".join(NAMES)
    made.ask(
        f"WITH gone AS (DELETE FROM ONLY t WHERE grp % 3 = 0 RETURNING {listed})"
        f" INSERT INTO child ({listed}) SELECT {listed} FROM gone"
    )


# Without a key, and with rows in the blocks of another server.
_NO_CUT = dict.fromkeys(("by itself", "resume by itself"), "RIVET_PLAN_UNSUPPORTED")


@world("postgresql", "a parent and a child that inherits")
@contextmanager
def _inheritance(_: Any) -> Iterator[World]:
    with postgres_world(f"{TABLE}; CREATE TABLE child (more text) INHERITS (t)") as made:
        _spread(made)
        made.ask("INSERT INTO child SELECT *, 'twin' FROM ONLY t WHERE id % 50 = 0; ANALYZE t")
        yield made


@world(
    "postgresql",
    "partitions with a foreign part",
    has=Columns(key=None, page=None),
    refused=_NO_CUT,
)
@contextmanager
def _foreign_part(_: Any) -> Iterator[World]:
    """One partition lies on another server, by postgres_fdw."""
    table = TABLE.replace("PRIMARY KEY", "").replace("NOT NULL UNIQUE", "NOT NULL")
    with postgres_world(
        f"{table} PARTITION BY RANGE (id);"
        " CREATE TABLE low PARTITION OF t FOR VALUES FROM (MINVALUE) TO (4000);"
        " CREATE TABLE rest PARTITION OF t DEFAULT",
        version=OLDEST,
    ) as made:
        database = _database(made, OLDEST)
        info = psycopg.conninfo.conninfo_to_dict(made.source["url"])
        word = str(info["password"]).replace("'", "''")
        database.execute(
            "CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS (host '127.0.0.1', port '{info['port']}', dbname '{database.name}');"
            f" CREATE USER MAPPING FOR {clusters.ROLE} SERVER far OPTIONS (user '{info['user']}',"
            f" password '{word}'); GRANT USAGE ON FOREIGN SERVER far TO {clusters.ROLE}",
            admin=True,
        )
        made.ask(
            "ALTER TABLE t DETACH PARTITION low; CREATE SCHEMA elsewhere;"
            " ALTER TABLE low SET SCHEMA elsewhere; CREATE FOREIGN TABLE low PARTITION OF t"
            " FOR VALUES FROM (MINVALUE) TO (4000) SERVER far OPTIONS (schema_name 'elsewhere')"
        )
        yield made


@world(
    "postgresql",
    "a foreign table that says it has no NULL",
    has=Columns(key=None, page=None),
    refused=_NO_CUT,
)
@contextmanager
def _foreign(_: Any) -> Iterator[World]:
    """A file whose columns are declared NOT NULL and are not."""
    with postgres_world(version=OLDEST) as made:
        database = _database(made, OLDEST)
        assert database.home is not None
        path = f"{database.home}/{database.name}.csv"
        made.ask("UPDATE t SET seen = '2024-05-01'")
        declared = (
            "id bigint NOT NULL, code text NOT NULL, grp integer NOT NULL, day date NOT NULL,"
            " seen timestamptz NOT NULL, price numeric(10,2), note text"
        )
        database.execute(
            f"COPY t TO '{path}' CSV; CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA"
            f" WRAPPER file_fdw; CREATE FOREIGN TABLE f ({declared}) SERVER files OPTIONS"
            f" (filename '{path}', format 'csv');"
            f" GRANT SELECT ON f TO {clusters.ROLE}",
            admin=True,
        )
        made.selected = made.selected.replace("FROM t", "FROM f")
        made.export = {"table": "f"}
        made.add = None
        yield made
        Path(path).unlink()


@world("postgresql", "a NOT NULL that is not valid", has=Columns(page=None))
@contextmanager
def _not_valid(_: Any) -> Iterator[World]:
    """PostgreSQL 18: the mark holds for new rows only."""
    table = TABLE.replace("id bigint NOT NULL PRIMARY KEY", "id bigint UNIQUE")
    with postgres_world(table) as made:
        made.ask("UPDATE t SET id = NULL WHERE id % 5 = 0")
        if (NEWEST or 0) >= 18:
            made.ask("ALTER TABLE t ADD CONSTRAINT there NOT NULL id NOT VALID")
        made.ask("ANALYZE t")
        yield made


@world("postgresql", "row-level security")
@contextmanager
def _policies(_: Any) -> Iterator[World]:
    """The witness sees what the user sees; writers see everything."""
    with ExitStack() as stack:
        made = stack.enter_context(postgres_world(after="ANALYZE t"))
        database = _database(made)
        role = stack.enter_context(roles.postgres_role(database))
        made.ask(
            "ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY visible ON t FOR SELECT TO"
            f" {role} USING (grp IS DISTINCT FROM 3); GRANT SELECT ON t TO {role}"
        )
        made.source = {**made.source, "url": roles.url_as(made.source["url"], role)}
        made.selected += " WHERE grp IS DISTINCT FROM 3"
        yield made


@world("postgresql", "grants on columns")
@contextmanager
def _granted(_: Any) -> Iterator[World]:
    with ExitStack() as stack:
        made = stack.enter_context(postgres_world(after="ANALYZE t"))
        database = _database(made)
        role = stack.enter_context(roles.postgres_role(database))
        shown = ("id", "code", "grp", "day", "seen")
        made.ask(f"GRANT SELECT ({', '.join(shown)}) ON t TO {role}")
        made.source = {**made.source, "url": roles.url_as(made.source["url"], role)}
        made.export = {"table": "t", "include": list(shown)}
        made.columns = shown
        made.selected = f"SELECT {', '.join(shown)} FROM t"
        yield made


@world("postgresql", "materialized views", is_for_lines=True)
def _materialized(_: Any) -> Any:
    return postgres_world(
        after="CREATE MATERIALIZED VIEW kept AS TABLE t;"
        " CREATE MATERIALIZED VIEW empty AS TABLE t WITH NO DATA"
    )


@world("postgresql", "shapes of PostGIS", is_for_lines=True)
@contextmanager
def _shapes(_: Any) -> Iterator[World]:
    """On the only server here for which the distribution has PostGIS."""
    drawn = "CREATE VIEW v AS SELECT t.*, ST_MakePoint(id, 0.1, grp) AS shape FROM t"
    try:
        with postgres_world(
            version=OLDEST,
            before="CREATE EXTENSION postgis",
            after=drawn,
            export={"table": "v"},
            columns=(*NAMES, "shape"),
            selected=f"SELECT {', '.join(NAMES)}, ST_AsBinary(shape) FROM v",
        ) as made:
            yield made
    except psycopg.errors.FeatureNotSupported:
        servers.missing("postgis")


@world("postgresql", "a pooler with two connections")
@contextmanager
def _pooled(_: Any) -> Iterator[World]:
    """PgBouncer in transaction mode, with a pool smaller than `parallel`."""
    pooler.need_pooler()
    with ExitStack() as stack:
        made = stack.enter_context(postgres_world(after="ANALYZE t"))
        before = pooler.Pooler(_database(made), pool_size=2)
        made.source = {**made.source, "url": stack.enter_context(before).url}
        # A connection that the pool has not is waited for as long as a server that is not there.
        made.export = {**made.export, "tuning": {"connect_timeout_s": 2}}
        yield made


@world("postgresql", "a standby")
@contextmanager
def _standby(_: Any) -> Iterator[World]:
    with postgres_world(after="ANALYZE t") as made:
        primary = _database(made)
        assert primary.home is not None
        found = clusters.read_running(primary.home.parent)
        assert found is not None
        binaries = clusters.postgres_binaries()[primary.version]
        running = servers.start_once(
            "standby", lambda folder: standby.start_standby(binaries, found, folder)
        )
        mirror = PostgresDatabase(
            f"{running.url}/{primary.name}",
            f"{running.admin_url}/{primary.name}",
            primary.name,
            primary.version,
            Path(running.home),
        )
        pair = standby.StandbyPair(primary, mirror)
        add = made.add
        assert add is not None

        def add_and_wait(first: int, count: int) -> None:
            add(first, count)
            pair.catch_up()

        made.add = add_and_wait
        pair.catch_up()
        made.source = {**made.source, "url": mirror.url}
        yield made
