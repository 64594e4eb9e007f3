"""The local destination: what a killed process, a power loss or a bad folder can leave."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rivet.destinations import local
from rivet.errors import DestinationAuthError, DestinationError, ObjectExistsError
from rivet.model.diskerrors import translated
from support.sinks import store

AS_NOBODY = """
import os, sys
from rivet.destinations import local
from rivet.errors import RivetError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    local.open(local.Options(path=sys.argv[1]))
except RivetError as error:
    print(type(error).__name__, error.error_code)
"""


def opened(path) -> local.LocalDestination:
    return local.open(local.Options(path=str(path)))


def test_opening_leaves_only_the_folder(tmp_path) -> None:
    destination = local.open(local.Options(path="a/b/c"), base_dir=tmp_path)
    assert destination.uri == f"file://{tmp_path}/a/b/c"
    assert list((tmp_path / "a/b/c").iterdir()) == []


def test_a_relative_path_follows_the_configuration(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert opened("here").uri == f"file://{tmp_path}/here"
    absolute = local.open(local.Options(path=str(tmp_path / "abs")), base_dir=tmp_path / "x")
    assert absolute.uri == f"file://{tmp_path}/abs"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_an_unwritable_folder_is_found_when_opening(tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("closed")
    for place in (folder, folder / "sub"):
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(place)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == ["DestinationAuthError", "RIVET_DESTINATION_AUTH"]
    assert list(folder.iterdir()) == []


def test_a_file_in_the_way_is_named(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(DestinationError) as caught:
            opened(path)
        assert str(tmp_path / "file") in caught.value.message


def test_staged_files_are_hidden_inside_the_destination(tmp_path) -> None:
    destination = opened(tmp_path)
    staging = destination.create("half").path.parent
    assert staging.parent == tmp_path
    assert staging.name.startswith(".")
    assert staging.name.endswith(".tmp")
    assert str(os.getpid()) in staging.name
    (tmp_path / ".other.parquet.123.tmp").write_bytes(b"x")
    (tmp_path / "data.parquet").write_bytes(b"x")
    assert [found.name for found in destination.walk()] == ["data.parquet"]
    destination.close()
    assert not staging.exists()
    assert (tmp_path / ".other.parquet.123.tmp").exists()


def test_a_staging_folder_of_a_dead_process_is_swept(tmp_path) -> None:
    code = (
        "import os, sys\n"
        "from rivet.destinations import local\n"
        "d = local.open(local.Options(path=sys.argv[1]))\n"
        "d.create('big').write(b'x')\n"
        "os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    alive = opened(tmp_path)
    mine = alive.create("part").path.parent
    assert [entry.name for entry in tmp_path.iterdir()] == [mine.name]
    opened(tmp_path).close()
    assert mine.is_dir()
    alive.close()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_swept_but_what_has_the_exact_name_of_ours(tmp_path) -> None:
    host = socket.gethostname()
    kept = [
        f".rivet-{host}-important-data",
        f".rivet-{host}-1234-0123456.tmp",
        f".rivet-{host}-1234-0123456g.tmp",
        f".rivet-{host}-12x4-01234567.tmp",
        f".rivet-{host}-1234-01234567.tmp.bak",
        f".rivet-{host}x-1234-01234567.tmp",
    ]
    for name in kept:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("important")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("important")
    (tmp_path / f".rivet-{host}-1234-01234567.tmp").symlink_to(elsewhere)
    dead = tmp_path / f".rivet-{host}-1234-89abcdef.tmp"
    dead.mkdir()
    opened(tmp_path).close()
    assert not dead.exists()
    for name in (*kept, "elsewhere"):
        assert (tmp_path / name / "file").read_text() == "important"


def test_what_is_no_file_is_not_read(tmp_path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(DestinationError, match="a named pipe, not a file"):
        opened(tmp_path).get("manifest.json", max_bytes=9)


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP])
def test_a_file_system_without_links_still_never_overwrites(tmp_path, monkeypatch, code) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", no_links)
    destination = opened(tmp_path)
    for name, body in (("a", b"1"), ("b", b"2")):
        store(destination, name, body)
    with pytest.raises(ObjectExistsError):
        store(destination, "a", b"3")
    assert destination.get("a", max_bytes=9) == b"1"


def test_parts_folders_and_their_parents_are_synced(tmp_path, monkeypatch) -> None:
    synced: list[str] = []
    real = os.fsync

    def watched(descriptor: int) -> None:
        synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        real(descriptor)

    destination = opened(tmp_path)
    sink = destination.create("day=1/part")
    sink.write(b"x")
    monkeypatch.setattr(os, "fsync", watched)
    sink.publish()
    assert synced == [str(sink.path), str(tmp_path), str(tmp_path / "day=1")]
    synced.clear()
    destination.put_bytes(b"x", "_SUCCESS")
    assert synced[-1] == str(tmp_path)
    assert len(synced) == 2


def test_a_vanished_folder_is_one_plain_error(tmp_path) -> None:
    destination = opened(tmp_path / "out")
    sink = destination.create("a")
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(DestinationError, match="not there"):
        sink.publish()
    with pytest.raises(DestinationError, match="not there"):
        destination.create("b")


@pytest.mark.parametrize(
    ("code", "cls", "stable"),
    [
        (errno.ENOSPC, DestinationError, "RIVET_DESTINATION_FULL"),
        (errno.EDQUOT, DestinationError, "RIVET_DESTINATION_FULL"),
        (errno.EACCES, DestinationAuthError, "RIVET_DESTINATION_AUTH"),
        (errno.EROFS, DestinationAuthError, "RIVET_DESTINATION_AUTH"),
        (errno.EXDEV, DestinationError, "RIVET_DESTINATION_ERROR"),
    ],
)
def test_errors_of_the_system_are_translated(code, cls, stable) -> None:
    error = translated(OSError(code, os.strerror(code)), "cannot write", "out/a")
    assert type(error) is cls
    assert error.error_code == stable
    assert error.message.startswith("cannot write out/a: ")
