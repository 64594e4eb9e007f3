"""A hint that is printed is followed by a test; a new one without a test fails here."""

from __future__ import annotations

import json

from support import tree
from support.hintcases import CASES
from support.hinttexts import hints_of_the_source

_COMMANDS = json.loads((tree.ROOT / "tests/e2e/hints.json").read_text(encoding="utf-8"))
# Hints that no test follows so far: the list may only become shorter.
_LEFT = (tree.ROOT / "tests/house/hints_not_followed.txt").read_text(encoding="utf-8").splitlines()
_MOST_LEFT = 300


def test_every_hint_of_the_source_is_followed_by_a_test():
    found = {*hints_of_the_source()}
    followed = {case.text for case in CASES} | {*_COMMANDS}
    assert sorted(found - followed - {*_LEFT}) == [], "no test follows it: see support/hintcases"
    assert sorted({case.text for case in CASES} - found) == [], "no such hint any more"
    assert sorted({*_LEFT} - found) == [], "no such hint any more"
    assert sorted({*_LEFT} & followed) == [], "it is followed now"
    assert len(_LEFT) <= _MOST_LEFT
