"""Whose a watermark is: the source, the relation, the cursor and the files it belongs to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class SourceIdentity:
    """Which database a session is on, as the database itself tells it; holds no address.

    Attributes:
        database: Its name, or the real path of its file.
        relation: The table by its full name, or the digest of the query.
        servers: Names of the server that no other server has, each enough by itself; empty for a
            file, and where the server does not tell.
        database_key: What tells the database from another one of the same name on its server.
        history: What the server has done so far, where another one that has done all of it may
            take its place.
        unknown: Why the server is not known, and what would tell it, for people.
    """

    database: str
    relation: str
    servers: tuple[str, ...] = ()
    database_key: str | None = None
    history: str | None = None
    unknown: str | None = None


class Trait(StrEnum):
    """What may change of an owner, as messages name it."""

    SERVER = "server"
    DATABASE = "database"
    RELATION = "table or query"
    CURSOR = "cursor"
    DESTINATION = "destination"
    FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Change:
    """One trait that differs."""

    trait: Trait
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Owner:
    """What a watermark, or the chunks of a run, belong to.

    Attributes:
        engine: Canonical engine name.
        source: The database and the relation.
        cursor: The column, and the one that stands in for it; empty where there is none.
        destination: Kind and place, with its placeholders; holds no credentials.
        format: Of the files.
    """

    engine: str
    source: SourceIdentity
    cursor: str
    destination: str
    format: str

    def changes(self, now: Owner) -> tuple[Change, ...]:
        """Return what differs; what is not known of either is not compared."""
        pairs = (
            (Trait.CURSOR, self.cursor, now.cursor),
            (Trait.DESTINATION, self.destination, now.destination),
            (Trait.FORMAT, self.format, now.format),
        )
        others = tuple(Change(*pair) for pair in pairs if pair[1] != pair[2])
        return self.source_changes(now) + others

    def source_changes(self, now: Owner) -> tuple[Change, ...]:
        """Return what differs of the source."""
        old, new = self.source, now.source
        found = []
        knows_server = bool(old.servers and new.servers)
        is_other = knows_server and not set(old.servers) & set(new.servers)
        if self.engine != now.engine or is_other:
            found.append(Change(Trait.SERVER, _server(self), _server(now)))
        has_keys = bool(old.database_key and new.database_key)
        same_key = old.database_key == new.database_key
        same_name = old.database == new.database
        # A key is one of its server: there a database may have a new name, elsewhere keys recur.
        is_same = same_key if has_keys and knows_server and not is_other else same_name
        if has_keys and not knows_server:
            is_same = same_key and same_name
        if not is_same:
            found.append(Change(Trait.DATABASE, _database(self), _database(now)))
        if old.relation != new.relation:
            found.append(Change(Trait.RELATION, old.relation, new.relation))
        return tuple(found)

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Owner:
        """Return the owner that `to_json` wrote; fields of newer versions are dropped.

        Raises:
            ValueError: The text is something else.
        """
        try:
            return cls._from_body(json.loads(text))
        except (KeyError, TypeError, RecursionError) as error:
            msg = "the text does not describe whose a watermark is"
            raise ValueError(msg) from error

    @classmethod
    def _from_body(cls, body: Any) -> Owner:  # noqa: ANN401
        told = body["source"]
        source = SourceIdentity(
            database=told["database"],
            relation=told["relation"],
            servers=tuple(told["servers"]),
            database_key=told["database_key"],
            history=told["history"],
        )
        rest = {key: body[key] for key in ("engine", "cursor", "destination", "format")}
        certain = [source.database, source.relation, *source.servers, *rest.values()]
        perhaps = [one for one in (source.database_key, source.history) if one is not None]
        if not all(isinstance(one, str) for one in certain + perhaps):
            raise TypeError
        return cls(source=source, **rest)


def _server(owner: Owner) -> str:
    servers = owner.source.servers
    return f"{owner.engine} {servers[0]}" if servers else owner.engine


def _database(owner: Owner) -> str:
    source = owner.source
    return f"{source.database} ({source.database_key})" if source.database_key else source.database
