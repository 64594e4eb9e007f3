"""Commands shown in the pages exist, with the options shown."""

import re
import shlex

import pytest

from scripts import render_docs
from support import tree

_BLOCK = re.compile(r"^```(?:sh|bash|console|shell)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PAGES = [path for path in tree.everything() if path.suffix == ".md"]


def _shown(program):
    for page in _PAGES:
        for block in _BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.strip().removeprefix("$ ").split(" #")[0].strip()
                if command.startswith(f"{program} "):
                    yield pytest.param(command, id=f"{tree.name(page)}: {command}")


_NONE = [pytest.param("", id="none")]


@pytest.mark.parametrize("line", list(_shown("rivet")) or _NONE)
def test_shown_command_and_its_options_exist(line):
    tree_of_commands = dict(render_docs.commands())
    words = shlex.split(re.split(r"[|>;&]", line)[0])[1:]
    path = ()
    while words and (*path, words[0]) in tree_of_commands:
        path = (*path, words.pop(0))
    known = {"--help", "-h"}
    for parameter in render_docs.parameters(tree_of_commands[path]):
        known |= {*parameter.opts, *parameter.secondary_opts}
    assert {word.split("=")[0] for word in words if word.startswith("-")} <= known
    assert line == "" or path or words, f"no such command: {line}"


@pytest.mark.parametrize("line", list(_shown("make")) or _NONE)
def test_shown_make_target_exists(line):
    makefile = (tree.ROOT / "Makefile").read_text()
    targets = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert [name for name in targets if not re.search(rf"^{name}:", makefile, re.MULTILINE)] == []
