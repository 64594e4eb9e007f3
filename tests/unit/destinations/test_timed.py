"""A destination whose calls hang: each is waited for within its limits, and takes nothing later."""

from __future__ import annotations

import _thread
import threading
import time

import pytest

from rivet.config.destination import DestinationConfig
from rivet.destinations import local, open_destination, sink_ref
from rivet.errors import DestinationError, DestinationTimeoutError
from support.children import wait_until
from support.sinks import store

CALLS = {
    "put_bytes": lambda destination: destination.put_bytes(b"new", "manifest.json"),
    "get": lambda destination: destination.get("manifest.json", max_bytes=9),
    "stat": lambda destination: destination.stat("manifest.json"),
    "walk": lambda destination: list(destination.walk()),
    "move": lambda destination: destination.move("manifest.json", "moved"),
    "remove": lambda destination: destination.remove("manifest.json"),
}


@pytest.fixture
def hang(monkeypatch):
    """Have a call of a local destination hang until the test is over, before it does anything."""
    over = threading.Event()

    def install(owner, name: str) -> threading.Event:
        real = getattr(owner, name)

        def wait(*args: object, **more: object):
            over.wait(60)
            return real(*args, **more)

        monkeypatch.setattr(owner, name, wait)
        return over

    yield install
    over.set()
    wait_until(lambda: all(one.name != "rivet-upload" for one in threading.enumerate()))


def opened(folder, **keys: object):
    block = DestinationConfig.model_validate({"type": "local", "path": str(folder), **keys})
    return open_destination(sink_ref(block))


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_hangs_ends_and_does_not_hold_up_closing(tmp_path, hang, name) -> None:
    destination = opened(tmp_path)
    destination.put_bytes(b"old", "manifest.json")
    destination.limits.timeout_s = 0.2
    over = hang(local.LocalDestination, name)
    begun_at = time.monotonic()
    with pytest.raises(DestinationTimeoutError, match=r"took longer than 0\.2 s") as caught:
        CALLS[name](destination)
    assert str(tmp_path) in caught.value.message
    assert "destination.timeout_s" in (caught.value.hint or "")
    assert (caught.value.exit_status, caught.value.retryable) == (2, True)
    destination.close()
    assert time.monotonic() - begun_at < 5
    over.set()
    if name == "put_bytes":  # what comes back after the end replaces nothing
        wait_until(lambda: all(one.name != "rivet-upload" for one in threading.enumerate()))
        assert (tmp_path / "manifest.json").read_bytes() == b"old"
        assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_a_mount_that_is_gone_is_found_when_opening(tmp_path, hang) -> None:
    hang(local, "_probe")
    with pytest.raises(DestinationTimeoutError, match=r"opening it took longer than 0\.2 s"):
        opened(tmp_path, timeout_s=0.2)


def test_who_interrupts_a_call_does_not_wait_for_closing(tmp_path, hang) -> None:
    destination = opened(tmp_path, timeout_s=0)  # none knows of the interrupt but this thread
    hang(local.LocalDestination, "put_bytes")
    timer = threading.Timer(0.3, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        destination.put_bytes(b"x", "manifest.json")
    timer.join()
    begun_at = time.monotonic()
    destination.close()
    assert time.monotonic() - begun_at < 5


def test_closing_that_hangs_is_given_up(tmp_path, hang) -> None:
    destination = opened(tmp_path, timeout_s=0.2)
    destination.create("half").write(b"x")
    hang(local.LocalDestination, "close")
    destination.close()
    assert destination.limits.has_hung


def test_nothing_is_begun_or_seen_after_closing(tmp_path) -> None:
    destination = local.open(local.Options(path=str(tmp_path)))
    sink = destination.create("late")
    destination.close()
    for act in (
        lambda: destination.create("other"),
        lambda: destination.put_bytes(b"x", "manifest.json"),
        sink.publish,
    ):
        with pytest.raises(DestinationError):
            act()
    sink.abort()
    assert list(tmp_path.iterdir()) == []
    assert store(local.open(local.Options(path=str(tmp_path))), "a", b"x").size_bytes == 1


def test_the_limit_is_that_of_the_destination_or_the_users(tmp_path) -> None:
    for keys, limit in (({}, 600.0), ({"timeout_s": 2.5}, 2.5), ({"timeout_s": 0}, None)):
        assert opened(tmp_path, **keys).limits.timeout_s == limit
    stdout = open_destination(sink_ref(DestinationConfig.model_validate({"type": "stdout"})))
    assert stdout.limits.timeout_s is None


def test_sinks_that_begin_at_once_share_one_staging_folder(tmp_path) -> None:
    destination = local.open(local.Options(path=str(tmp_path)))
    start = threading.Barrier(8)

    def begin(number: int) -> None:
        start.wait(20)
        destination.create(str(number))

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(list(tmp_path.iterdir())) == 1
    destination.close()
    assert list(tmp_path.iterdir()) == []
