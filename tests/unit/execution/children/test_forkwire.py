"""Messages arrive whole, in order, with their descriptors, whatever their size."""

import os
import resource
from contextlib import suppress

import pytest

from rivet.execution.children import forkwire


@pytest.fixture
def pair():
    near, far = forkwire.open_pair()
    with near, far:
        yield near, far


@pytest.mark.parametrize("size", [0, 1_000, 16_000, 17_000, 1_000_000])
def test_a_message_of_any_size(pair, size):
    near, far = pair
    message = {"text": "ä" * size, "bytes": os.fsdecode(b"\xff\xfe")}
    forkwire.send(near, message)
    forkwire.send(near, {"last": True})
    assert forkwire.receive(far) == (message, [])
    assert forkwire.receive(far) == ({"last": True}, [])


@pytest.mark.parametrize("size", [0, 100_000])
def test_descriptors_come_with_their_message_and_are_not_inheritable(pair, size):
    near, far = pair
    reader, writer = os.pipe()
    forkwire.send(near, {"text": "x" * size}, [reader, writer])
    _, (again, other) = forkwire.receive(far)
    os.write(other, b"hello")
    assert os.read(reader, 5) == b"hello"
    assert not os.get_inheritable(again)
    for descriptor in (reader, writer, again, other):
        os.close(descriptor)


def test_the_other_side_is_gone(pair):
    near, far = pair
    far.close()
    with pytest.raises(forkwire.DisconnectedError):
        forkwire.send(near, {})
    with pytest.raises(forkwire.DisconnectedError):
        forkwire.receive(near)


def test_too_many_descriptors_for_one_message(pair):
    with pytest.raises(OSError, match="Too many open files"):
        forkwire.send(pair[0], {}, [0] * 253)


def test_a_full_connection_sends_nothing_or_all(pair):
    near, far = pair
    near.setblocking(False)
    far.setblocking(False)
    sent = 0
    with suppress(BlockingIOError):
        while True:
            forkwire.send(near, {"number": sent})
            sent += 1
    assert sent > 0
    assert [forkwire.receive(far)[0]["number"] for _ in range(sent)] == list(range(sent))
    with pytest.raises(BlockingIOError):
        forkwire.receive(far)


def test_a_process_that_may_not_open_more(pair):
    near, far = pair
    forkwire.send(near, {"text": "x" * 100_000}, [0])
    forkwire.send(near, {"text": "short"}, [0])
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            forkwire.receive(far)
        assert forkwire.receive(far) == ({"text": "short"}, [])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
