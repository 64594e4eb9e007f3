"""Commands that are printed name the configuration and the parameters that were given."""

import pytest

from rivet.cli import given
from rivet.cli.app import app
from rivet.cli.options import parallel_again
from rivet.errors import RivetError

HINT = "`rivet state reset -e a`, or rivet run"


def _pasteable(*arguments):
    given.note_params({})
    given._config.clear()
    with pytest.raises(RivetError):
        app(args=list(arguments), standalone_mode=False)
    return given.pasteable(HINT)


@pytest.mark.parametrize(
    "form",
    [
        ("-c", "my shop.yaml"),
        ("-cmy shop.yaml",),
        ("--config", "my shop.yaml"),
        ("--config=my shop.yaml",),
        ("-e", "-c", "-c", "other.yaml", "--config=my shop.yaml"),
    ],
)
def test_every_form_of_the_option(form, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    named = "-c 'my shop.yaml'"
    assert _pasteable("files", *form) == f"`rivet state reset {named} -e a`, or rivet run {named}"


def test_what_is_found_by_itself_is_not_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert _pasteable("files") == HINT
    assert _pasteable("files", "-e", "-c") == HINT
    assert _pasteable("files", "-crivet.yaml") == HINT
    monkeypatch.setenv("RIVET_CONFIG", "other.yaml")
    assert _pasteable("files", "--config=other.yaml") == HINT
    assert _pasteable("files", "-c", "rivet.yaml").count(" -c rivet.yaml") == 2


def test_parameters_are_repeated_but_for_secrets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ("-p", "day=1 May", "--param", "DB_PASSWORD=hunter2", "-pdsn=postgres://u:p@h/d")
    told = _pasteable("files", *arguments)
    assert told.startswith(
        "`rivet state reset -p 'day=1 May' -p 'DB_PASSWORD=***' -p 'dsn=***' -e a`"
    )


def test_numbers_of_exports_at_once_are_as_given():
    assert parallel_again("auto", None) == " --parallel-exports"
    assert parallel_again(None, "2") == " --parallel-export-processes=2"
    assert parallel_again("false", "4") == " --parallel-exports=false --parallel-export-processes=4"
    assert parallel_again(None, None) == ""
