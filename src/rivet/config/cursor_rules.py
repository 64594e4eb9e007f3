"""Rules for cursors of incremental exports that need no database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.config.problem import MODE_SETTING, OUT_OF_RANGE
from rivet.model.plan import Mode
from rivet.redact import visible

if TYPE_CHECKING:
    from rivet.config.export import ExportConfig


def cursor_contradiction(export: ExportConfig) -> tuple[str, str, str | None, str] | None:
    """Return what does not hold: the key, the message, a hint and a code; None where all does."""
    if export.mode is not Mode.INCREMENTAL:
        return None  # told as having no effect
    is_coalesce = export.incremental_cursor_mode == "coalesce"
    fallback = export.cursor_fallback_column
    if is_coalesce and fallback is None:
        message = "`incremental_cursor_mode: coalesce` needs `cursor_fallback_column`"
        return "incremental_cursor_mode", message, None, MODE_SETTING
    if not is_coalesce and fallback is not None:
        message = "`cursor_fallback_column` needs `incremental_cursor_mode: coalesce`"
        return "cursor_fallback_column", message, None, MODE_SETTING
    if export.cursor_zone is not None and not _is_zone(export.cursor_zone):
        message = f"`cursor_zone`: '{visible(export.cursor_zone)}' is no zone this machine knows"
        hint = "name one of the IANA database, such as Europe/Paris or UTC"
        return "cursor_zone", message, hint, OUT_OF_RANGE
    return None


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True
