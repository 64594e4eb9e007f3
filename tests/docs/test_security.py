"""Each line of the page on security names a test, and each test is there."""

import ast
import re

import pytest

from support import tree

PAGE = tree.ROOT / "docs/security.md"
LINES = [line for line in PAGE.read_text().splitlines() if line.startswith("- ")]
# Nothing can prove this one.
_UNPROVEN = "Rivet cannot know a lie from a fact"
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("line", LINES, ids=[line[2:50] for line in LINES])
def test_every_line_is_held_by_tests_that_exist(line):
    named = _TEST.findall(line)
    assert named or _UNPROVEN in line
    for path, function in named:
        text = (tree.ROOT / path).read_text()
        names = {one.name for one in ast.walk(ast.parse(text)) if isinstance(one, ast.FunctionDef)}
        assert function in names if function else any(name.startswith("test_") for name in names)


def test_every_claim_is_a_line_of_its_own():
    """Only the sections that promise nothing are told in sentences."""
    promised = PAGE.read_text().partition("## What is not checked")[0].partition("\n## ")[2]
    told = [line for line in promised.splitlines() if line and line[:2] not in {"- ", "##"}]
    assert told == ["What it trusts"]
