"""Every way to start a child gives the same child, and the same word about its end."""

import fcntl
import json
import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

from rivet.execution.children import forked
from rivet.execution.children.launch import Ending
from rivet.execution.children.plain import PlainLauncher
from support.children import Nursery, is_running, open_descriptors, opened_since, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

needs_forking = pytest.mark.skipif(not forked.is_available(), reason="no pidfds here")


def _forked():
    return forked.ForkLauncher.start(("sqlite",))


MAKERS = {
    "plain": pytest.param(PlainLauncher, id="plain"),
    "forked": pytest.param(_forked, id="forked", marks=needs_forking),
}


@pytest.fixture(scope="module", params=MAKERS.values())
def launcher(request):
    made = request.param()
    yield made
    made.close()


@pytest.fixture
def nursery(launcher, rivet):
    return Nursery(launcher, rivet.directory, rivet.environment)


def test_output_and_exit_code_of_a_good_child(nursery):
    child = nursery.start("--version")
    assert nursery.wait(child) == Ending(code=0)
    assert nursery.text(child).startswith("rivet ")
    assert nursery.text(child, "err") == ""


def test_output_and_exit_code_of_a_failing_child(nursery):
    child = nursery.start("files", "--config", "not-there.yaml")
    assert nursery.wait(child) == Ending(code=1)
    assert nursery.text(child) == ""
    assert "not-there.yaml" in nursery.text(child, "err")


def test_a_wrong_command_line_is_told_as_usual(nursery):
    child = nursery.start("run", "--not-a-flag", "--json-errors")
    assert nursery.wait(child) == Ending(code=1)
    assert json.loads(nursery.text(child, "err"))["code"] == "RIVET_USAGE"


def test_a_whole_run(nursery, shop):
    child = nursery.start("run", "--config", shop.config, environment={"RIVET_IPC_EVENTS": "1"})
    assert nursery.wait(child) == Ending(code=0)
    last = json.loads(nursery.text(child).splitlines()[-1])
    assert (last["type"], last["status"], last["total_rows"]) == ("finished", "success", 1000)
    assert (shop.out / "orders/_SUCCESS").exists()


@pytest.mark.parametrize(
    ("fault", "ending"),
    [
        ("kill@part_stored", Ending(signal=signal.SIGKILL)),
        ("exit@part_stored", Ending(code=137)),
        ("error@part_stored", Ending(code=2)),
    ],
)
def test_a_child_that_dies_in_the_middle(nursery, shop, fault, ending):
    shop.configure({"tuning": {"max_retries": 0}})
    variables = {"RIVET_FAULT": fault, "RIVET_IPC_EVENTS": "1"}
    child = nursery.start("run", "--config", shop.config, environment=variables)
    assert nursery.wait(child) == ending


def test_a_signal_reaches_the_child_and_its_answer_is_told(nursery, shop):
    child, _ = nursery.start_paused(shop.config)
    nursery.launcher.send_signal(child.key, signal.SIGTERM)
    assert nursery.wait(child) == Ending(code=128 + signal.SIGTERM)
    nursery.launcher.send_signal(child.key, signal.SIGTERM)  # nothing, and no error


def test_a_child_that_is_killed_is_told_by_its_signal(nursery, shop):
    child, _ = nursery.start_paused(shop.config)
    nursery.launcher.send_signal(child.key, signal.SIGKILL)
    assert nursery.wait(child) == Ending(signal=signal.SIGKILL)
    assert not Path(f"/proc/{child.pid}").exists()


def test_a_child_leads_its_session_and_shows_its_command_line(nursery, shop):
    child, marker = nursery.start_paused(shop.config)
    assert (os.getsid(child.pid), os.getpgid(child.pid)) == (child.pid, child.pid)
    shown = Path(f"/proc/{child.pid}/cmdline").read_text().replace("\0", " ")
    assert shown.strip() == f"{sys.executable} -P -m rivet run --config {shop.config}"
    marker.unlink()
    assert nursery.wait(child) == Ending(code=0)


def test_an_inherited_descriptor_keeps_its_number_and_no_other_is_there(nursery, shop):
    reader, writer = os.pipe()
    high = fcntl.fcntl(reader, fcntl.F_DUPFD, 90)  # a free number: the suite has files open, too
    # Numbers that are in use where the child comes from, and one beyond them.
    child, marker = nursery.start_paused(shop.config, inherited=(high, reader))
    found = open_descriptors(child.pid)
    assert found[high] == found[reader] == open_descriptors()[reader]
    assert [link for number, link in found.items() if "pipe:" in link and number > 2] == [
        found[reader],
        found[reader],
    ]
    assert "socket:" not in "".join(found.values())
    assert found[0] == "/dev/null"
    marker.unlink()
    assert nursery.wait(child) == Ending(code=0)
    for descriptor in (reader, writer, high):
        os.close(descriptor)


def test_the_environment_is_the_orders_and_no_more(nursery, shop):
    shop.configure({"destination": {"type": "local", "path": "out/${FOLDER}"}})
    events = {"RIVET_IPC_EVENTS": "1"}
    given = nursery.start("run", "-c", shop.config, environment={"FOLDER": "här", **events})
    missing = nursery.start("run", "-c", shop.config, environment=events)
    assert nursery.wait(given, missing) == Ending(code=0), nursery.text(given, "err")
    assert (shop.out / "här/_SUCCESS").exists()
    assert nursery.ended[missing.key] == Ending(code=1)
    assert "FOLDER" in nursery.text(missing, "err")


def test_a_large_environment(nursery):
    many = {f"VARIABLE_{number}": "x" * 1000 for number in range(300)}
    child = nursery.start("--version", environment={**many, "BYTES": os.fsdecode(b"\xff\xfe")})
    assert nursery.wait(child) == Ending(code=0)


def test_a_directory_that_is_not_there_is_an_error_of_the_launch(nursery, tmp_path):
    with pytest.raises(FileNotFoundError):
        nursery.start("--version", directory=tmp_path / "gone")
    assert nursery.wait(nursery.start("--version")) == Ending(code=0)


def test_many_children_leave_no_descriptor_and_no_zombie(nursery):
    nursery.wait(nursery.start("--version"))
    before = open_descriptors()
    children = [nursery.start("--version") for _ in range(4)]
    nursery.wait(*children)
    assert {nursery.ended[child.key] for child in children} == {Ending(code=0)}
    wait_until(lambda: not opened_since(before))
    assert not any(Path(f"/proc/{child.pid}").exists() for child in children)


@pytest.mark.parametrize("make", MAKERS.values())
def test_closing_kills_what_still_runs(make, rivet, shop):
    before = open_descriptors()
    nursery = Nursery(make(), rivet.directory, rivet.environment)
    child, _ = nursery.start_paused(shop.config)
    nursery.launcher.close()
    assert not is_running(child.pid)
    assert not opened_since(before)


def _settled(pid):
    """Return the descriptors of a process whose other threads open and close nothing any more."""
    before, found = None, open_descriptors(pid)
    while found != before:
        time.sleep(0.2)
        before, found = found, open_descriptors(pid)
    return found


@needs_forking
def test_a_forked_child_is_what_a_plain_one_is(rivet, shop):
    """Signals, arguments, descriptors and name, as the system shows them."""
    seen = {}
    for name, make in (("plain", PlainLauncher), ("forked", _forked)):
        nursery = Nursery(make(), rivet.directory, rivet.environment)
        child, marker = nursery.start_paused(shop.config)
        status = dict(
            line.split(":\t", 1)
            for line in Path(f"/proc/{child.pid}/status").read_text().splitlines()
        )
        links = [re.sub(r"(?<=/tellings/).*", "", link) for link in _settled(child.pid).values()]
        seen[name] = {
            **{key: status[key] for key in ("Name", "Umask", "SigBlk", "SigIgn", "SigCgt")},
            "directory": str(Path(f"/proc/{child.pid}/cwd").readlink()),
            "program": str(Path(f"/proc/{child.pid}/exe").readlink()),
            "files": sorted(link.replace(f"child-{child.key}", "child") for link in links),
        }
        marker.unlink()
        nursery.wait(child)
        nursery.launcher.close()
    assert seen["forked"] == seen["plain"]
