"""The state store in its SQLite file: the common behaviour, the file itself, many processes."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rivet.errors import StateError, StateLockedError, StateVersionError
from rivet.model.run import RunStatus
from rivet.state import schema
from rivet.state.filesystems import network_filesystem
from rivet.state.locks import export_lock, lock_file_name
from rivet.state.sqlite import SqliteDatabase
from rivet.state.store import StateStore, open_store
from unit.state.behaviour import StoreBehaviour, a_run, start, write_columns
from unit.state.chains import ChainBehaviour
from unit.state.finishes import FinishBehaviour
from unit.state.units import UnitBehaviour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@pytest.fixture(autouse=True)
def _no_shared_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIVET_STATE_URL", raising=False)


@pytest.fixture
def reopen(tmp_path: Path) -> Callable[[], StateStore]:
    return lambda: open_store(tmp_path)


@pytest.fixture
def store(reopen: Callable[[], StateStore]) -> Iterator[StateStore]:
    with reopen() as opened:
        yield opened


def state_file(folder: Path) -> Path:
    return folder / ".rivet" / "state.db"


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


class TestSqliteStore(StoreBehaviour, FinishBehaviour, UnitBehaviour, ChainBehaviour):
    """The common behaviour in a file."""


def test_the_file_is_private_and_durable(store: StateStore, tmp_path: Path) -> None:
    path = state_file(tmp_path)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    start(store, "r1")
    for file in path.parent.glob("state.db*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    store.journal("r1", "orders", "{}")
    with store.database.read() as db:
        assert db.one("PRAGMA journal_mode") == {"journal_mode": "wal"}
        assert db.one("PRAGMA synchronous") == {"synchronous": 2}
    assert store.location == str(path)


def test_an_open_store_needs_no_toolkit(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from rivet.state.store import open_store\n"
        "with open_store(Path(sys.argv[1])) as s: s.check_writable()\n"
        "print(sorted({'sqlalchemy', 'alembic', 'pyarrow', 'psycopg'} & set(sys.modules)))"
    )
    for _ in ("fresh", "again"):
        assert python(code, tmp_path).communicate()[0].strip() == "[]"


OPEN_TOGETHER = """
import sys, uuid
from pathlib import Path
from rivet.state.store import open_store
from rivet.state.sqlite import SqliteDatabase
if sys.argv[2] == "migrations":
    SqliteDatabase.create = lambda self: None
    import rivet.state.schema, alembic.migration, alembic.script
print("ready", flush=True)
sys.stdin.readline()
with open_store(Path(sys.argv[1])) as store:
    store.journal("r", "e", sys.argv[3])
"""


@pytest.mark.parametrize(("way", "processes"), [("at once", 16), ("migrations", 6)])
def test_many_processes_open_a_fresh_store(tmp_path: Path, way: str, processes: int) -> None:
    workers = [python(OPEN_TOGETHER, tmp_path, way, number) for number in range(processes)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    for worker in workers:
        output, _ = worker.communicate(timeout=120)
        assert (worker.returncode, output) == (0, "")
    with open_store(tmp_path) as store:
        assert sorted(map(int, store.journal_events("r"))) == list(range(processes))


COMPETE = """
from unit.state.behaviour import WHOLE, a_part
from rivet.errors import InternalError, RefusedError
from rivet.state.store import open_store
from pathlib import Path
with open_store(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        claim = store.claim("r1", "orders", WHOLE)
        store.record(claim, [a_part(sys.argv[2])], chunk_done=True)
        print("recorded")
    except (InternalError, RefusedError):
        pass
"""


def test_one_of_many_processes_completes_a_chunk(store: StateStore, tmp_path: Path) -> None:
    start(store, "r1")
    code = f"import sys; sys.path[:0] = {sys.path!r}\n{COMPETE}"
    workers = [python(code, tmp_path, number) for number in range(8)]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    outputs = [worker.communicate()[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * 8
    winner = outputs.index("recorded\n")
    assert outputs.count("") == 7
    assert [part.name for part in store.parts("r1")] == [str(winner)]


DIE_AT_STATEMENT = """
import os, sys
from pathlib import Path
from rivet.state import sqlite, store
connect, count = sqlite.SqliteDatabase._connect, 0
def trace(statement):
    global count
    count += 1
    if count == int(sys.argv[3]):
        os._exit(9)
def traced(self):
    connection = connect(self)
    connection.set_trace_callback(trace)
    return connection
sqlite.SqliteDatabase._connect = traced
if sys.argv[2] == "migrations":
    sqlite.SqliteDatabase.create = lambda self: None
store.open_store(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize(
    ("way", "moments"), [("at once", range(2, 28, 3)), ("migrations", (14, 23, 25, 33))]
)
def test_a_death_while_the_tables_are_made_is_harmless(
    tmp_path: Path, way: str, moments: Sequence[int]
) -> None:
    deaths, seen = 0, set()
    for moment in moments:
        folder = tmp_path / str(moment)
        folder.mkdir()
        worker = python(DIE_AT_STATEMENT, folder, way, moment)
        worker.communicate()
        deaths += worker.returncode == 9
        database = SqliteDatabase(state_file(folder))
        seen.add(database.revision())
        database.close()
        with open_store(folder) as store:
            start(store, "r1")
    assert deaths >= len(moments) - 1
    assert seen == ({None, "0001"} if way == "migrations" else {None, schema.REVISIONS[-1]})


def test_a_newer_store_is_refused_and_left_alone(store: StateStore, tmp_path: Path) -> None:
    with store.database.write() as db:
        db.change("UPDATE pyrivet.alembic_version SET version_num = '9999'")
    store.close()
    before = state_file(tmp_path).read_bytes()
    with pytest.raises(StateVersionError, match="9999") as refused:
        open_store(tmp_path)
    assert refused.value.error_code == "RIVET_STATE_SCHEMA_NEWER"
    assert state_file(tmp_path).read_bytes() == before


def test_a_file_of_another_program_is_refused(tmp_path: Path) -> None:
    state_file(tmp_path).parent.mkdir()
    with sqlite3.connect(state_file(tmp_path)) as connection:
        connection.execute("CREATE TABLE runs (a)")
    connection.close()
    with pytest.raises(StateVersionError, match="another program"):
        open_store(tmp_path)


def test_damage_is_told_before_anything_is_read(store: StateStore, tmp_path: Path) -> None:
    path = state_file(tmp_path)
    for number in range(30):
        write_columns(store, f"export {number}", [(f"column {n}", "string") for n in range(40)])
    store.close()
    whole = path.read_bytes()
    path.write_bytes(b"not a database, but long enough to be one " * 200)
    with pytest.raises(StateError, match="damaged") as refused:
        open_store(tmp_path)
    assert "repair --state" in (refused.value.hint or "")
    assert refused.value.exit_status == 5
    torn = bytearray(whole)
    torn[8192:40960] = b"\xff" * 32768
    path.write_bytes(torn)
    with pytest.raises(StateError, match="damaged"):
        open_store(tmp_path).check_writable()


AS_NOBODY = """
import os, sys
from pathlib import Path
from rivet.errors import StateError
from rivet.state.store import open_store
os.setgid(65534); os.setuid(65534)
try:
    open_store(Path(sys.argv[1])).check_writable()
except StateError as error:
    print(error.error_code, error.hint is not None)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root's rights, so it needs them")
@pytest.mark.parametrize("closed", ["folder", "file", "state folder"])
def test_a_state_that_cannot_be_written_is_told_at_once(closed: str) -> None:
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own are closed to others
    folder.chmod(0o755 if closed == "folder" else 0o777)
    try:
        if closed != "folder":
            open_store(folder).close()
            state_file(folder).chmod(0o666 if closed == "state folder" else 0o644)
            state_file(folder).parent.chmod(0o700 if closed == "file" else 0o500)
            os.chown(state_file(folder).parent, 65534, 65534)
        output, _ = python(AS_NOBODY, folder).communicate()
        assert output.strip() == "RIVET_STATE_NOT_WRITABLE True"
    finally:
        shutil.rmtree(folder)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from rivet.errors import StateError
from rivet.state.store import open_store
store = open_store(Path(sys.argv[1]))
store.check_writable()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = sum(file.stat().st_size for file in Path(sys.argv[1], ".rivet").glob("state.db*"))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    store.accept_run("orders", "x" * limit)
except StateError as error:
    print(error.hint)
"""


def test_a_full_disk_is_told_and_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    output, _ = python(FULL_DISK, tmp_path).communicate()
    assert output.startswith("check the free space")
    with open_store(tmp_path) as store:
        store.check_writable()
        assert store.schema_of("orders") is None


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="does not exist"):
        open_store(tmp_path / "nowhere")


def test_a_writer_that_stays_is_told(store: StateStore, tmp_path: Path) -> None:
    impatient = SqliteDatabase(state_file(tmp_path), busy_timeout_s=0.1)
    with store.database.write():
        with pytest.raises(StateLockedError), impatient.write():
            pass
        with impatient.read() as db:
            assert db.all("SELECT * FROM pyrivet.runs") == []
    impatient.close()


HOLD = """
import sys
from pathlib import Path
from rivet.state.locks import export_lock
from rivet.state.store import open_store
with open_store(Path(sys.argv[1])) as store, export_lock(store, "orders"):
    store.begin_run(__import__("unit.state.behaviour", fromlist=["x"]).a_run("dead"))
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_killed_holder_frees_the_export(store: StateStore, tmp_path: Path) -> None:
    worker = python(f"import sys; sys.path[:0] = {sys.path!r}\n{HOLD}", tmp_path)
    assert worker.stdout is not None
    assert worker.stdout.readline() == "held\n"
    with pytest.raises(Exception, match=f"pid {worker.pid} on host"), export_lock(store, "orders"):
        pass
    worker.send_signal(signal.SIGKILL)
    worker.communicate()
    with export_lock(store, "orders"):
        assert store.begin_run(a_run("alive")) == ("dead",)
    row = store.run("dead")
    assert row is not None
    assert row.status is RunStatus.SUPERSEDED


@pytest.mark.parametrize("name", ["orders", "Orders", "a/b", "..", ".", "", "я" * 300, "x\0y", "%"])
def test_lock_file_names_are_safe(name: str) -> None:
    encoded = lock_file_name(name)
    assert len(encoded.encode()) < 120
    assert not {"/", "\\", "\0", ":"} & set(encoded)
    assert not encoded.startswith(".")


def test_network_filesystems_are_known(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda / ext4 rw 0 0\n"
        "nas:/x /data\\040one nfs4 rw 0 0\n"
        "/dev/sdb /data\\040one/local xfs rw 0 0\n"
    )
    assert network_filesystem(Path("/data one/a"), mounts=mounts) == "nfs4"
    assert network_filesystem(Path("/data one/local/a"), mounts=mounts) is None
    assert network_filesystem(Path("/data"), mounts=mounts) is None
    assert network_filesystem(Path("/data"), mounts=tmp_path / "none") is None


_INTERRUPTED = """
import os, random, signal, sys
from pathlib import Path
from rivet.state.store import open_store

def stop(number, frame):
    raise SystemExit(143)

signal.signal(signal.SIGALRM, stop)
with open_store(Path(sys.argv[1])) as store:
    for _ in range(600):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0001, 0.003))
            while True:
                store.run("nothing")
        except SystemExit:
            pass
        store.run("nothing")
"""


def test_a_request_to_stop_leaves_no_transaction_open(tmp_path):
    """Whatever step of a transaction it comes at, the verdict can still be recorded."""
    command = [sys.executable, "-c", _INTERRUPTED, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
