"""Every name that a user can give, times every kind of thing that may lie under it.

The command ends in bounded time and memory, with the right code and one line, and touches nothing
else. Names that only a library call reads are in tests/unit/test_openfile.py.
"""

import os
import shutil
import socket
import sqlite3
from contextlib import closing

import pytest

from support import warm

CONFIG = """
source: {type: sqlite, path: a.db}
exports:
- {name: t, table: t, format: csv, destination: {type: local, path: out}}
"""
NOBODY = 65534
LIMIT = 3 * 1024**3
MOST_MB = 300


def fifo(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


def full(path):
    path.symlink_to("/dev/full")


def listening(path):
    folder = os.open(path.parent, os.O_RDONLY)  # a name of a socket has a hundred characters
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def dangling(path):
    path.symlink_to(path.parent / "nowhere")


def link(path):
    path.symlink_to(path.parent / "precious")


def folder(path):
    path.mkdir()


def huge(path):
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def empty(path):
    path.write_bytes(b"")


KINDS = [fifo, zero, link, folder, huge]
MORE = [full, listening, dangling, empty]
TRIED_WITH_MORE = {".rivet/state.db", "summary.json"}
# Where a name may hold, beside the kinds it must refuse, what a new file or an empty one is.
NAMES = {
    "rivet.yaml": (1, ()),
    "a.db": (1, ()),
    ".rivet/state.db": (1, (empty,)),
    ".rivet/locks": (1, (folder,)),
    ".rivet": (1, (folder,)),
    "out": (1, (folder,)),
    "out/manifest.json": (3, ()),
    "summary.json": (1, (empty, huge, link, dangling)),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    base = tmp_path_factory.mktemp("template")
    with closing(sqlite3.connect(base / "a.db")) as connection, connection:
        connection.execute("CREATE TABLE t (id integer PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (1)")
    (base / "rivet.yaml").write_text(CONFIG)
    (base / "precious").write_text("precious")
    return base


def run(base, *arguments):
    ended = warm.server().run(
        ["run", "-c", "rivet.yaml", "--summary-output", "summary.json", *arguments],
        base,
        {**warm.plain_environment(), "HOME": str(base)},
        60,
        address_space=LIMIT,
    )
    assert ended.peak_mb < MOST_MB
    return ended.code, ended.stderr


@pytest.mark.parametrize("name", NAMES)
def test_every_name_times_every_kind(name, template, tmp_path):
    expected, fine = NAMES[name]
    for make in [*KINDS, *MORE] if name in TRIED_WITH_MORE else KINDS:
        base = tmp_path / make.__name__
        shutil.copytree(template, base)
        path = base / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        make(path)
        kind = path.lstat().st_mode
        code, said = run(base)
        told = (name, make.__name__, code, said)
        assert "Traceback" not in said, told
        assert "this is a bug" not in said, told
        # A link that the user names is followed.
        if not (make is link and name == "summary.json"):
            assert (base / "precious").read_text() == "precious", told
        if make in fine:
            assert code == 0, told
        else:
            assert code in {expected, 5}, told
            assert path.lstat().st_mode == kind, told
        shutil.rmtree(base)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, so it needs root")
def test_folders_of_others_are_not_trusted_with_state(template, tmp_path):
    for name in (".rivet", ".rivet/locks"):
        for spoil in (lambda path: os.chown(path, NOBODY, NOBODY), lambda path: path.chmod(0o777)):
            base = tmp_path / "x"
            shutil.copytree(template, base)
            path = base / name
            path.mkdir(parents=True, mode=0o700)
            path.parent.chmod(0o700)
            spoil(path)
            code, said = run(base)
            assert code == 1, said
            assert "RIVET_STATE_FOLDER_UNSAFE" in said
            assert not (base / "out/manifest.json").exists()
            shutil.rmtree(base)


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user, so it needs root")
def test_what_belongs_to_others_is_read_and_written_to(template, tmp_path):
    base = tmp_path / "x"
    shutil.copytree(template, base)
    (base / "out").mkdir()
    for name in ("rivet.yaml", "a.db", "out"):
        os.chown(base / name, NOBODY, NOBODY)
    for name in ("a.db", "out"):
        (base / name).chmod(0o777)
    code, said = run(base)
    assert code == 0, said
    assert "warning" not in said
    assert (base / "out/manifest.json").exists()
