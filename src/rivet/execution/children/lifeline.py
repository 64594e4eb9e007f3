"""Parent-death detection: a pipe that tells a child process that its parent is gone.

The parent holds the only write end and never writes; when it dies, however, the read end reports
the end of the file. The child then stops as if by SIGTERM, which cancels what runs on the server.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import Final

VARIABLE: Final = "RIVET_LIFELINE_FD"
# With the five seconds a server takes to notice a closed connection, well under ten.
_GRACE_S: Final = 3.0


def hold_on(descriptor: int) -> None:
    """Stop this process when the other end of the pipe is gone; returns at once."""
    os.set_inheritable(descriptor, False)  # noqa: FBT003 - the system call's own form
    threading.Thread(target=_wait, args=(descriptor,), name="rivet-lifeline", daemon=True).start()


def _wait(descriptor: int) -> None:
    try:
        while os.read(descriptor, 1):
            pass
    except OSError:
        return  # no pipe: nobody to be lost
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(128 + signal.SIGTERM)
