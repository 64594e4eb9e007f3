"""Only failures that may pass are tried again, and only while nothing is durable."""

import pytest

from rivet.errors import SourceInterruptedError, SourceQueryError
from rivet.execution.worker.retry import RetryPolicy, attempts, wait_s

POLICY = RetryPolicy(max_retries=2, backoff_s=0.0)


def _run(error, *, may_retry=True):
    tries = []

    def try_to_the_end():
        for attempt in attempts(POLICY, may_retry=lambda: may_retry, on_retry=lambda *_: None):
            with attempt:
                tries.append("try")
                raise error

    with pytest.raises(type(error)):
        try_to_the_end()
    return len(tries)


def test_a_passing_failure_is_tried_again_to_the_limit():
    assert _run(SourceInterruptedError("cut")) == 3


def test_a_permanent_failure_is_final():
    assert _run(SourceQueryError("no such table")) == 1


def test_a_bug_is_final():
    assert _run(KeyError("x")) == 1


def test_durable_parts_make_a_failure_final():
    assert _run(SourceInterruptedError("cut"), may_retry=False) == 1


def test_waits_double_to_a_ceiling():
    policy = RetryPolicy(9, 2.0)
    assert [wait_s(policy, n, None) for n in (1, 2, 3, 9)] == [2.0, 4.0, 8.0, 60.0]
