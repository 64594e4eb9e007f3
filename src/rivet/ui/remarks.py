"""What is said besides the cards: warnings and retries. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.events import RetryAttempted, Warned
from rivet.ui.text import encodable, one_line

if TYPE_CHECKING:
    from rivet.events import Event


def remark(event: Event, encoding: str = "utf-8") -> str | None:
    """Return one line about an event that deserves one, else None."""
    match event:
        case Warned():
            whose = f"{event.export_name}: " if event.export_name else ""
            text = f"{whose}warning: {event.message}"
        case RetryAttempted():
            text = (
                f"{event.export_name}: attempt {event.attempt} failed ({event.reason}); "
                f"trying again in {event.wait_s:.1f}s"
            )
        case _:
            return None
    return encodable(one_line(text), encoding)
