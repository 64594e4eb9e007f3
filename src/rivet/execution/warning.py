"""Warnings of a run: what is not wrong and should be known, in the report and as an event.

What a run does not cover is more than a remark: it stands in report and manifest under a name of
its own, and `strict: true` refuses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import RefusedError
from rivet.events import Warned
from rivet.redact import redact

if TYPE_CHECKING:
    from rivet.config.models import ExportConfig
    from rivet.execution.context import RunContext
    from rivet.execution.progress import RunProgress


def warn(context: RunContext, ledger: RunProgress, rule: str, message: str) -> None:
    """Note a remark under the name of its rule."""
    message = redact(message)
    with ledger.lock:
        ledger.warnings.append(message)
    context.emit(Warned(ledger.export_name, rule=rule, message=message))


def not_covered(
    export: ExportConfig,
    context: RunContext,
    ledger: RunProgress,
    rule: str,
    message: str,
    hint: str | None = None,
) -> None:
    """Note what a run cannot promise of the rows, under the name of its rule.

    Args:
        export: Says whether that is to be refused.
        context: Tells of it.
        ledger: The run.
        rule: Name of the rule, such as `row-security`.
        message: What is not covered, and why.
        hint: What would cover it.

    Raises:
        RefusedError: The export is strict.
    """
    if export.strict:
        msg = f"export '{export.name}': {message}, and `strict: true` allows no such run"
        code = "RIVET_REFUSED_NOT_COVERED"
        raise RefusedError(msg, hint=hint, code=code, export=export.name)
    with ledger.lock:
        ledger.not_covered.append(redact(message))
    warn(context, ledger, rule, message)
