"""Tables of which a MySQL or MariaDB user may read some columns only.

The server shows such a user nothing of the other columns, not even that they are there: to read all
columns that are shown would leave some out without a word, so `include` has to name them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pymysql.constants import ER

from rivet.errors import SourceAuthError
from rivet.redact import visible
from rivet.sources.mysql.link import ask

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pymysql.connections import Connection

    from rivet.model.columns import ColumnRules
    from rivet.model.relation import Relation
    from rivet.sources.mysql.types import NativeColumn

DENIED: Final = frozenset({ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR})

_GRANTED: Final = """
    SELECT COLUMN_NAME FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s
      AND FIND_IN_SET('select', PRIVILEGES)
    ORDER BY ORDINAL_POSITION"""


def granted_names(connection: Connection[Any], relation: Relation) -> list[str]:
    """Return the columns of a table that the user may read, in the table's order."""
    return [str(name) for (name,) in ask(connection, _GRANTED, (relation.schema, relation.table))]


def refuse_unseen(natives: Iterable[NativeColumn], rules: ColumnRules, relation: Relation) -> None:
    """Refuse to read more than the granted columns, and to leave out any without being told to.

    Raises:
        SourceAuthError: The columns are named.
    """
    known = [native.name for native in natives]
    if rules.include is None:
        msg = f"the user may not read all columns of {visible(relation.label)}, only {_list(known)}"
        hint = f"name columns with `include: [{', '.join(map(visible, known))}]`, or grant SELECT"
        raise SourceAuthError(msg, hint=hint)
    if unseen := [name for name in rules.include if name not in known]:
        raise unseen_error(relation.label, unseen)


def unseen_error(label: str, names: Iterable[str]) -> SourceAuthError:
    """Return the error for columns that are not there for this user."""
    msg = f"{visible(label)}: the user may not read, or there is not, {_list(names)}"
    return SourceAuthError(msg, hint="grant the user SELECT on the table or those columns")


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"'{visible(name)}'" for name in names)
