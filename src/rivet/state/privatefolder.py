"""The `.rivet` folder and what is in it: this user's alone, or refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rivet.errors import StateError
from rivet.openfile import NotPrivateError, make_private_folder
from rivet.redact import visible

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["make_state_folder"]


def make_state_folder(folder: Path) -> None:
    """Make a folder for state, or see that the one that is there can be trusted.

    Raises:
        StateError: It is somebody else's, or others can write to it.
        OSError: It cannot be made.
    """
    try:
        make_private_folder(folder)
    except NotPrivateError as error:
        shown = visible(str(folder))
        msg = f"the folder {shown} cannot be trusted with state: {error.strerror}"
        hint = f"make it yours alone with chown and `chmod 700 {shown}`, or move it away"
        raise StateError(msg, hint=hint, code="RIVET_STATE_FOLDER_UNSAFE") from error
