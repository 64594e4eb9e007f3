"""The columns of an export from those of a relation: chosen, typed, masked and renamed.

The order of those steps and every refusal live here, once; an engine only says what type a column
becomes. Data never decides anything.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from rivet.errors import PlanError, StalePlanError, UnsafeTypeError
from rivet.model.columns import Column, Mask
from rivet.model.types import STRING, Fidelity, InvalidPolicy, Kind
from rivet.redact import visible

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from rivet.model.columns import ColumnRules

__all__ = ["Named", "choose_columns", "refuse_changed"]

_AS_TEXT = "set `columns: {<name>: text}` for each, or one of the types listed"
_NOTES = {
    Mask.HASH: "masked: SHA-256 of the value's text, in lower hex",
    Mask.REDACT: "masked: every value is replaced by the same text",
    Mask.NULL: "masked: every value is replaced by NULL",
}


class Named(Protocol):
    """A column as an engine's catalog describes it."""

    @property
    def name(self) -> str:
        """Its name in the source."""
        ...


N = TypeVar("N", bound=Named)


def choose_columns(
    natives: Iterable[N], rules: ColumnRules, decide: Callable[[N], Column | str]
) -> tuple[Column, ...]:
    """Return the columns of an export under the user's rules, in the order of the source.

    Args:
        natives: Every column of the relation.
        rules: What the user said.
        decide: An engine's own decision for one column that is read: its type under overrides and
            policies, or, as a text that names column and types, why there is no exact one. It
            looks neither at masks nor at renames.

    Raises:
        PlanError: Two columns share a name, a rule names no column, or nothing is left to read.
        UnsafeTypeError: Overrides that cannot be done exactly, or columns with only a text form
            under `strict_types`; the message names all of them.
    """
    found = tuple(natives)
    names = [native.name for native in found]
    _refuse_duplicates(names, "two columns of the result share a name")
    _refuse_strangers(names, rules)
    columns: list[Column] = []
    refused: list[str] = []
    for native in found:
        if not _is_chosen(native.name, rules):
            continue
        decided = decide(native)
        if isinstance(decided, str):
            refused.append(decided)
            continue
        mask = rules.masks.get(native.name)
        if mask is None and _is_only_text(decided, rules):
            name = visible(native.name)
            refused.append(f"'{name}' ({decided.native_type}) only has a text form")
        columns.append(_renamed(_masked(_unchecked(decided, rules), mask), rules))
    if refused:
        msg = f"{len(refused)} column(s) have no exact mapping: {'; '.join(refused)}"
        raise UnsafeTypeError(msg, hint=_AS_TEXT, column=refused[0].split("'")[1])
    if found and not columns:
        msg = "`include` and `exclude` leave no column to read"
        raise PlanError(msg, hint=f"the columns are: {_listed(names)}")
    _refuse_duplicates(
        [column.name for column in columns], "two columns have the same name after `rename`"
    )
    return tuple(columns)


def refuse_changed(now: Mapping[str, str], planned: Iterable[Column], label: str) -> None:
    """Refuse a plan whose columns are gone or have another type by now.

    Args:
        now: Native type by the column's name in the source.
        planned: The columns of the plan; others do not matter.
        label: The relation, for the message.

    Raises:
        StalePlanError: All such columns are named.
    """
    changed = [one.source_name for one in planned if now.get(one.source_name) != one.native_type]
    if changed:
        msg = f"{visible(label)}: column(s) {_listed(changed)} changed since the plan was made"
        raise StalePlanError(msg, hint="run it again to plan with the new columns")


def _refuse_duplicates(names: Sequence[str], message: str) -> None:
    """Refuse names that stand twice in a result.

    Raises:
        PlanError: The message, and the names.
    """
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        msg = f"{message}: {_listed(twice)}"
        raise PlanError(msg, hint="give each column its own name, in a query with AS")


def _refuse_strangers(names: Sequence[str], rules: ColumnRules) -> None:
    """Refuse a rule for a column that is not there, or not read: it would do nothing."""
    for key, wanted in (
        ("columns", (*rules.overrides, *rules.invalid_overrides)),
        ("include", rules.include or ()),
        ("exclude", rules.exclude),
        ("rename", tuple(rules.renames)),
        ("mask", tuple(rules.masks)),
    ):
        strangers = sorted({name for name in wanted if name not in names})
        if strangers and not (key == "columns" and rules.is_lenient):
            msg = f"`{key}` names what the relation does not have: {_listed(strangers)}"
            raise PlanError(msg, hint=f"its columns are: {_listed(names)}", column=strangers[0])
        if key in {"include", "exclude"}:
            continue
        unread = sorted({name for name in wanted if name in names and not _is_chosen(name, rules)})
        if unread:
            msg = f"`{key}` names columns that are not read: {_listed(unread)}"
            hint = "take them out of `exclude` or into `include`, or drop the rule"
            raise PlanError(msg, hint=hint, column=unread[0])


def _is_chosen(name: str, rules: ColumnRules) -> bool:
    return name not in rules.exclude and (rules.include is None or name in rules.include)


def _is_only_text(column: Column, rules: ColumnRules) -> bool:
    is_asked = column.source_name in rules.overrides
    return rules.is_strict and column.fidelity is Fidelity.TEXT and not is_asked


def _unchecked(column: Column, rules: ColumnRules) -> Column:
    """Let JSON of the source stand as it is in a file without labels; an override is a promise."""
    value = column.logical.element or column.logical
    is_promised = rules.is_json_labelled or column.source_name in rules.overrides
    if is_promised or value.kind is not Kind.JSON:
        return column
    return replace(column, invalid=InvalidPolicy.TEXT)


def _masked(column: Column, mask: Mask | None) -> Column:
    if mask is None:
        return column
    logical = column.logical if mask is Mask.NULL else STRING
    return replace(
        column,
        logical=logical,
        fidelity=Fidelity.LOSSY,
        is_text_cast=False,
        invalid=InvalidPolicy.FAIL,
        notes=(*column.notes, _NOTES[mask]),
        mask=mask,
    )


def _renamed(column: Column, rules: ColumnRules) -> Column:
    new = rules.renames.get(column.name)
    if new is None or new == column.name:
        return column
    return replace(column, name=new, origin=column.name)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{visible(name)}'" for name in names)
