"""YAML text as plain data with the position of every key and list item.

YAML 1.2: `no` and `on` are text, a repeated key is an error. Anchors and merge keys work. Only
plain data comes out, whatever tags the text holds.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rivet.config.base import PlainFloat, PlainInt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

    from rivet.config.problem import Path
    from rivet.config.substitute import References

_MAX_DEPTH: Final = 60
_MAX_VALUES: Final = 100_000
_MAX_DIGITS: Final = 19
_INT: Final = re.compile(r"[-+]?[0-9]+\Z|0o[0-7]+\Z|0x[0-9a-fA-F]+\Z")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?\Z|[-+]?\.(?:inf|Inf|INF)\Z|\.(?:nan|NaN|NAN)\Z"
)
_POINT_WORD: Final = re.compile(r"\.(inf|nan)", re.IGNORECASE)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLS: Final = {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
_HINTS: Final = {
    "found unexpected end of stream": "close the quote that is still open",
}
_STANDARD: Final = "tag:yaml.org,2002:"
_WORDS: Final = ("str", "int", "float", "bool", "null", "timestamp", "merge", "value", "map", "seq")
_TAGS: Final = frozenset({"!", *(f"{_STANDARD}{word}" for word in _WORDS)})


@dataclass(frozen=True, slots=True)
class Document:
    """One parsed document.

    Attributes:
        data: Maps, lists, text, numbers, booleans and None.
        offsets: Path to the character offset of the key (or list item) in the text.
    """

    data: Any
    offsets: Mapping[Path, int]

    def offset(self, path: Path) -> int | None:
        """Return the offset of the nearest enclosing key that was written."""
        for length in range(len(path), -1, -1):
            if (found := self.offsets.get(path[:length])) is not None:
                return found
        return None


class SyntaxProblem(Exception):  # noqa: N818 - never leaves this package
    """The text is not one YAML document; `offset` is where it stops being one."""

    def __init__(self, message: str, offset: int | None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset
        self.hint = hint


def _fail(message: str, offset: int | None, hint: str | None = None) -> NoReturn:
    raise SyntaxProblem(message, offset, hint)


def parse(text: str, references: References | None = None) -> Document:
    """Read one YAML document.

    Args:
        text: Without byte-order mark.
        references: What is put into its scalars; None leaves them as they are.

    Raises:
        SyntaxProblem: It is not YAML, holds several documents, writes a key twice, or is nested
            without end.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError
    from ruamel.yaml.reader import ReaderError

    # Of the parser's own errors nothing is kept: they quote the line, which may hold a password.
    reader = YAML(typ="safe", pure=True)
    # YAML 1.2 lets an anchor be used again; the warning would go to whoever imports Rivet.
    reader.composer.warn_double_anchors = False
    try:
        node = reader.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        offset = None if mark is None else mark.index
        hint = _hint(text, offset) or _HINTS.get(error.problem or "")
        raise SyntaxProblem(_wording(error.problem), offset, hint) from None
    except ReaderError as error:
        msg = "a character that YAML does not allow"
        raise SyntaxProblem(msg, error.position, "remove the control character") from None
    except RecursionError as error:
        msg = "the text is nested too deeply"
        raise SyntaxProblem(msg, None) from error
    except (YAMLError, ValueError, TypeError, AttributeError, IndexError, KeyError):
        # The parser has faults of its own on damaged text; the text is the cause all the same.
        raise SyntaxProblem(_wording(None), None, _hint(text, None)) from None
    if node is None:
        return Document(None, {})
    builder = _Builder(references)
    return Document(builder.value(node, ()), builder.offsets)


def _wording(problem: str | None) -> str:
    words = problem or "this is not YAML"
    if "single document" in words or "another document" in words:
        return "the file holds more than one YAML document"
    return words


def _hint(text: str, offset: int | None) -> str | None:
    line = _line_at(text, offset) if offset is not None else ""
    if _has_tab_indent(line) or (offset is None and any(map(_has_tab_indent, text.splitlines()))):
        return "YAML does not allow TAB characters for indentation: use spaces"
    if re.search(r":\s*\{[^{}]*\}\s*[^\s#,}\]]", line):
        return "put quotes around a value that begins with { or holds {...}"
    if re.search(r"(?:[:\-]|^)\s+[@`%]", line):
        return "put quotes around a value that begins with @, ` or %"
    if line.count(": ") > 1:
        return "put quotes around a value that holds a colon and a blank"
    return None


def _has_tab_indent(line: str) -> bool:
    return "\t" in line[: len(line) - len(line.lstrip())]


def _line_at(text: str, offset: int) -> str:
    start = text.rfind("\n", 0, offset) + 1
    end = text.find("\n", offset)
    return text[start : len(text) if end < 0 else end]


_RESOLVED_AGAIN: Final[Path] = ("source", "url")
"""Where references are replaced a second time: what a variable holds may name others."""


class _Builder:
    """Turns nodes into data; expansion of aliases is counted, so that no bomb goes off."""

    def __init__(self, references: References | None) -> None:
        self._references = references
        self.offsets: dict[Path, int] = {}
        self._values = 0
        self._open: set[int] = set()

    def value(self, node: Node, path: Path) -> Any:  # noqa: ANN401 - any YAML value
        from ruamel.yaml.nodes import MappingNode, ScalarNode

        self._values += 1
        offset = node.start_mark.index
        if self._values > _MAX_VALUES:
            _fail(f"more than {_MAX_VALUES} values, aliases counted each time", offset)
        if len(path) > _MAX_DEPTH:
            _fail(f"nested more than {_MAX_DEPTH} levels deep", offset)
        if str(node.ctag) not in _TAGS:
            msg = f"the YAML tag {node.ctag} is not supported"
            _fail(msg, offset, "write the value without a tag")
        self.offsets.setdefault(path, offset)
        if isinstance(node, ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            _fail("an alias inside its own anchor never ends", offset)
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            return [self.value(item, (*path, index)) for index, item in enumerate(node.value)]
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merges: list[Any] = []
        for key_node, value_node in node.value:
            key = self._key(key_node)
            offset = key_node.start_mark.index
            if key == "<<" and key_node.style is None:
                merges.append(value_node)
                continue
            here = (*path, key)
            if key in result:
                msg = f"key `{key}` is written twice in the same map"
                _fail(msg, offset, "keep one of the two")
            self.offsets[here] = offset
            result[key] = self.value(value_node, here)
        for merge in merges:
            self._merge(merge, path, result)
        return result

    def _key(self, node: Node) -> str:
        from ruamel.yaml.nodes import ScalarNode

        if not isinstance(node, ScalarNode):
            hint = "put quotes around a value that begins with { or ["
            _fail("a key must be text", node.start_mark.index, hint)
        return self._put_in(str(node.value))

    def _put_in(self, text: str, path: Path = ()) -> str:
        if self._references is None:
            return text
        return self._references.put_in(text, keeps_escapes=path == _RESOLVED_AGAIN)

    def _scalar(self, node: ScalarNode, path: Path) -> Any:  # noqa: ANN401 - any YAML value
        written = str(node.value)
        text = self._put_in(written, path)
        is_put_in = self._references is not None and self._references.holds(written)
        # What is put in is not known to the parser, which takes its placeholder for text.
        is_text = str(node.ctag) == f"{_STANDARD}str" and not (is_put_in and _is_untagged(node))
        if node.style is not None or is_text:
            return text
        if text in _NULLS:
            # A password may be `null` or `~`; only an empty value is none.
            return text if text and is_put_in else None
        if text in _BOOLS:
            return _BOOLS[text]
        return _number(text)

    def _merge(self, node: Node, path: Path, result: dict[str, Any]) -> None:
        from ruamel.yaml.nodes import SequenceNode

        sources = node.value if isinstance(node, SequenceNode) else [node]
        for source in sources:
            merged = self.value(source, path)
            if not isinstance(merged, dict):
                msg = "`<<` takes a map, such as *name of an anchored one"
                _fail(msg, source.start_mark.index)
            for key, value in merged.items():
                result.setdefault(key, value)


def _is_untagged(node: ScalarNode) -> bool:
    written = node.start_mark.buffer[node.start_mark.index : node.end_mark.index]
    head, _, _ = str(written).partition(str(node.value)[:1])
    return "!" not in head


def _number(text: str) -> Any:  # noqa: ANN401 - text or a number
    if _INT.match(text):
        if len(text) > _MAX_DIGITS:
            return text
        return PlainInt(int(text, 0) if text[:2] in {"0o", "0x"} else int(text)).written(text)
    if _FLOAT.match(text):
        number = float(_POINT_WORD.sub(r"\1", text))
        if math.isfinite(number) or _POINT_WORD.search(text):
            return PlainFloat(number).written(text)
    return text
