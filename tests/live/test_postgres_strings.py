r"""`standard_conforming_strings = off` as a role setting: where a query's strings end."""

from __future__ import annotations

import pytest

from rivet.errors import SourceQueryError
from rivet.model.columns import ColumnRules
from rivet.model.relation import ReadRequest, Relation
from rivet.model.source import SessionSettings, SourceAddress
from rivet.redact import Secret
from rivet.sources.postgres import connect
from support.pooler import Pooler, need_pooler

pytestmark = pytest.mark.live("postgresql")
# A string that hides what follows from one who takes the backslash for itself.
HIDDEN = r"SELECT 'it\'s' AS a, row_number() OVER () AS n, 'b' AS b"
CUT = r"SELECT 'a\'; -- ' AS a"
ENDS = {
    r"SELECT 'a\\' AS a, E'it\'s' AS b;": ("a\\", "it's"),
    r"SELECT 'a\tb' AS a, $$it\'s$$ AS b -- it\'s": ("a\tb", r"it\'s"),
    r"SELECT 'a\\''b' AS a, 'it''s' AS b": (r"a\'b", "it's"),
}


@pytest.fixture(scope="module")
def backslashes(shared_any_postgres):
    for setting in ("standard_conforming_strings = off", "backslash_quote = on"):
        shared_any_postgres.execute(
            f"ALTER ROLE CURRENT_USER IN DATABASE {shared_any_postgres.name} SET {setting}"
        )
    return shared_any_postgres


def session_of(url, **variables):
    settings = SessionSettings(variables=variables)
    return connect(SourceAddress("postgresql", url=Secret(url)), settings)


def rows_of(session, query):
    relation = Relation(query=query)
    columns = session.columns(relation, ColumnRules())
    batches = list(session.read(ReadRequest(relation, columns)))
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


def test_a_string_that_ends_elsewhere_is_refused(backslashes):
    with session_of(backslashes.url) as session:
        for query in (HIDDEN, CUT):
            relation = Relation(query=query)
            for ask in (
                lambda relation=relation: session.columns(relation, ColumnRules()),
                lambda relation=relation: session.facts(relation),
                lambda relation=relation: session.count(relation),
            ):
                with pytest.raises(SourceQueryError, match="standard_conforming_strings"):
                    ask()
        for query, row in ENDS.items():
            assert rows_of(session, query) == [row]


def test_the_way_out_holds_behind_a_pooler(backslashes):
    need_pooler()
    on = {"standard_conforming_strings": "on", "TimeZone": "Asia/Tokyo"}
    query = r"SELECT 'a\' AS a, current_setting('TimeZone') AS z, pg_backend_pid() AS pid"
    with (
        Pooler(backslashes, pool_size=1, mode="transaction") as pooler,
        session_of(pooler.url, **on) as chosen,
        session_of(pooler.url) as other,
    ):
        for _ in range(2):
            ((a, zone, pid),) = rows_of(chosen, query)
            assert (a, zone) == ("a\\", "Asia/Tokyo")
            chosen.release()
            # The same connection of the server: what was chosen ends with the transaction.
            with pytest.raises(SourceQueryError, match="standard_conforming_strings"):
                other.columns(Relation(query=query), ColumnRules())
            ((_, zone, same),) = rows_of(other, query.replace(r"\'", "x'"))
            assert zone != "Asia/Tokyo"
            assert same == pid
            other.release()
