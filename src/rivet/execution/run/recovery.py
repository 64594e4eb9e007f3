"""Recovered runs: committed by an invocation that did not end with 0, named by the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rivet.execution.run.ownership import follows
from rivet.execution.warning import warn
from rivet.state.tellings import Delivery, delivery_of

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext
    from rivet.execution.progress import RunProgress

_MOST_NAMED: Final = 3


def recover_untold(export: ExportConfig, context: RunContext, ledger: RunProgress) -> None:
    """Answer for what earlier runs of an export committed and whose reports nobody relies on.

    The caller holds the export's lock. A report that was told before an exit code other than 0 is
    told again only where no later run replaces its rows.

    Raises:
        StateError: What became of an invocation cannot be found out.
    """
    state = context.state
    if state.answers_as is None:
        return
    settled, recovered = [], []
    found: dict[str, Delivery] = {}
    for row, told_by in state.untold(export.name):
        if told_by not in found:
            found[told_by] = delivery_of(state, told_by)
        delivery = found[told_by]
        is_replaced = delivery is Delivery.TOLD and not follows(export)
        if delivery is Delivery.DELIVERED or is_replaced:
            settled.append(row.run_id)
        elif delivery is not Delivery.PENDING:
            recovered.append(row.run_id)
    state.settle(settled)
    state.answer(recovered)
    if recovered:
        names = ", ".join(recovered[:_MOST_NAMED])
        more = f" and {len(recovered) - _MOST_NAMED} more" if len(recovered) > _MOST_NAMED else ""
        text = (
            f"committed before, by a process that did not end with 0: {names}{more}; "
            "`recovered_runs` in the report has the parts"
        )
        warn(context, ledger, "recovered", text)
