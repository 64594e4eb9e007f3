"""The generated pages say what the code says, and the code says something."""

import subprocess
import sys

import pytest

from scripts import render_docs
from support import tree


@pytest.mark.parametrize("name", sorted(render_docs.pages()))
def test_page_is_not_stale(name):
    assert not render_docs.is_stale(name), "run `make docs`"


_COMMANDS = list(render_docs.commands())


@pytest.mark.parametrize(
    ("words", "command"), _COMMANDS, ids=[" ".join(words) or "rivet" for words, _ in _COMMANDS]
)
def test_command_and_each_of_its_options_is_explained(words, command):
    assert command.help
    silent = [one.name for one in render_docs.parameters(command) if not one.help]
    assert silent == []


def test_every_key_of_the_configuration_is_explained():
    from rivet.config.schema import config_schema

    schema = config_schema()
    sections = {"": schema, **schema["$defs"]}
    silent = [
        f"{section}.{key}"
        for section, content in sections.items()
        for key, value in content.get("properties", {}).items()
        if not value.get("description")
    ]
    assert silent == []


def test_check_says_which_page_is_stale_by_its_exit_code():
    command = [sys.executable, tree.ROOT / "scripts/render_docs.py", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_type_case_has_passed_since_it_changed():
    import json

    from rivet.sources import ENGINES
    from support.cases import load_cases

    report = json.loads(render_docs.REPORT.read_text(encoding="utf-8"))
    for engine in ENGINES:
        cases = {case.name: case.digest for case in load_cases(engine)}
        assert report[engine]["cases"] == cases, f"run `make types-report` ({engine})"
