"""Errors for a PostgreSQL relation that is not what it was when the run was planned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import StalePlanError
from rivet.redact import visible

if TYPE_CHECKING:
    from rivet.model.relation import ReadRequest, Relation
    from rivet.sources.postgres.catalog import NativeColumn

__all__ = ["refuse_changed_columns", "relation_dropped"]


def relation_dropped(relation: Relation, hint: str | None = None) -> StalePlanError:
    """Return the error for a relation that is not there any more."""
    msg = f"{visible(relation.label)} is gone: it was there when the run was planned"
    return StalePlanError(msg, hint=hint or "run it again to plan anew")


def refuse_changed_columns(natives: tuple[NativeColumn, ...], request: ReadRequest) -> None:
    """Refuse to read columns that are not the planned ones.

    Raises:
        StalePlanError: Every difference is named.
    """
    relation, planned = request.relation, request.columns
    then = {column.source_name: (column.native_type, column.native_code) for column in planned}
    now = {
        native.name: (native.type.spelling, native.type.code)
        for native in natives
        if request.is_whole or native.name in then
    }
    if list(now.items()) == list(then.items()):
        return
    changes = [f"'{visible(name)}' is gone" for name in then if name not in now]
    changes += [f"'{visible(name)}' is new" for name in now if name not in then]
    changes += [
        f"'{visible(name)}' was {then[name][0]} and is {now[name][0]}"
        for name in then
        if name in now and now[name] != then[name]
    ]
    what = "; ".join(changes) or "their order is another"
    msg = f"the columns of {visible(relation.label)} changed since the run was planned: {what}"
    raise StalePlanError(msg, hint="run it again to plan with the new columns")
