"""No regular expression needs more than linear time, whatever a server or a file makes it read.

Every pattern of the source is found by its call and run over texts made of its own characters. A
pattern that looks at the same characters again and again does not end before the processor limit.
"""

import ast
import importlib
import re
import re._parser as parser
import signal
import subprocess
import sys
from functools import cache, partial
from itertools import product
from types import SimpleNamespace

from support import tree

# Characters of a text, and processor time for each: many times what a linear pattern takes, and
# less than one takes that looks at all again for every character.
SIZE, SIZE_S = 20_000, 0.25
MIDDLE, MIDDLE_S = 200_000, 1.0
LONG, LONG_S = 1_000_000, 2.0
MOST = 5000
ANCHORED = {"rivet.sources.tokens"}
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


@cache
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


def built():
    """Return (place, pattern, flags, is_anchored) of every pattern that is put together.

    Those that a module makes when it is imported, and those made of names and secrets.
    """
    found, original = [], re.compile

    def recorded(pattern, flags=0):
        caller = sys._getframe(1)
        name = caller.f_globals.get("__name__", "")
        if name.startswith("rivet") and isinstance(pattern, str):
            is_anchored = name in ANCHORED
            found.append((f"{name}:{caller.f_lineno}", pattern, int(flags), is_anchored))
        return original(pattern, flags)

    re.compile = recorded
    try:
        for path in tree.files("src", suffix=".py"):
            name = ".".join(path.relative_to(tree.ROOT / "src").with_suffix("").parts)
            if not name.endswith("__main__") and "migrations" not in name:
                importlib.import_module(name.removesuffix(".__init__"))
        make_at_run_time()
    finally:
        re.compile = original
    written = {(pattern, flags) for _, pattern, flags, _ in patterns()}
    return [one for one in found if one[1:3] not in written]


def make_at_run_time():
    from rivet.redact import register_secret
    from rivet.sources.duckdb.types import DIALECT as DUCKDB
    from rivet.sources.mysql.overrides import DIALECT as MYSQL
    from rivet.sources.postgres.read import DIALECT as POSTGRES
    from rivet.sources.sqlite.catalog import DIALECT as SQLITE
    from rivet.sources.tokens import tokens
    from rivet.ui.causes import cause_lines

    for secret in ("a", "aa", "'", "x1", "*+", "\\"):
        register_secret(secret)
    for dialect in (SQLITE, MYSQL, POSTGRES, DUCKDB):
        list(tokens("a", dialect))
    reports = [SimpleNamespace(export_name=n, status="x", failure=None) for n in ("a", "aa", "a.b")]
    cause_lines(reports, most=9)


def texts(pattern, flags):
    """Yield (text, limit) of what a pattern looks for, none of which it likes to the end."""
    parsed = parser.parse(pattern, flags)
    pieces = list(dict.fromkeys([*_words(parsed), *_characters(parsed), " ", "x"]))[:14]
    for piece in ("".join(pieces), pieces[0]):
        yield piece * (LONG // len(piece)) + "\n\0", LONG_S
    for piece in pieces:
        yield piece * (MIDDLE // len(piece)) + "\n\0", MIDDLE_S
    for one, other in product(pieces, repeat=2):
        pair = one + other
        yield pair * (SIZE // len(pair)) + "\n\0", SIZE_S
        yield one + other * (SIZE // len(other)) + "\n\0", SIZE_S


def run_all():
    seen = set()
    for place, pattern, flags, is_anchored in [*patterns(), *built()]:
        if (pattern, flags, is_anchored) in seen:
            continue
        seen.add((pattern, flags, is_anchored))
        sys.stdout.write(f"{place}\n")
        sys.stdout.flush()
        compiled = re.compile(pattern, flags)
        run = compiled.match if is_anchored else partial(compiled.sub, pattern[:0], count=MOST)
        is_bytes = isinstance(pattern, bytes)
        for text, limit_s in texts(pattern, flags):
            signal.setitimer(signal.ITIMER_PROF, limit_s)  # ends the process, whatever it does
            run(text.encode("latin1", "replace") if is_bytes else text)
    signal.setitimer(signal.ITIMER_PROF, 0)


def afresh(code):
    """Run code beside this module in an interpreter that has imported nothing of Rivet yet."""
    return subprocess.run(
        [sys.executable, "-c", f"from hostile import test_patterns; {code}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tree.ROOT / "tests",
    )


def test_every_pattern_is_linear():
    done = afresh("test_patterns.run_all()")
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0, f"did not end: {last} {done.stderr[-300:]}"


def test_patterns_that_are_put_together_are_found():
    done = afresh("print(*(place.partition(':')[0] for place, *_ in test_patterns.built()))")
    places = set(done.stdout.split())
    wanted = (
        "redact",
        "sources.tokens",
        "ui.causes",
        "sources.mysql.coverage",
        "config.substitute",
    )
    assert places >= {f"rivet.{one}" for one in wanted}


def test_patterns_are_found():
    places = " ".join(place for place, *_ in patterns())
    for place in ("postgres/faults", "mysql/faults", "redact", "sqlite/types"):
        assert place in places
