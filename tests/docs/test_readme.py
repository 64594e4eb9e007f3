"""The commands of the README, run as a stranger runs them: in order, with an empty home."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support import tree

README = (tree.ROOT / "README.md").read_text(encoding="utf-8")
_BLOCKS = re.findall(r"^```(yaml|sh|python)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
_CONFIGURATIONS = [text for kind, text in _BLOCKS if kind == "yaml"]
_COMMANDS = [text for kind, text in _BLOCKS if kind == "sh"]
_URL = "postgresql://reader@localhost/shop"
_DUCKDB = """#!{python}
import sys, duckdb
print(duckdb.sql(sys.argv[2]))
"""
_SHOP = """
    CREATE TABLE {name} (id bigint PRIMARY KEY, updated_at timestamptz NOT NULL);
    INSERT INTO {name} SELECT n, timestamptz '2024-01-01' + n * interval '1 hour'
    FROM generate_series(1, 1000) n;
"""


class Stranger:
    """Somebody with a clone's `rivet` on the path, an empty home and an empty folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self._url = url
        self._home = folder / "home"
        self._bin = folder / "bin"
        self._home.mkdir()
        self._bin.mkdir()
        duckdb = self._bin / "duckdb"
        duckdb.write_text(_DUCKDB.format(python=sys.executable))
        duckdb.chmod(0o755)

    def configure(self, text: str) -> None:
        """Write `rivet.yaml`."""
        (self.folder / "rivet.yaml").write_text(text)

    def run(self, script: str) -> str:
        """Run lines of the README; return what they print."""
        assert os.environ.get("PATH")
        environment = {
            "HOME": str(self._home),
            "PATH": f"{self._bin}:{Path(sys.executable).parent}:/usr/bin:/bin",
            "DATABASE_URL": self._url,
            "LANG": "C.UTF-8",
        }
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script.replace(_URL, f"'{self._url}'")],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
        assert list(self._home.iterdir()) == []
        return done.stdout + done.stderr


def _own_database(stranger: Stranger) -> None:
    stranger.configure(_CONFIGURATIONS[0])
    lines = [*_CONFIGURATIONS[0].splitlines(), *_COMMANDS[1].splitlines()]
    assert len(lines) == 5
    assert "rivet run" in lines[-1]
    told = stranger.run(_COMMANDS[1])
    assert "1,000" in told
    assert "validated:         pass" in told
    assert "warning" not in told


@pytest.mark.parametrize("server", ["any_postgres", "tls_postgres"])
def test_five_lines_export_a_table_of_a_server_on_this_machine(request, tmp_path, server):
    database = request.getfixturevalue(server)
    database.execute(_SHOP.format(name="orders"))
    stranger = Stranger(tmp_path, database.url.replace("127.0.0.1", "localhost"))
    _own_database(stranger)
    if server == "any_postgres":
        counted = stranger.run(_COMMANDS[2])
        assert "count_star()" in counted
        assert "1000" in counted
    else:  # the same source, as one on another machine is written
        (source,) = re.findall(r"`(source: \{.*?, tls: .*?\}\})`", README)
        mended = source.replace("verify-full", f"verify-full, ca_file: {database.home / 'ca.crt'}")
        stranger.configure(mended + "\n" + _CONFIGURATIONS[0].partition("\n")[2])
        stranger.run("rivet run")


def test_every_other_command_of_the_readme(any_postgres, tmp_path):
    for name in ("orders", "events", "changes"):
        any_postgres.execute(_SHOP.format(name=name))
    stranger = Stranger(tmp_path, any_postgres.url)
    head, exports = _CONFIGURATIONS[0].splitlines(keepends=True)[0], _CONFIGURATIONS[1]
    stranger.configure(head + exports)
    rest = [
        line for block in _COMMANDS[3:] for line in block.splitlines() if line.startswith("rivet ")
    ]
    assert len(rest) >= 4
    told = stranger.run("\n".join(rest))
    assert "changes" in told
    stranger.configure(_CONFIGURATIONS[0])
    (library,) = (text for kind, text in _BLOCKS if kind == "python")
    (tmp_path / "example.py").write_text(library.replace(_URL, any_postgres.url))
    printed = stranger.run("python example.py").split()
    assert printed[0] == printed[-1] == "1000"


def test_the_name_that_is_installed_is_that_of_the_package():
    project = (tree.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (name,) = re.findall(r"`pip install ([a-z]+)`", README)
    assert f'name = "{name}"' in project
    assert "pip install ." in _COMMANDS[0]
    assert "`uv tool install .`" in _COMMANDS[0]
