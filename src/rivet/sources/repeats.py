"""Whether a query gives the same rows every time it is evaluated within one instant.

A relation that is cut into chunks is evaluated once per chunk. SQL lets many queries give other
rows each time: which rows a LIMIT takes, which number a row gets, what a random function says.
Whatever may do so is looked for in the text of the query, of every view that it may read and of
every function of the user's own that it may call. A doubt without cause costs reading side by side,
one that is missing costs rows, so that names alone decide, wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from rivet.model.relation import Doubt
from rivet.redact import visible
from rivet.sources.tokens import Token, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rivet.model.relation import Relation
    from rivet.sources.dialect import Dialect

__all__ = ["Definition", "Definitions", "JudgesRepeats", "Reading", "doubt_of", "reading_of"]

_VOLATILE: Final = frozenset(
    """
    benchmark changes clock_timestamp connection_id currval found_rows gen_random_uuid get_lock
    inet_client_addr inet_client_port is_free_lock is_used_lock last_insert_id last_insert_rowid
    lastval load_file newid nextval pg_backend_pid pg_current_xact_id_if_assigned pg_sleep rand
    random random_bytes randomblob release_all_locks release_lock row_count rownum setseed setval
    sleep sys_guid timeofday total_changes txid_current txid_current_if_assigned uuid uuid_short
    uuidv4 uuidv7
    """.split()  # noqa: SIM905 - read as words
)
_BY_ORDER: Final = frozenset(
    """
    any_value arbitrary arg_max arg_max_null arg_min arg_min_null argmax argmin array_agg first
    group_concat json_agg json_arrayagg json_group_array json_group_object json_object_agg
    json_objectagg jsonb_agg jsonb_group_array jsonb_group_object jsonb_object_agg last list listagg
    max_by min_by mode reservoir_quantile string_agg xmlagg
    """.split()  # noqa: SIM905 - read as words
)
# Also as words without brackets, some of them.
_CLOCK: Final = frozenset(
    """
    age curdate current_date current_localtime current_localtimestamp current_time
    current_timestamp curtime get_current_time get_current_timestamp localtime localtimestamp now
    statement_timestamp sysdate today transaction_timestamp utc_date utc_time utc_timestamp
    """.split()  # noqa: SIM905 - read as words
)
_CLOCK_WORDS: Final = frozenset(
    """
    current_date current_time current_timestamp localtime localtimestamp utc_date utc_time
    utc_timestamp
    """.split()  # noqa: SIM905 - read as words
)
_CLOCK_TEXTS: Final = frozenset({"now", "today", "tomorrow", "yesterday"})
# Without an argument, or with a format alone, these mean the present.
_CLOCK_BARE: Final = frozenset(
    {"date", "datetime", "julianday", "strftime", "time", "unix_timestamp", "unixepoch"}
)
_EVERY: Final = frozenset({"all", "null"})


@runtime_checkable
class JudgesRepeats(Protocol):
    """Sessions that can tell whether a relation gives the same rows every time."""

    def doubt(self, relation: Relation) -> Doubt | None:
        """Return why it may not, from texts and catalogs alone; None where there is no doubt.

        Raises:
            SourceError: The catalog cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True)
class Definition:
    """What a name stands for.

    Attributes:
        label: How messages name it, such as `view 'public.v'`.
        text: Its own SQL; None where there is none to look at.
        doubt: What is known of it without its text.
    """

    label: str
    text: str | None = None
    doubt: Doubt | None = None


class Definitions(Protocol):
    """An engine's catalog of what names stand for."""

    def functions(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the functions of these names that have a text or a doubt."""
        ...

    def views(self, names: frozenset[str]) -> Iterable[Definition]:
        """Return the views of these names; one whose text cannot be read has a doubt."""
        ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What a text shows: the first doubt, what it calls, and every name in it."""

    doubt: Doubt | None
    calls: frozenset[str]
    names: frozenset[str]


def doubt_of(relation: Relation, dialect: Dialect, catalog: Definitions) -> Doubt | None:
    """Return why a relation's rows may differ from one evaluation to the next; None for no doubt.

    Args:
        relation: A query, or a table or view: a table has no doubt.
        dialect: Of the text.
        catalog: Says what names stand for.
    """
    if relation.query is not None:
        left = [Definition("the query", relation.query)]
    else:
        left = list(catalog.views(frozenset({relation.table or ""})))
    called: set[str] = set()
    named: set[str] = {relation.table or ""}
    on_the_clock: Doubt | None = None
    while left:
        one = left.pop(0)
        reading = _reading(one, dialect)
        if reading.doubt is not None and not reading.doubt.is_clock:
            return Doubt(f"{one.label} {reading.doubt.why}")
        if reading.doubt is not None and on_the_clock is None:
            on_the_clock = Doubt(f"{one.label} {reading.doubt.why}", is_clock=True)
        if calls := reading.calls - called:
            called |= calls
            left += catalog.functions(calls)
        if names := reading.names - named:
            named |= names
            left += catalog.views(names)
    return on_the_clock


def _reading(one: Definition, dialect: Dialect) -> Reading:
    if one.doubt is not None or one.text is None:
        return Reading(one.doubt, frozenset(), frozenset())
    return reading_of(one.text, dialect)


def reading_of(text: str, dialect: Dialect) -> Reading:
    """Look for what makes rows differ; a doubt of the clock is only given where there is no other.

    Args:
        text: SQL of a query, or of the body of a view or a function.
        dialect: Of the text.
    """
    found = list(tokens(text, dialect))
    doubts: list[Doubt] = []
    calls: set[str] = set()
    names: set[str] = set()
    for place, token in enumerate(found):
        around = _Around(found, place)
        if token.kind in {"word", "name"}:
            names |= {token.content, token.content.lower()}
            if around.next.text == "(" and not around.is_column:
                calls |= {token.content, token.content.lower()}
        for look in _LOOKS:
            if why := look(token, around, dialect):
                doubts.append(why)
                break
    doubts.sort(key=lambda doubt: doubt.is_clock)
    return Reading(doubts[0] if doubts else None, frozenset(calls), frozenset(names))


_NOTHING: Final = Token("mark", 0, "")


class _Around:
    """The neighbours of a token."""

    def __init__(self, found: list[Token], place: int) -> None:
        self._found = found
        self._place = place

    def at(self, offset: int) -> Token:
        place = self._place + offset
        return self._found[place] if 0 <= place < len(self._found) else _NOTHING

    @property
    def next(self) -> Token:
        return self.at(1)

    @property
    def before(self) -> Token:
        return self.at(-1)

    @property
    def is_column(self) -> bool:
        """Whether a dot before it makes it a column, or the function of a schema."""
        return self.before.text == "." and self.next.text != "("


def _takes_number(around: _Around) -> bool:
    return around.next.text == "(" or around.next.text[:1].isdigit()


# A word, what must stand around it, and what it means.
_CLAUSES: Final[dict[str, tuple[Callable[[_Around], bool], str]]] = {
    "limit": (lambda a: a.next.word not in _EVERY, "takes a part of its rows (LIMIT)"),
    "offset": (_takes_number, "takes a part of its rows (OFFSET)"),
    "fetch": (
        lambda a: a.next.word in {"first", "next"},
        "takes a part of its rows (FETCH FIRST)",
    ),
    "over": (
        lambda a: a.next.text == "(" or a.next.kind in {"word", "name"},
        "has a window function (OVER)",
    ),
    "tablesample": (lambda _: True, "samples rows (TABLESAMPLE)"),
    "sample": (lambda a: a.before.word == "using", "samples rows (USING SAMPLE)"),
    "on": (lambda a: a.before.word == "distinct", "takes one row of several (DISTINCT ON)"),
    "join": (
        lambda a: a.before.word in {"positional", "asof"},
        "joins by the order of rows (POSITIONAL or ASOF JOIN)",
    ),
}


def _clauses(token: Token, around: _Around, dialect: Dialect) -> Doubt | None:
    if around.is_column:
        return None
    is_there, why = _CLAUSES.get(token.word, (None, ""))
    if is_there is not None and is_there(around):
        return Doubt(why)
    if dialect.picks_in_groups and token.word == "by" and around.before.word == "group":
        return Doubt("may show any row's value of a group (GROUP BY)")
    return None


def _variables(token: Token, around: _Around, dialect: Dialect) -> Doubt | None:
    if token.kind == "code":
        return Doubt("has a comment that is run (/*! */)")
    is_one = token.text == "@" and around.next.kind in {"word", "name", "text"}
    if dialect.has_variables and is_one and around.before.text != "@":
        return Doubt(f"uses the variable @{visible(around.next.content)}")
    return None


def _functions(token: Token, around: _Around, _: Dialect) -> Doubt | None:
    if token.kind not in {"word", "name"} or around.next.text != "(":
        return None
    name = token.content.lower()
    if name in _VOLATILE:
        return Doubt(f"calls {name}(), which gives another value each time")
    if name in _BY_ORDER:
        return Doubt(f"calls {name}(), whose value depends on the order of rows")
    is_bare = around.at(2).text == ")" or (name == "strftime" and around.at(3).text == ")")
    if name in _CLOCK or (name in _CLOCK_BARE and is_bare):
        return Doubt(f"asks for the time ({name}())", is_clock=True)
    return None


def _clock(token: Token, around: _Around, _: Dialect) -> Doubt | None:
    if token.word in _CLOCK_WORDS and not around.is_column:
        return Doubt(f"asks for the time ({token.word.upper()})", is_clock=True)
    if token.kind == "text" and token.content.strip().lower() in _CLOCK_TEXTS:
        return Doubt(f"asks for the time ('{token.content.strip().lower()}')", is_clock=True)
    return None


_LOOKS: Final[tuple[Callable[[Token, _Around, Dialect], Doubt | None], ...]] = (
    _clauses,
    _variables,
    _functions,
    _clock,
)
