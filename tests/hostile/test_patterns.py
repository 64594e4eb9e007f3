"""No regular expression needs more than linear time, whatever a server or a file makes it read.

Every pattern of the source is found by its call and run over texts made of its own characters. A
pattern that looks at the same characters again and again does not end before the processor limit.
"""

import ast
import re
import re._parser as parser
import resource
import subprocess
import sys
from functools import partial
from itertools import product

import pytest

from support import tree

LIMIT_S = 150
SIZE = 60_000
LONG = 1_000_000
_CALLS = {"compile", "match", "search", "sub", "fullmatch", "split", "findall", "finditer"}


def _is_pattern_call(node):
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in _CALLS
        and bool(node.args)
    )


def _flags(call):
    names = {
        node.attr
        for one in (*call.args[1:], *call.keywords)
        for node in ast.walk(one)
        if isinstance(node, ast.Attribute)
    }
    return sum(getattr(re, name) for name in names if name.isupper() and hasattr(re, name))


def patterns():
    """Return (place, pattern, flags, is_anchored) of every pattern written out in the source.

    Anchored is one that is only tried at the start of a text.
    """
    found = []
    for path in tree.files("src", suffix=".py"):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if _is_pattern_call(node):
                try:
                    pattern = ast.literal_eval(node.args[0])
                except ValueError:
                    continue  # put together from other patterns
                place = f"{tree.name(path)}:{node.lineno}"
                found.append((place, pattern, _flags(node), _is_anchored(node, source)))
    return found


def _is_anchored(call, source):
    used = {call.func.attr}
    if used == {"compile"}:
        line = source.splitlines()[call.lineno - 1]
        name = re.match(r"(\w+)(?:: Final)? = ", line)
        used = set(re.findall(rf"\b{name[1]}\.(\w+)", source)) if name else set()
    return bool(used) and used <= {"match", "fullmatch"}


def _characters(items):
    """Return one character for each thing that a parsed pattern can match."""
    for kind, value in items:
        name = str(kind)
        if name in {"LITERAL", "NOT_LITERAL"}:
            yield chr(value) if name == "LITERAL" else "x"
        elif name == "IN":
            yield from _of_class(value)
        elif name == "ANY":
            yield "x"
        elif name == "BRANCH":
            for branch in value[1]:
                yield from _characters(branch)
        elif name == "SUBPATTERN":
            yield from _characters(value[3])
        elif name in {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}:
            yield from _characters(value[2])
        elif name in {"ASSERT", "ASSERT_NOT"}:
            yield from _characters(value[1])


def _of_class(value):
    for kind, inner in value:
        name = str(kind)
        if name == "LITERAL":
            yield chr(inner)
        elif name == "RANGE":
            yield chr(inner[0])
        elif name == "CATEGORY":
            yield {"CATEGORY_DIGIT": "1", "CATEGORY_SPACE": " "}.get(str(inner), "x")
        elif name == "NEGATE":
            yield "x"


def _words(items):
    """Return the runs of literal characters of a parsed pattern."""
    word = ""
    for kind, value in items:
        if str(kind) == "LITERAL":
            word += chr(value)
            continue
        if len(word) > 1:
            yield word
        word = ""
        parts = {
            "SUBPATTERN": lambda v: [v[3]],
            "BRANCH": lambda v: v[1],
            "MAX_REPEAT": lambda v: [v[2]],
            "MIN_REPEAT": lambda v: [v[2]],
            "ASSERT": lambda v: [v[1]],
        }.get(str(kind), lambda _: [])(value)
        for part in parts:
            yield from _words(part)
    if len(word) > 1:
        yield word


def texts(pattern, flags):
    """Return long texts made of what a pattern looks for, none of which it likes to the end."""
    parsed = parser.parse(pattern, flags)
    pieces = list(dict.fromkeys([*_words(parsed), *_characters(parsed), " ", "x"]))[:14]
    for piece in pieces:
        yield piece * (LONG // len(piece)) + "\n\0"
    for one, other in product(pieces, repeat=2):
        pair = one + other
        yield pair * (SIZE // len(pair)) + "\n\0"
        yield one + other * (SIZE // len(other)) + "\n\0"


def run_all():
    for place, pattern, flags, is_anchored in patterns():
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()
        compiled = re.compile(pattern, flags)
        run = compiled.match if is_anchored else partial(compiled.sub, pattern[:0])
        is_bytes = isinstance(pattern, bytes)
        for text in texts(pattern, flags):
            run(text.encode("latin1", "replace") if is_bytes else text)


def test_every_pattern_is_linear():
    def limit():
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S))

    code = "from hostile import test_patterns; test_patterns.run_all()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        preexec_fn=limit,
        capture_output=True,
        text=True,
        check=False,
        cwd=tree.ROOT / "tests",
    )
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"did not end: {last} {done.stderr[-300:]}"


@pytest.mark.parametrize("place", ["postgres/faults", "mysql/faults", "redact", "sqlite/types"])
def test_patterns_are_found(place):
    assert any(place in found for found, *_ in patterns())
