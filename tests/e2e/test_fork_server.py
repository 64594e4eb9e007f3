"""The fork server itself: one thread, nothing open, and a death that nobody overlooks."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from rivet.execution.children import forked
from rivet.execution.children.launch import Ending
from rivet.execution.children.start import ready_launcher
from support.children import Nursery, is_running, open_descriptors, opened_since, wait_until

pytestmark = pytest.mark.skipif(not forked.is_available(), reason="no pidfds here")


@pytest.fixture
def nursery(rivet):
    launcher = forked.ForkLauncher.start(("sqlite",))
    yield Nursery(launcher, rivet.directory, rivet.environment)
    launcher.close()


def _threads(pid):
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_the_server_has_one_thread_and_nothing_open(rivet):
    launcher = forked.ForkLauncher.start(("postgresql", "sqlite"))
    launcher.wait_ready()
    pid = launcher.server_pid
    assert _threads(pid) == 1
    found = open_descriptors(pid)
    assert {found.pop(number) for number in (0, 1, 2)} == {"/dev/null"}
    kinds = sorted(link.partition("[")[0] for link in found.values())
    assert kinds == ["anon_inode:", "socket:"]  # its selector, its launcher
    assert os.getsid(pid) == pid
    nursery = Nursery(launcher, rivet.directory, rivet.environment)
    nursery.wait(*(nursery.start("--version") for _ in range(3)))
    assert open_descriptors(pid).keys() == {0, 1, 2, *found}
    assert _threads(pid) == 1
    assert psutil.Process(pid).children() == []
    launcher.close()
    assert not Path(f"/proc/{pid}").exists()


def test_its_death_is_told_of_every_live_child_and_ends_it(nursery, shop):
    shop.configure({}, {"name": "empty"})
    ended = nursery.start("--version")
    nursery.wait(ended)
    exports = ("orders", "empty")
    children = [nursery.start_paused(shop.config, "--export", name)[0] for name in exports]
    os.kill(nursery.launcher.server_pid, signal.SIGKILL)
    lost = Ending(lost="the process that started it was killed by SIGKILL")
    assert nursery.wait(*children) == lost
    assert nursery.ended == {ended.key: Ending(code=0), **{child.key: lost for child in children}}
    assert not any(is_running(child.pid) for child in children)
    with pytest.raises(forked.ForkingUnavailable, match="was killed by SIGKILL"):
        nursery.start("--version")


def test_its_death_is_found_by_the_next_launch_too(nursery, shop):
    child, _ = nursery.start_paused(shop.config)
    os.kill(nursery.launcher.server_pid, signal.SIGKILL)
    with pytest.raises(forked.ForkingUnavailable):
        nursery.start("--version")
    assert "SIGKILL" in nursery.wait(child).lost
    assert not is_running(child.pid)


def test_what_comes_after_its_death_is_started_the_plain_way(rivet, shop):
    forking = forked.ForkLauncher.start(("sqlite",))
    launcher = ready_launcher(forking)
    nursery = Nursery(launcher, rivet.directory, rivet.environment)
    try:
        lost, _ = nursery.start_paused(shop.config)
        os.kill(forking.server_pid, signal.SIGKILL)
        after = nursery.start("--version")
        assert "SIGKILL" in nursery.wait(lost).lost
        assert nursery.wait(after) == Ending(code=0)
        assert nursery.text(after).startswith("rivet ")
        lively, _ = nursery.start_paused(shop.config)
        launcher.send_signal(lively.key, signal.SIGTERM)
        assert nursery.wait(lively).exit_code == 143
    finally:
        launcher.close()


def test_a_child_does_not_outlive_it(nursery, shop):
    """Not even one that nobody was told of: here nobody looks for endings."""
    child, _ = nursery.start_paused(shop.config)
    os.kill(nursery.launcher.server_pid, signal.SIGKILL)
    wait_until(lambda: not is_running(child.pid))


_PARENT = """
import os, sys, time
from pathlib import Path
from rivet.execution.children.forked import ForkLauncher
from support.children import Nursery
launcher = ForkLauncher.start(("sqlite",))
nursery = Nursery(launcher, Path(sys.argv[1]), dict(os.environ))
child, _ = nursery.start_paused(Path(sys.argv[2]))
print(launcher.server_pid, child.pid, flush=True)
time.sleep(600)
"""


def test_it_ends_after_its_launcher_and_its_children(shop):
    """The child has no lifeline here: it ends when its marker goes."""
    tests = str(Path(__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, shop.directory, shop.config],
        env={**os.environ, "PYTHONPATH": tests},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        server, child = (int(word) for word in parent.stdout.readline().split())
        parent.kill()
    time.sleep(0.2)
    assert is_running(server)
    assert is_running(child)
    next(shop.directory.glob("hold-*")).unlink()
    wait_until(lambda: not is_running(server), limit_s=5)
    assert not is_running(child)
    assert (shop.out / "orders/_SUCCESS").exists()


def test_a_fork_that_fails_is_an_error_of_that_order_only(nursery):
    nursery.launcher.wait_ready()
    server = nursery.launcher.server_pid
    limits = resource.prlimit(server, resource.RLIMIT_NOFILE)
    free = [number for number in range(100) if number not in open_descriptors(server)]
    for most in free[:4]:
        resource.prlimit(server, resource.RLIMIT_NOFILE, (most, limits[1]))
        with pytest.raises(OSError, match="Too many open files"):
            nursery.start("--version")
    resource.prlimit(server, resource.RLIMIT_NOFILE, limits)
    assert nursery.wait(nursery.start("--version")) == Ending(code=0)
    assert psutil.Process(server).children() == []


def test_only_rivet_is_forked(nursery):
    order = nursery.order("--version")
    foreign = type(order)(**{**_fields(order), "command": ("/bin/true",)})
    with pytest.raises(forked.ForkingUnavailable):
        nursery.launcher.launch(foreign)
    os.close(order.stdout)
    os.close(order.stderr)


def _fields(order):
    return {name: getattr(order, name) for name in type(order).__slots__}


@pytest.mark.parametrize(
    ("what_happens", "words"),
    [
        (
            "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()",
            "2 threads",
        ),
        ("import sys; sys.modules['pyarrow'] = None", "pyarrow"),
        ("import os; os._exit(3)", "ended with exit code 3"),
    ],
)
def test_a_server_that_cannot_be_used_says_why(tmp_path, what_happens, words):
    (tmp_path / "sitecustomize.py").write_text(what_happens)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    launcher = forked.ForkLauncher.start(("sqlite",), environment=environment)
    with pytest.raises(forked.ForkingUnavailable, match=words):
        launcher.wait_ready()
    assert launcher.endings() == []
    launcher.close()


def test_closing_does_not_wait_for_the_imports():
    before = open_descriptors()
    launcher = forked.ForkLauncher.start(("sqlite",))
    pid = launcher.server_pid
    launcher.close()
    launcher.close()
    assert not Path(f"/proc/{pid}").exists()
    assert not opened_since(before)


_RUN = """
import os, sys
from rivet.cli import preloaded
from rivet.execution.children.forked import modules_for
preloaded.preload(modules_for(["sqlite"]))
preloaded.warm_up()
import rivet
from rivet.execution.children.context import ChildContext, offer, to_bytes
config = rivet.load_config(sys.argv[1])
told = config.to_document(only=("orders",))
context = ChildContext("orders_1", "agg", "2024-02-29T00:00:00+00:00", config.digest, told, {})
os.environ["RIVET_CONTEXT_FD"] = str(offer(to_bytes(context)))
before = set(sys.modules)
def leave(code):
    print(code, *sorted(set(sys.modules) - before), file=sys.stderr, flush=True)
    os.kill(os.getpid(), 9)
os._exit = leave
sys.argv = ["rivet", "run", "--config", sys.argv[1], "--export", "orders"]
preloaded.run_command()
"""


def test_a_run_imports_nothing_more(rivet, shop):
    done = subprocess.run(
        [sys.executable, "-c", _RUN, shop.config],
        env={**rivet.environment, "RIVET_IPC_EVENTS": "1"},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    code, *imported = done.stderr.split()
    assert code == "0", done.stderr
    assert imported == [], " ".join(imported)


def test_forty_children(nursery, capsys):
    nursery.launcher.wait_ready()
    began = time.perf_counter()
    children = [nursery.start("--version") for _ in range(40)]
    nursery.wait(*children)
    took = time.perf_counter() - began
    assert {nursery.ended[child.key] for child in children} == {Ending(code=0)}
    with capsys.disabled():
        sys.stdout.write(f"\n40 forked children started and ended in {took:.2f} s\n")
