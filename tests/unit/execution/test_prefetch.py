"""Reading ahead is bounded, keeps order, and passes errors on."""

import itertools
import threading
import time

import pytest

from rivet.execution.worker.prefetch import Prefetch


def test_items_come_in_order():
    assert list(Prefetch(range(100), depth=2)) == list(range(100))


def test_the_producer_stays_within_its_depth():
    produced = []

    def items():
        for number in itertools.count():
            produced.append(number)
            yield number

    ahead = Prefetch(items(), depth=2)
    reader = iter(ahead)
    next(reader)
    time.sleep(0.1)
    assert len(produced) <= 4
    ahead.close()


def test_an_error_comes_after_the_items_before_it():
    def items():
        yield 1
        msg = "cut"
        raise ConnectionError(msg)

    seen = []
    with pytest.raises(ConnectionError, match="cut"):
        seen.extend(Prefetch(items(), depth=2))
    assert threading.active_count() < 20


def test_closing_ends_the_thread():
    ahead = Prefetch(itertools.count(), depth=1)
    next(iter(ahead))
    ahead.close()
    assert not any(thread.name == "rivet-read" for thread in threading.enumerate())


def test_closing_before_the_start_is_fine():
    Prefetch(range(3), depth=1).close()
