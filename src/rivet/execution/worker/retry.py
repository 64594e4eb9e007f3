"""Retry with exponential backoff: a chunk is tried again when its failure may pass.

A chunk is only tried again while none of its parts is durable: a second copy under another name
would double what a reader of the folder sees.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rivet.errors import DestinationTimeoutError, RivetError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenacity import AttemptManager, RetryCallState

_CEILING_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how soon.

    Attributes:
        max_retries: Attempts after the first; 0 is none.
        backoff_s: Wait before the first retry; doubles with each, up to 60 s. The error's own
            `settle_s` is added.
    """

    max_retries: int
    backoff_s: float


def wait_s(policy: RetryPolicy, attempt: int, error: BaseException | None) -> float:
    """Return the seconds to wait after the failed attempt number `attempt` (from 1)."""
    settle = error.settle_s if isinstance(error, RivetError) else 0.0
    return min(policy.backoff_s * 2.0 ** (attempt - 1), _CEILING_S) + settle


def attempts(
    policy: RetryPolicy,
    *,
    may_retry: Callable[[], bool],
    on_retry: Callable[[int, float, RivetError], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[AttemptManager]:
    """Yield attempts; each is a context manager that holds back a failure worth trying again.

    Args:
        policy: Limits and waits.
        may_retry: Asked after each failure; False makes it final.
        on_retry: Told the number of the failed attempt, the wait and the error.
        sleep: Waits; may raise to end the attempts.

    Raises:
        RivetError: The last failure, as it was.
    """
    from tenacity import Retrying, retry_if_exception, stop_after_attempt

    def is_worth_it(error: BaseException) -> bool:
        if isinstance(error, DestinationTimeoutError):  # another call would hang as long again
            return False
        return isinstance(error, RivetError) and error.retryable and may_retry()

    def wait(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        return wait_s(policy, state.attempt_number, error)

    def before_sleep(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        if isinstance(error, RivetError):
            on_retry(state.attempt_number, wait(state), error)

    return iter(
        Retrying(
            stop=stop_after_attempt(policy.max_retries + 1),
            wait=wait,
            retry=retry_if_exception(is_worth_it),
            before_sleep=before_sleep,
            sleep=sleep,
            reraise=True,
        )
    )
