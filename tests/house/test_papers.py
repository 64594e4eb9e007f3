"""The papers that go with the code are there and lead to one another."""

import re

import pytest

from support import tree

_LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


def test_the_changelog_has_a_place_for_the_next_change():
    changelog = (tree.ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## \[?Unreleased", changelog, re.MULTILINE)


def test_every_decision_is_linked_from_the_architecture():
    page = (tree.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    decisions = [path.name for path in (tree.ROOT / "docs/adr").glob("[0-9]*.md")]
    assert decisions
    assert [decision for decision in decisions if f"adr/{decision}" not in page] == []


def test_every_room_is_on_the_architecture_page():
    page = (tree.ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rooms = [path.parent.name for path in sorted((tree.ROOT / "src/rivet").glob("*/__init__.py"))]
    assert [room for room in rooms if not re.search(rf"\b{room}\b", page)] == []


_PAGES = [path for path in tree.everything() if path.suffix == ".md"]


@pytest.mark.parametrize("page", _PAGES, ids=tree.name)
def test_links_between_pages_lead_somewhere(page):
    links = _LINK.findall(page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_make_target_is_explained():
    makefile = (tree.ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert set(phony[1].split()) == explained
