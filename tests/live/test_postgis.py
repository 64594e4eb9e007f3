"""PostGIS: geometry and geography land as WKB, wherever the extension lies."""

from __future__ import annotations

import psycopg
import pytest

from rivet.errors import SourceAuthError, UnsafeTypeError
from rivet.model.columns import ColumnRules, Mask
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.model.types import BINARY, GEOMETRY, STRING, Fidelity, list_of
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support.servers import missing

pytestmark = pytest.mark.live("postgresql")
# The only server here for which the distribution has PostGIS.
POSTGIS_ON = 15
SHAPES = (
    "SRID=4326;POINT(1 2)",
    "POINT Z (1 2 3)",
    "POINT M (1 2 3)",
    "SRID=3857;POINT ZM (1 2 3 0.1)",
    "LINESTRING (0 0, 1e300 -0.1)",
    "POLYGON ((0 0, 4 0, 4 4, 0 0), (1 1, 2 1, 2 2, 1 1))",
    "MULTIPOINT Z (1 2 3, 4 5 6)",
    "GEOMETRYCOLLECTION (POINT (1 2), LINESTRING (0 0, 1 1))",
    "CIRCULARSTRING (0 0, 1 1, 2 0)",
    "TIN (((0 0, 0 1, 1 1, 0 0)))",
    "POINT EMPTY",
    "POLYGON EMPTY",
    "SRID=4326;GEOMETRYCOLLECTION EMPTY",
    None,
)
SETUP = """
    CREATE SCHEMA "Geo Space";
    CREATE EXTENSION postgis SCHEMA "Geo Space";
    GRANT USAGE ON SCHEMA "Geo Space" TO PUBLIC;
    SET search_path = public, "Geo Space";
    CREATE DOMAIN place AS geometry CHECK (true);
    CREATE TABLE shapes (id int, g geometry, d place, l geometry[], p geometry(Point, 4326),
                         y geography, yl geography(Point, 4326)[], dl place[]);
    CREATE FUNCTION st_asbinary(place) RETURNS bytea LANGUAGE sql AS $$ SELECT 'x'::bytea $$;
    CREATE VIEW seen AS SELECT id, g, d, l, y FROM shapes;
    CREATE TYPE geography AS (lon float8, lat float8);
    CREATE TABLE stranger (id int, y public.geography);
    INSERT INTO stranger VALUES (1, ROW(1.5, 2));
    GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC;
"""
INSERT = """INSERT INTO shapes VALUES (%s, %s, %s, ARRAY[%s::geometry, NULL], %s,
    %s::"Geo Space".geography, ARRAY[NULL, %s::"Geo Space".geography], ARRAY[%s::place])"""


@pytest.fixture(scope="module")
def gis(shared_postgres):
    if shared_postgres.version != POSTGIS_ON:
        pytest.skip("PostGIS is tried on one version")
    with psycopg.connect(shared_postgres.admin_url, autocommit=True) as connection:
        known = "SELECT FROM pg_available_extensions WHERE name = 'postgis'"
        if connection.execute(known).fetchone() is None:
            missing("postgis")
        connection.execute(SETUP)
        for place, shape in enumerate(SHAPES):
            point = "SRID=4326;POINT(1.5 -2)" if shape else None
            values = (place, shape, shape, shape, point, point, point, shape)
            connection.execute(INSERT, values)
        connection.execute("INSERT INTO shapes VALUES (98, NULL, NULL, '{}', NULL, NULL, '{}')")
        connection.execute("INSERT INTO shapes VALUES (99)")
    return shared_postgres


def landed(database, relation, rules=None, url=None):
    """Return the columns by name and the rows by id."""
    address = SourceAddress("postgresql", url=Secret(url or database.url))
    with connect(address, SessionSettings()) as session:
        columns = session.columns(relation, rules or ColumnRules())
        batches = list(session.read(ReadRequest(relation, columns, is_whole=not rules)))
    rows = [row for batch in batches for row in batch.to_pylist()]
    return {column.name: column for column in columns}, sorted(rows, key=lambda row: row["id"])


def asked(database, expressions):
    """Return what PostGIS itself gives, by id."""
    with psycopg.connect(database.admin_url) as connection:
        connection.execute('SET search_path = "Geo Space"')
        query = f"SELECT id, {expressions} FROM public.shapes ORDER BY id"
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "relation",
    [
        Relation(table="shapes"),
        Relation(table="seen"),
        Relation(query="SELECT id, g, d, l, y FROM shapes"),
        Relation(query='SELECT id, g, d::"Geo Space".geometry AS d, l, y FROM seen'),
    ],
    ids=["table", "view", "query", "expression"],
)
def test_shapes_land_as_wkb_with_every_dimension(gis, relation):
    columns, rows = landed(gis, relation)
    whole = "ST_AsBinary(g), ST_AsBinary(d::geometry), ST_AsBinary(l[1]), ST_AsBinary(y)"
    expected = [
        (number, g, d, (None if number == 99 else [] if number == 98 else [one, None]), y)
        for number, g, d, one, y in asked(gis, whole)
    ]
    found = [(row["id"], row["g"], row["d"], row["l"], row["y"]) for row in rows]
    assert found == expected
    assert expected[0][1][:5] == b"\x01\x01\x00\x00\x00"
    assert expected[3][1][:5] == b"\x01\xb9\x0b\x00\x00"
    assert {columns[name].logical for name in "gdy"} == {GEOMETRY}
    assert columns["l"].logical == list_of(GEOMETRY)
    assert {columns[name].fidelity for name in "gdly"} == {Fidelity.COMPATIBLE}
    assert "is not kept" in columns["g"].notes[0]


def test_arrays_of_domains_and_declared_points_land_too(gis):
    columns, rows = landed(gis, Relation(table="shapes"))
    expected = asked(gis, "ST_AsBinary(dl[1]::geometry), ST_AsBinary(p), ST_AsBinary(yl[2])")
    lists = [(None if row["dl"] is None else row["dl"][0], row["p"]) for row in rows]
    assert lists == [(one, point) for _, one, point, _ in expected]
    assert [row["yl"] for row in rows][:2] == [[None, expected[0][3]], [None, expected[1][3]]]
    assert columns["yl"].logical == columns["dl"].logical == list_of(GEOMETRY)


def test_text_and_binary_keep_the_reference_system(gis):
    rules = ColumnRules(
        overrides={"g": STRING, "y": STRING, "d": BINARY, "p": BINARY, "l": STRING},
        include=frozenset({"id", "g", "y", "d", "p", "l"}),
    )
    columns, rows = landed(gis, Relation(table="shapes"), rules)
    expected = asked(gis, "g::text, y::text, ST_AsEWKB(d), ST_AsEWKB(p), l::text")
    assert [tuple(row[name] for name in ("id", *"gydpl")) for row in rows] == expected
    assert "EWKB" in columns["d"].notes[0]
    _, rows = landed(
        gis,
        Relation(table="shapes"),
        ColumnRules(include=frozenset({"id", "y"}), overrides={"y": BINARY}),
    )
    assert rows[0]["y"].hex().upper() == expected[0][2]


def test_masks_hide_shapes(gis):
    rules = ColumnRules(
        masks={"g": Mask.NULL, "l": Mask.NULL, "d": Mask.REDACT, "y": Mask.HASH, "yl": Mask.HASH}
    )
    _, rows = landed(gis, Relation(table="shapes"), rules)
    hashes = "encode(sha256(convert_to({0}::text, 'UTF8')), 'hex')"
    expected = asked(gis, f"{hashes.format('y')}, {hashes.format('yl')}")
    assert [(row["id"], row["y"], row["yl"]) for row in rows] == expected
    assert {row["g"] for row in rows} == {None}
    assert {str(row["l"]) for row in rows} == {"None"}
    assert {row["d"] for row in rows[:3]} == {"***"}


def test_a_type_of_another_owner_stays_text(gis):
    columns, rows = landed(gis, Relation(table="stranger"))
    assert columns["y"].logical == STRING
    assert rows == [{"id": 1, "y": "(1.5,2)"}]


def test_other_overrides_are_refused(gis):
    with pytest.raises(UnsafeTypeError, match=r"supported: text, binary\)"):
        landed(gis, Relation(table="shapes"), ColumnRules(overrides={"g": list_of(STRING)}))


def test_a_role_that_may_not_use_the_schema_is_told_so(gis):
    gis.execute('REVOKE USAGE ON SCHEMA "Geo Space" FROM PUBLIC', admin=True)
    try:
        with pytest.raises(SourceAuthError, match="Geo Space"):
            landed(gis, Relation(table="seen"))
        only = ColumnRules(include=frozenset({"id", "g"}), overrides={"g": BINARY})
        assert landed(gis, Relation(table="seen"), only)[1][0]["g"] is not None
    finally:
        gis.execute('GRANT USAGE ON SCHEMA "Geo Space" TO PUBLIC', admin=True)
