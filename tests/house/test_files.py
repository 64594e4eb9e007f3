"""Files stay small and well named, and speak of the project alone."""

import re
from itertools import chain

from support import tree

MOST_LINES = 400
_VAGUE = re.compile(r"(^|_)(utils?|helpers?|managers?|common|misc)(_|$)")
_BARE_IGNORE = re.compile(r"#\s*(type:\s*ignore(?!\[)|noqa(?!:\s*[A-Z]))")
# Written in pieces, so that this file does not find itself.
_FOREIGN = {
    "a machine's path": re.compile(r"(?<![\w.])/(ho" r"me|ro" r"ot|wo" r"rk|Users)/\w"),
    "a package registry": re.compile(r"files\.python" r"hosted|py" r"pi\.org|npm" r"js\.(org|com)"),
    "a private key": re.compile(r"BEGIN [A-Z ]*PRIV" r"ATE KEY"),
    "an access key": re.compile(
        r"\bAK" r"IA[0-9A-Z]{16}\b|\bgh[pousr]_" r"\w{36}|\bxox" r"[abp]-\w"
    ),
}


def _code():
    return tree.files("src", "tests", "scripts", "bench", suffix=".py")


def test_no_file_is_longer_than_the_limit():
    lengths = {tree.name(path): len(path.read_text().splitlines()) for path in _code()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_no_module_has_a_vague_name():
    assert [tree.name(path) for path in _code() if _VAGUE.search(path.stem)] == []


def test_every_ignored_warning_is_named():
    found = [
        f"{tree.name(path)}:{number}"
        for path in _code()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if _BARE_IGNORE.search(line)
    ]
    assert found == []


def test_no_file_speaks_of_a_machine_or_holds_a_secret():
    found = [
        f"{tree.name(path)}:{number}: {what}"
        for path in tree.everything()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        for what, pattern in _FOREIGN.items()
        if pattern.search(line)
    ]
    assert found == []


def test_lock_files_name_no_host():
    address = re.compile(r"://|--(extra-)?index-url|--find-links")
    locks = list(chain(tree.files("requirements", suffix=".lock")))
    assert locks
    assert [tree.name(lock) for lock in locks if address.search(lock.read_text())] == []
