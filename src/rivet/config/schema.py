"""The configuration described for editors and for the documentation, from the models."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from rivet.config.lint import MISSING
from rivet.config.models import Config

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["config_schema", "key_paths"]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_MAX_DEPTH = 8


def config_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `rivet.yaml`; plain JSON types only.

    The description of a key that this version refuses, or takes in part, says so.
    """
    schema = _without_titles(Config.model_json_schema())
    for row in MISSING:
        node = _property(schema, row.key)
        told = "a warning" if row.is_harmless else "refused"
        is_whole = "Not in this version" if row.is_whole else "Not all of it in this version"
        limit = f"{is_whole} ({told}): {row.hint.format()}."
        node["description"] = f"{node['description']} {limit}"
    return {"$schema": _DRAFT, "title": f"Rivet config (pyrivet {_version()})", **schema}


def _property(schema: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the description of `key`, as the table of `lint` writes it."""
    definitions = schema["$defs"]
    *sections, name = key.removeprefix("tuning.").split(".")
    node = definitions["TuningConfig"] if key.startswith("tuning.") else schema
    for section in sections:
        child = node["properties"][section]
        node = next(inner for inner, _ in _inner(child, definitions))
    found: dict[str, Any] = node["properties"][name]
    return found


def _version() -> str:
    try:
        return version("pyrivet")
    except PackageNotFoundError:
        return "unknown"


def _without_titles(node: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Drop the titles made from names; a property called `title` would stay."""
    if isinstance(node, list):
        return [_without_titles(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: {name: _without_titles(item) for name, item in value.items()}
        if key in {"properties", "$defs"}
        else _without_titles(value)
        for key, value in node.items()
        if key != "title"
    }


def key_paths() -> tuple[str, ...]:
    """Return every key the parser knows, dotted, lists as `[]` and free maps as `{}`."""
    schema = config_schema()
    return tuple(_walk(schema, schema["$defs"], "", 0))


def _walk(
    node: dict[str, Any], definitions: dict[str, Any], prefix: str, depth: int
) -> Iterator[str]:
    for name, child in node.get("properties", {}).items():
        path = f"{prefix}.{name}" if prefix else name
        yield path
        if depth < _MAX_DEPTH and path.count("tables") <= 1:
            for inner, suffix in _inner(child, definitions):
                yield from _walk(inner, definitions, path + suffix, depth + 1)


def _inner(
    node: dict[str, Any], definitions: dict[str, Any]
) -> Iterator[tuple[dict[str, Any], str]]:
    for branch in (node, *node.get("anyOf", ())):
        resolved = _resolved(branch, definitions)
        if "properties" in resolved:
            yield resolved, ""
        if isinstance(items := resolved.get("items"), dict):
            yield _resolved(items, definitions), "[]"
        if isinstance(values := resolved.get("additionalProperties"), dict):
            yield _resolved(values, definitions), ".{}"


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    if reference is None:
        return node
    found: dict[str, Any] = definitions[str(reference).rpartition("/")[2]]
    return found
