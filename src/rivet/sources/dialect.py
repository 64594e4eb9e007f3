"""How an engine spells identifiers and comments: data for `sql.py`, nothing else.

No engine's name is tested anywhere: each engine makes its own `Dialect`.
"""

from __future__ import annotations

from dataclasses import dataclass

from rivet.errors import PlanError


@dataclass(frozen=True, slots=True)
class Dialect:
    """The spelling rules of one engine.

    Attributes:
        quote: The character around identifiers; doubled inside them.
        has_dollar_quotes: Strings may be written `$tag$...$tag$`.
        has_escape_strings: Strings written `E'...'` take backslash escapes.
        has_nested_comments: A block comment may hold another.
        has_backslash_escapes: Every string takes backslash escapes.
        has_hash_comments: `#` begins a line comment, and `--` only where a blank follows.
        has_run_comments: Comments that begin with `/*!` are run.
        has_brackets: Identifiers may be written in brackets.
        has_variables: `@name` is a variable of the session, which a statement may set as it goes.
        picks_in_groups: With GROUP BY, a column may show the value of any row of its group.
        rows_counted: How many rows a statement has, as an expression.
        limit_clause: What lets a statement give no more than `{rows}` rows.
        offset_clause: The same, of the rows behind the first `{offset}`.
    """

    quote: str = '"'
    has_dollar_quotes: bool = False
    has_escape_strings: bool = False
    has_nested_comments: bool = False
    has_backslash_escapes: bool = False
    has_hash_comments: bool = False
    has_run_comments: bool = False
    has_brackets: bool = False
    has_variables: bool = False
    picks_in_groups: bool = False
    rows_counted: str = "count(*)"
    limit_clause: str = "LIMIT {rows}"
    offset_clause: str = "LIMIT {rows} OFFSET {offset}"

    def identifier(self, name: str) -> str:
        """Return the identifier quoted, so that every character stands for itself.

        Raises:
            PlanError: The name is empty or holds a NUL byte, which no engine can store.
        """
        if not name or "\x00" in name:
            msg = "a table or column name is empty or holds a NUL byte"
            raise PlanError(msg)
        return f"{self.quote}{name.replace(self.quote, self.quote * 2)}{self.quote}"

    def limited(self, statement: str, rows: int, *, offset: int = 0) -> str:
        """Return a statement that gives so many rows at the most, of those behind `offset`."""
        clause = self.offset_clause if offset else self.limit_clause
        return f"{statement} {clause.format(rows=rows, offset=offset)}"

    def qualified(self, *names: str | None) -> str:
        """Return the parts quoted and joined by dots; None parts are left out."""
        return ".".join(self.identifier(name) for name in names if name is not None)
