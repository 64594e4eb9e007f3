"""Names that are no files never block, never end in memory, and are told by what they are."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from rivet.config.load import config_from_text, load_config
from rivet.config.resolve import resolve_query_file, resolve_source
from rivet.errors import RivetError, StateError
from rivet.openfile import FileTooLargeError, NotRegularFileError, open_regular, read_regular
from rivet.sources.files import check_file
from rivet.state.locks import export_lock
from rivet.state.store import open_store

CONFIG = """
source: {{type: {engine}, {source}}}
exports:
- {{name: a, {what}, format: csv, destination: {{type: local, path: out}}}}
"""


def fifo(path):
    os.mkfifo(path)


def zero(path):
    path.symlink_to("/dev/zero")


def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def nothing_there(path):
    path.symlink_to(path.parent / "nowhere")


def folder(path):
    path.mkdir()


def huge(path):
    with path.open("wb") as file:
        file.truncate(10**12)


NO_FILES = [fifo, zero, listening, nothing_there, folder]
every_kind = pytest.mark.parametrize("make", [*NO_FILES, huge])


def open_config(path):
    load_config(path)


def open_url_file(path):
    text = CONFIG.format(engine="postgresql", source=f"url_file: {path}", what="table: t")
    resolve_source(config_from_text(text, path.with_name("rivet.yaml")))


def open_query_file(path):
    text = CONFIG.format(engine="sqlite", source="path: a.db", what=f"query_file: {path.name}")
    config = config_from_text(text, path.with_name("rivet.yaml"))
    resolve_query_file(config, config.exports[0])


@every_kind
@pytest.mark.parametrize("use", [open_config, open_url_file, open_query_file])
def test_every_name_in_a_configuration(use, make, tmp_path):
    make(tmp_path / "name")
    with pytest.raises(RivetError) as caught:
        use(tmp_path / "name")
    assert "name" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("make", NO_FILES)
def test_a_database_file(make, tmp_path):
    make(tmp_path / "name")
    with pytest.raises(RivetError):
        check_file(tmp_path / "name", logs=())


def test_the_limit_is_of_what_is_read():
    # The size of files in /proc is told as 0.
    assert Path("/proc/self/status").stat().st_size == 0
    with pytest.raises(FileTooLargeError, match="larger than 9 bytes"):
        read_regular(Path("/proc/self/status"), max_bytes=9)


def test_links_are_followed_only_where_that_is_asked_for(tmp_path):
    (tmp_path / "file").write_text("text")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_regular(tmp_path / "link", max_bytes=9) == b"text"
    with pytest.raises(NotRegularFileError, match="a link"):
        open_regular(tmp_path / "link", flags=os.O_RDWR | os.O_NOFOLLOW)


def state_in(base):
    return open_store(base)


def use_state(base):
    with state_in(base) as state:
        state.check_writable()


def test_a_prepared_link_is_not_written_through(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    with state_in(tmp_path) as state:
        with export_lock(state, "a"):
            (lock,) = (tmp_path / ".rivet/locks").iterdir()
        lock.unlink()
        lock.symlink_to(target)
        with pytest.raises(StateError, match="it is a link"), export_lock(state, "a"):
            pass
    assert target.read_text() == "precious"


def test_a_state_file_behind_a_link_is_refused(tmp_path):
    (tmp_path / ".rivet").mkdir(mode=0o700)
    (tmp_path / ".rivet/state.db").symlink_to(tmp_path / "other.db")
    with pytest.raises(StateError, match="it is a link"):
        use_state(tmp_path)
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_state_folder_that_others_can_write_is_refused(mode, tmp_path):
    (tmp_path / ".rivet").mkdir()
    (tmp_path / ".rivet").chmod(mode)
    with pytest.raises(StateError, match="other users can write") as caught:
        use_state(tmp_path)
    assert caught.value.error_code == "RIVET_STATE_FOLDER_UNSAFE"
    assert list((tmp_path / ".rivet").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_state_folder_of_another_user_is_refused(tmp_path):
    (tmp_path / ".rivet").mkdir(mode=0o700)
    os.chown(tmp_path / ".rivet", 65534, 65534)
    with pytest.raises(StateError, match="belongs to another user"):
        use_state(tmp_path)


def test_folders_of_state_are_private_whatever_the_umask(tmp_path):
    code = (
        "import os, sys; from pathlib import Path; os.umask(0)\n"
        "from rivet.openfile import make_private_folder\n"
        "make_private_folder(Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "made")], check=True)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700
