"""Every command that a hint names is executed, from the state that the hint was printed in.

Commands are read from what is printed, never written down here. Each alternative of a hint begins
from the same folder. `test_every_hint_is_known` reads the source: a hint with a command that no
test executes fails there.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import rivet as library
from rivet.config.load import config_from_dict
from rivet.errors import StateError
from support import tree

_PRINTED = re.compile(r"rivet (?:run|files|prune|state|repair)\b[^`;,)\n]*")
_CONFIG = "conf/shop.yaml"


@dataclass
class Told:
    """A hint, and where it was printed."""

    hint: str
    directory: Path
    rivet: object

    def alternatives(self):
        """The commands, as arguments."""
        found = [shlex.split(text.strip().rstrip("."))[1:] for text in _PRINTED.findall(self.hint)]
        assert found, self.hint
        return found

    def execute(self, code=0):
        """Execute each from the folder as it was; then a run ends well, too."""
        kept = self.directory.with_name("kept")
        shutil.copytree(self.directory, kept)
        for arguments in self.alternatives():
            shutil.rmtree(self.directory)
            shutil.copytree(kept, self.directory)
            self.rivet(*arguments).expect(code)
            self.rivet("run", "-c", _CONFIG).expect(0)
        shutil.rmtree(kept)


@pytest.fixture
def place(rivet, shop, tmp_path):
    """A shop whose configuration is not the one that a command finds by itself."""
    home = tmp_path / "home"
    (home / "conf").mkdir(parents=True)
    shop.execute("CREATE TABLE other AS SELECT * FROM orders")
    shutil.move(shop.database, home / "conf" / "shop.db")
    return replace(rivet, directory=home)


def _configure(place, *exports, **source):
    defaults = {"format": "parquet", "destination": {"type": "local", "path": "out/{export}"}}
    body = {
        "source": {
            key: value
            for key, value in {"type": "sqlite", "url": "sqlite:///shop.db", **source}.items()
            if value is not None
        },
        "exports": [{"name": "orders", **defaults, **export} for export in exports],
    }
    (place.directory / _CONFIG).write_text(json.dumps(body, indent=1))


def _hint(place, *arguments, code=1, env=None):
    done = place(*arguments, env=env).expect(code)
    (hint,) = re.findall(r"^Hint: (.*)$", done.stderr, re.MULTILINE)
    return Told(hint, place.directory, place)


_INCREMENTAL = {"table": "orders", "mode": "incremental", "cursor_column": "id"}


def test_progress_of_something_else(place):
    _configure(place, _INCREMENTAL)
    place("run", "-c", _CONFIG).expect(0)
    _configure(place, {**_INCREMENTAL, "table": "other"})
    told = _hint(place, "run", "-c", _CONFIG, code=5)
    assert [one[:2] for one in told.alternatives()] == [["state", "reset"], ["state", "accept"]]
    told.execute()


def test_a_state_that_was_lost(place):
    _configure(place, _INCREMENTAL)
    place("run", "-c", _CONFIG).expect(0)
    shutil.rmtree(place.directory / "conf" / ".rivet")
    told = _hint(place, "run", "-c", _CONFIG, code=5)
    assert len(told.alternatives()) == 3
    told.execute()


def test_every_output_names_the_configuration(place):
    """Errors as JSON, events and remarks as well as the words for people."""
    _configure(place, _INCREMENTAL, {"name": "whole", "table": "other"})
    place("run", "-c", _CONFIG).expect(0)
    shutil.rmtree(place.directory / "conf" / ".rivet")
    named = f"`rivet repair -c {_CONFIG} -p more=1 --state`"
    run = ("run", f"-c{_CONFIG}", "-p", "more=1")
    done = place(*run, "-e", "orders", "--json-errors", "--progress", "json").expect(5)
    *events, error = map(json.loads, done.stderr.splitlines())
    assert named in error["hint"]
    (finished,) = [event for event in events if event["type"] == "finished"]
    assert finished["error_hint"] == error["hint"]
    done = place(*run, "--parallel-exports").expect(5)
    (remark,) = [line for line in done.stderr.splitlines() if "files at the destination" in line]
    assert named in remark
    (hint,) = re.findall(r"hint: (`.*)", done.stderr)
    assert re.search(r"`rivet repair -c \S+/conf/shop.yaml -p more=1 --state`", hint)


def test_one_of_several_failed(place):
    _configure(place, {"name": "orders", "table": "orders"}, {"name": "late", "table": "late"})
    given = ("--lock-wait", "5", "--strict", "--fresh", "--validate", "-p", "day=1 May")
    done = place("run", "-c", _CONFIG, *given).expect(1)
    (command,) = re.findall(r"go on with: (.*)$", done.stderr, re.MULTILINE)
    assert command.endswith(" -p 'day=1 May' -e late --validate --fresh --strict --lock-wait=5.0")
    _configure(place, {"name": "orders", "table": "orders"}, {"name": "late", "table": "other"})
    Told(command, place.directory, place).execute()


def test_one_that_failed_midway(place):
    _configure(
        place, {"table": "orders", "mode": "chunked", "chunk_column": "id", "chunk_count": 4}
    )
    done = place("run", "-c", _CONFIG, env={"RIVET_FAULT": "error@part_stored:2"}).expect(2)
    assert (
        "(of an unfinished run)\n  kept: the files and the progress of earlier runs" in done.stderr
    )
    (command,) = re.findall(r"go on with: (.*)$", done.stderr, re.MULTILINE)
    assert command.endswith(" --resume")
    Told(command, place.directory, place).execute()
    listed = json.loads(place("files", "-c", _CONFIG, "--json").expect(0).stdout)
    assert listed[0]["rows"] == 1000


def test_a_backfill_that_was_cut_off(place):
    _configure(place, _INCREMENTAL)
    place("run", "-c", _CONFIG).expect(0)
    bounds = ("-e", "orders", "--from", "1", "--to", "50")
    fault = {"RIVET_FAULT": "error@part_stored:0"}
    done = place("backfill", "-c", _CONFIG, *bounds, "--validate", env=fault).expect(2)
    (command,) = re.findall(r"go on with: rivet (.*)$", done.stderr, re.MULTILINE)
    assert "  rows:              49\n" in place(*shlex.split(command)).expect(0).stderr


def test_a_summary_that_cannot_be_written(place):
    _configure(place, {"table": "orders"})
    told = _hint(place, "run", "-c", _CONFIG, "--summary-output", "/proc/no/summary.json")
    told.execute()


def test_words_that_are_missing_on_the_command_line(place):
    _configure(place, {"table": "orders"}, url="sqlite:///${DB}")
    told = _hint(place, "run", "-c", _CONFIG)
    (name,) = re.findall(r"`export (\w+)=\.\.\.` first, or pass `--param \w+=\.\.\.`", told.hint)
    place("run", "-c", _CONFIG, env={name: "shop.db"}).expect(0)
    place("run", "-c", _CONFIG, "--param", f"{name}=shop.db").expect(0)
    told = _hint(place, "run", "-c", _CONFIG, "--parallel-exports", "2")
    (option,) = re.findall(r"^write (--\S+)$", told.hint)
    place("run", "-c", _CONFIG, option, "-p", "DB=shop.db").expect(0)
    told = _hint(place, "run", "--nothing")
    (command,) = re.findall(r"^run `rivet (.*)`$", told.hint)
    place(command).expect(0)


_CHUNKED = {"table": "orders", "mode": "chunked", "chunk_column": "id", "chunk_size": 250}
_CRASH = {"RIVET_FAULT": "kill@chunk_completed:1"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"compression": "snappy"}, 1),
        ({"table": "other"}, 1),
        ({"destination": {"type": "local", "path": "elsewhere"}}, 5),
    ],
)
def test_a_run_that_cannot_be_resumed(place, change, code):
    _configure(place, _CHUNKED)
    assert place("run", "-c", _CONFIG, env=_CRASH).code == -9
    _configure(place, {**_CHUNKED, **change})
    told = _hint(place, "run", "-c", _CONFIG, "--resume", code=code)
    assert "without --resume" in told.hint
    told.execute()


def test_a_cursor_of_another_type(place):
    _configure(place, _INCREMENTAL)
    place("run", "-c", _CONFIG).expect(0)
    with closing(sqlite3.connect(place.directory / "conf" / "shop.db")) as connection:
        connection.executescript(
            "DROP TABLE orders; CREATE TABLE orders (id timestamp, customer text);"
            "INSERT INTO orders VALUES ('2024-01-01 00:00:00', 'x')"
        )
    told = _hint(place, "run", "-c", _CONFIG)
    assert told.hint.startswith("start over with: ")
    told.execute()


def test_files_of_runs_that_cannot_be_listed(place):
    _configure(place, _INCREMENTAL)
    first = _run_of(place)
    _hint(place, "files", "-c", _CONFIG, "--run", "nothing").execute()
    place("run", "-c", _CONFIG, "--fresh").expect(0)
    told = _hint(place, "files", "-c", _CONFIG, "--since", first, code=5)
    assert told.hint.startswith("drop what you have of it")
    told.execute()


def _run_of(place):
    (one,) = place("run", "-c", _CONFIG, "--json").expect(0).json["per_export"]
    return one["run_id"]


def test_a_run_whose_files_are_no_data(place):
    _configure(place, _CHUNKED)
    _run_of(place)
    good = {one.name for one in place.directory.rglob("orders_*.parquet")}
    assert place("run", "-c", _CONFIG, env=_CRASH).code == -9
    (name, *_) = {one.name for one in place.directory.rglob("orders_*.parquet")} - good
    killed = re.split(r"-\d{5}-", name)[0]
    told = _hint(place, "files", "-c", _CONFIG, "--run", killed)
    assert told.hint.startswith("list what good runs hold")
    told.execute()


def test_what_others_may_write_to(place):
    _configure(place, {"table": "orders"})
    place("run", "-c", _CONFIG).expect(0)
    (place.directory / "conf" / ".rivet").chmod(0o777)
    told = _hint(place, "run", "-c", _CONFIG)
    (command,) = re.findall(r"`(chmod [^`]+)`", told.hint)
    subprocess.run(shlex.split(command), cwd=place.directory, check=True)
    place("run", "-c", _CONFIG).expect(0)
    secret = place.directory / "conf" / "url"
    secret.write_text("sqlite:///shop.db")
    secret.chmod(0o666)
    _configure(place, {"table": "orders"}, url=None, url_file="url")
    told = _hint(place, "run", "-c", _CONFIG)
    (command,) = re.findall(r"run (chmod \S+) on it", told.hint)
    subprocess.run([*command.split(), str(secret)], check=True)
    place("run", "-c", _CONFIG).expect(0)


def test_a_folder_that_is_not_there(shop, tmp_path):
    body = {
        "source": {"type": "sqlite", "path": str(shop.database)},
        "exports": [
            {
                "name": "orders",
                "table": "orders",
                "format": "csv",
                "destination": {"type": "local", "path": "out"},
            }
        ],
    }
    config = config_from_dict(body, base_dir=tmp_path / "not there")
    with pytest.raises(StateError) as caught:
        library.run(config)
    (command,) = re.findall(r"mkdir -p .*$", caught.value.hint)
    subprocess.run(shlex.split(command), check=True)
    assert library.run(config).rows == 1000


# Where a command that a text of the source names is executed, from the state it is printed in.
_KNOWN = json.loads((tree.ROOT / "tests/e2e/hints.json").read_text(encoding="utf-8"))
_COMMAND = re.compile(
    r"rivet (?:run|files|demo|prune|backfill|state \w+|repair --state|--help)\b"
    r"|`export \{\}=|mkdir -p|chmod [\w-]|pip install"
)


def _texts(path):
    parsed = ast.parse(path.read_text(encoding="utf-8"))
    pieces = set()
    for node in ast.walk(parsed):
        if isinstance(node, ast.JoinedStr):
            pieces |= {id(one) for one in node.values}
        elif isinstance(node, ast.Expr):
            pieces.add(id(node.value))  # a docstring
    for node in ast.walk(parsed):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values
            )
        elif isinstance(getattr(node, "value", None), str) and id(node) not in pieces:
            yield node.value


def _hints_of_the_source():
    for path in sorted((tree.ROOT / "src" / "rivet").rglob("*.py")):
        for text in _texts(path):
            if _COMMAND.search(text):
                yield f"{path.relative_to(tree.ROOT / 'src' / 'rivet')}: {' '.join(text.split())}"


def test_every_hint_is_known():
    found = set(_hints_of_the_source())
    assert sorted(found - set(_KNOWN)) == [], "no test executes it; add one, and a line here"
    assert sorted(set(_KNOWN) - found) == [], "no such hint any more"
    for text, where in _KNOWN.items():
        if where.startswith("not "):
            continue
        name, _, test = where.partition("::")
        assert f"def {test}(" in (tree.ROOT / name).read_text(encoding="utf-8"), text
