"""Tell of something that is not wrong and should be known: in the report and as an event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.events import Warned

if TYPE_CHECKING:
    from rivet.execution.context import RunContext
    from rivet.execution.ledger import Ledger


def warn(context: RunContext, ledger: Ledger, rule: str, message: str) -> None:
    """Note a remark under the name of its rule."""
    with ledger.lock:
        ledger.warnings.append(message)
    context.emit(Warned(ledger.export_name, rule=rule, message=message))
