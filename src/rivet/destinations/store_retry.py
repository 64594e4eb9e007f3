"""Retry of store requests: exponential backoff with full jitter, counted.

Every request but the parts of an upload is made again here and not by the client, which tries again
only what it takes for idempotent, and tells nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from rivet.errors import DestinationUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Retries"]

T = TypeVar("T")

_FIRST_S: Final = 0.2
_MOST_S: Final = 10.0
_LONGEST_S: Final = 180.0


class Retries:
    """Makes requests again that fail for the moment.

    Args:
        attempts: The most of one request.
        first_s: The most that is waited before the second attempt; doubles with each.

    Attributes:
        count: Attempts beyond the first ones so far.
    """

    def __init__(self, attempts: int = 9, first_s: float = _FIRST_S) -> None:
        self.count = 0
        self._attempts = attempts
        self._first_s = first_s

    def __call__(self, make: Callable[[], T], *, attempts: int | None = None) -> T:
        """Make a request until it does not fail for the moment.

        Raises:
            DestinationUnavailableError: The last attempt's, after all of them or three minutes.
        """
        from tenacity import (
            Retrying,
            retry_if_exception_type,
            stop_after_attempt,
            stop_after_delay,
            wait_random_exponential,
        )

        retrying = Retrying(
            stop=stop_after_attempt(attempts or self._attempts) | stop_after_delay(_LONGEST_S),
            wait=wait_random_exponential(multiplier=self._first_s, max=_MOST_S),
            retry=retry_if_exception_type(DestinationUnavailableError),
            before_sleep=lambda _: self._tell(),
            reraise=True,
        )
        return retrying(make)

    def _tell(self) -> None:
        self.count += 1
