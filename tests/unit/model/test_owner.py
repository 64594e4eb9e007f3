"""What two owners differ in: what is not known of either is not compared."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rivet.model.owner import Owner, SourceIdentity, Trait

SOURCE = SourceIdentity("shop", "public.orders", servers=("7001",), database_key="16384")
OWNER = Owner("postgresql", SOURCE, "id", "local out/{export}", "parquet")


def of(**changed):
    return replace(OWNER, source=replace(SOURCE, **changed))


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        (OWNER, OWNER, []),
        (OWNER, of(database="shop_now"), []),  # renamed
        (OWNER, of(database_key="2"), [Trait.DATABASE]),  # made anew
        (OWNER, of(servers=("9", "7001")), []),
        # Keys recur on other servers, and prove nothing where the server is not known.
        (OWNER, of(servers=("9",)), [Trait.SERVER]),
        (OWNER, of(servers=("9",), database="b"), [Trait.SERVER, Trait.DATABASE]),
        (OWNER, of(servers=()), []),
        (OWNER, of(servers=(), database="b"), [Trait.DATABASE]),
        (OWNER, of(servers=(), database_key="2"), [Trait.DATABASE]),
        (OWNER, of(database_key=None), []),
        (OWNER, of(relation="public.items"), [Trait.RELATION]),
        (OWNER, replace(OWNER, engine="mysql"), [Trait.SERVER]),
        (OWNER, replace(OWNER, cursor="id, else at"), [Trait.CURSOR]),
        (OWNER, replace(OWNER, destination="s3 b/out", format="csv"), ["destination", "format"]),
    ],
)
def test_differences(before, now, found):
    assert [change.trait for change in before.changes(now)] == found


def test_it_survives_the_state():
    assert Owner.from_json(OWNER.to_json()) == OWNER
