"""Faults found while building the models, in plain words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from rivet.config.engines import TYPE_WORDS
from rivet.config.problem import OUT_OF_RANGE, YAML_INVALID, Path, Problem, dotted, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pydantic import ValidationError

_TUNING_KEYS: Final = frozenset(
    {
        "batch_size",
        "batch_size_memory_mb",
        "throttle_ms",
        "statement_timeout_s",
        "max_retries",
        "retry_backoff_ms",
        "lock_timeout_s",
        "memory_threshold_mb",
        "max_batch_memory_mb",
        "on_batch_memory_exceeded",
        "adaptive",
        "min_parallel",
        "max_value_mb",
        "connect_timeout_s",
        "read_timeout_s",
        "max_statement_s",
        "max_snapshot_age_s",
        "profile",
    }
)
_ELSEWHERE: Final = {
    "row_group_strategy": "parquet:",
    "row_group_rows": "parquet:",
    "target_row_group_mb": "parquet:",
    "max_row_group_mb": "parquet:",
    "row_count_min": "quality:",
    "row_count_max": "quality:",
    "null_ratio_max": "quality:",
    "unique_columns": "quality:",
    "unique_max_entries": "quality:",
    "exported_at": "meta_columns:",
    "row_hash": "meta_columns:",
    "path": "destination:",
    "bucket": "destination:",
    "prefix": "destination:",
    "unbounded_numeric": "types:",
    "non_finite": "types:",
    "out_of_range": "types:",
}
_TOP_KEYS: Final = frozenset(
    {"parallel_exports", "parallel_export_processes", "max_connections", "max_memory_mb"}
)
_BOOLEAN_WORDS: Final = frozenset({"yes", "no", "on", "off", "y", "n"})
_MISSING_HINTS: Final = {
    "source": "add `source:` with a `type` and a connection, such as `url_env: DATABASE_URL`",
    "exports": "add `exports:` with at least one export",
    "name": "give every export a unique `name:`",
    "format": "add `format: parquet` or `format: csv`",
    "destination": "add `destination: {type: local, path: ./out}`",
    "type": "add `type:`",
}


def first_problem(error: ValidationError, data: object, order: Callable[[Path], int]) -> Problem:
    """Return the fault that stands first in the text.

    Args:
        error: What the models said.
        data: What they were given.
        order: Path to position in the text.
    """
    problems = [_problem(item, data) for item in error.errors(include_url=False)]
    return min(problems, key=lambda problem: order(problem.path))


def _problem(item: Any, data: object) -> Problem:  # noqa: ANN401 - an entry of pydantic's list
    loc = tuple(item["loc"])
    kind, context = str(item["type"]), item.get("ctx", {})
    path = _within(loc[:-1] if kind == "missing" else loc, data)
    if kind == "unknown_key":
        return unknown_key(path, context["key"], context["nearest"], context["known"])
    if kind == "missing":
        return _missing(path, str(loc[-1]))
    name = dotted(path) or "the configuration"
    value = _value_at(data, path)
    rule, code = _rule(kind, context, value)
    return Problem(path, f"`{name}` {rule}", hint=_hint(kind, value, context, path), code=code)


def _within(loc: Path, data: object) -> Path:
    """Cut the steps of a location that name a branch of a union and no key of the data."""
    path: list[str | int] = []
    for step in loc:
        if (isinstance(data, dict) and step in data) or (
            isinstance(data, list | tuple) and isinstance(step, int) and step < len(data)
        ):
            data = data[step]  # type: ignore[index]
            path.append(step)
    return tuple(path)


def _value_at(data: object, path: Path) -> object:
    for step in path:
        data = data[step]  # type: ignore[index]
    return data


def unknown_key(path: Path, key: str, meant: str | None, known: Iterator[str]) -> Problem:
    """Describe a key that no model knows, with its right place or the key probably meant."""
    section = dotted(path) or "the top level"
    here = (*path, key)
    if key in _TUNING_KEYS and path and path[0] in {"source", "exports"} and len(path) <= 2:  # noqa: PLR2004
        place = "source.tuning:" if path[0] == "source" else "exports[].tuning:"
        message = f"`{key}` stands directly under `{section}`; tuning keys belong under '{place}'"
        return Problem(here, message, hint=f"write `tuning: {{{key}: ...}}` under `{section}`")
    message = f"unknown key `{key}` in {section if not path else f'`{section}`'}"
    if key in _TOP_KEYS and path:
        hint = f"`{key}` belongs at the top level, beside `source:` and `exports:`"
        return Problem(here, message, hint=hint)
    if meant:
        return Problem(here, message, hint=f"did you mean `{meant}`?")
    if key in _ELSEWHERE and path[:1] == ("exports",):
        return Problem(here, message, hint=f"`{key}` belongs under '{_ELSEWHERE[key]}'")
    return Problem(here, message, hint=f"known keys: {', '.join(sorted(known))}")


def _missing(path: Path, key: str) -> Problem:
    section = f" in `{dotted(path)}`" if path else ""
    return Problem(path, f"`{key}` is missing{section}", hint=_MISSING_HINTS.get(key))


_STRUCTURE: Final = {
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "dict_type": "must be a map of keys",
    "model_type": "must be a map of keys",
    "model_attributes_type": "must be a map of keys",
    "row_hash": "must be true, false or a list of columns",
    "parallel": "must be true, false or a whole number",
    "column_type": "must be a type such as bigint, or a map of type and invalid",
}
_VALUES: Final = {
    "blank": "must not be empty",
    "nul": "must not hold a NUL character",
    "string_too_short": "must not be empty",
    "int_parsing_size": "is too large",
    "finite_number": "must be a finite number",
    "empty_list": "must name at least one item",
    "repeated": "names something twice",
    "size": "must be a size such as 512MB",
    "word_or_list": "must be {words}, or a list of names",
    "too_few_at_once": "must be at least 1, not {value}",
    "leading_zero": "has a leading zero, which YAML readers take differently",
}
_BOUNDS: Final = {
    "greater_than_equal": ("ge", "must be at least"),
    "greater_than": ("gt", "must be more than"),
    "less_than_equal": ("le", "must be at most"),
    "less_than": ("lt", "must be less than"),
}


def _rule(kind: str, context: dict[str, Any], value: object) -> tuple[str, str]:
    if kind in _STRUCTURE:
        return _STRUCTURE[kind], YAML_INVALID
    if kind in _BOUNDS:
        key, words = _BOUNDS[kind]
        return f"{words} {context[key]:g}, not {value}", OUT_OF_RANGE
    if kind in {"enum", "literal_error"}:
        shown = f", not '{value}'" if isinstance(value, str) else ""
        return f"must be one of {', '.join(_choices(context))}{shown}", OUT_OF_RANGE
    words = _VALUES.get(kind, "has the wrong type")
    return context.get("rule") or words.format(**context), OUT_OF_RANGE


def _choices(context: dict[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", str(context.get("expected", "")))


_HINTS: Final = {
    "leading_zero": "write {value}",
    "too_few_at_once": "write false for one after another",
}


def _hint(kind: str, value: object, context: dict[str, Any], path: Path) -> str | None:
    if kind in {"tuple_type", "list_type"} and path:
        return f"write `{path[-1]}:` and below it items that begin with `- `"
    if isinstance(value, str):
        return _hint_for_text(kind, value, context)
    if kind == "string_type" and isinstance(value, bool):
        return "put quotes around it"
    if kind == "greater_than_equal" and path == ("max_memory_mb",):
        return "one export alone may take that much"
    return _HINTS.get(kind, "").format(**context) or None


def _hint_for_text(kind: str, value: str, context: dict[str, Any]) -> str | None:
    if kind in {"enum", "literal_error"}:
        meant = nearest(value, _choices(context))
        return f"did you mean `{meant}`?" if meant else None
    if kind in {"bool_type", "parallel"} and value.lower() in _BOOLEAN_WORDS:
        return f"YAML 1.2 reads `{value}` as text: write true or false"
    if kind == "parallel":
        return "write true, or a number without quotes"
    if kind == "int_type":
        return "write digits only, without quotes, units or underscores"
    return None


def unknown_type(value: str, meant: str | None) -> Problem:
    """Describe a `source.type` that names no engine."""
    message = f"`source.type` '{value}' is not a kind of database Rivet knows"
    hint = f"did you mean `{meant}`?" if meant else f"use one of: {', '.join(TYPE_WORDS)}"
    return Problem(("source", "type"), message, hint=hint, code="RIVET_CONFIG_UNKNOWN_ENGINE")
