"""The border between commands and the shell: errors become one line, a hint and an exit code."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NoReturn

from rivet.cli.given import pasteable
from rivet.cli.streams import OutputLostError
from rivet.errors import ConfigError, DestinationError, InternalError, RivetError
from rivet.redact import cleanse, redact, redacted, visible, visible_json

if TYPE_CHECKING:
    from types import FrameType

_JSON_FLAG: Final = "--json-errors"
_SIGNAL_BASE: Final = 128
_GC_THRESHOLDS: Final = (200_000, 20, 20)
_LAST: Final[list[Callable[[int], None]]] = []


def at_last(act: Callable[[int], None]) -> None:
    """Have the exit code told to somebody, by the last thing that this process does."""
    _LAST.append(act)


class TerminatedError(SystemExit):
    """SIGTERM arrived: unwinds like Ctrl-C, ends with 128 + 15."""


def guarded(app: Callable[..., Any]) -> NoReturn:
    """Run the application, a Typer or the command made of one; every way out ends here.

    `--json-errors` is taken out of the arguments first, so that it works anywhere; options whose
    value is optional get theirs.
    """
    from typer import Exit, TyperException

    from rivet.cli.options import with_amounts

    arguments = [argument for argument in sys.argv[1:] if argument != _JSON_FLAG]

    def call() -> object:
        try:
            return app(args=with_amounts(arguments), prog_name="rivet", standalone_mode=False)
        except Exit as stop:
            return stop.exit_code
        except TyperException as error:
            message, hint = error.format_message(), "run `rivet --help`"
            raise ConfigError(message, hint=hint, code="RIVET_USAGE") from error

    concluded(call, as_json=len(arguments) != len(sys.argv) - 1)


def concluded(call: Callable[[], object], *, as_json: bool = False) -> NoReturn:
    """Call, and end the process with the exit code that it returns or that its error has.

    Args:
        call: Returns an exit code or None.
        as_json: Print an error as one JSON line.
    """
    # Imports and columns of data make many objects and few cycles: look for those seldom.
    gc.set_threshold(*_GC_THRESHOLDS)
    signal.signal(signal.SIGTERM, _terminate)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    code: object
    try:
        code = call()
    except RivetError as error:
        code = report_error(error, as_json=as_json, status=error.exit_status)
    except KeyboardInterrupt:
        code = _SIGNAL_BASE + signal.SIGINT
    except SystemExit as stop:
        code = 1 if isinstance(stop.code, str) else stop.code
    except BrokenPipeError:
        code = _SIGNAL_BASE + signal.SIGPIPE
    except OutputLostError as error:
        code = report_error(output_lost(error), as_json=as_json, status=DestinationError.exit_code)
    except Exception as error:  # noqa: BLE001 - the last line of defence
        code = report_error(_internal(error), as_json=as_json, status=InternalError.exit_code)
    _leave(code if isinstance(code, int) else 0, as_json=as_json)


def report_error(error: RivetError, *, as_json: bool, status: int) -> int:
    """Print an error on standard error, redacted and with control bytes made visible.

    Returns:
        The exit code it was given.
    """
    hint = pasteable(error.hint) if error.hint else error.hint
    if as_json:
        body: dict[str, Any] = {**error.to_json(), "hint": hint, "exit_class": status}
        sys.stderr.write(visible_json(json.dumps(redacted(body), ensure_ascii=False)) + "\n")
        return status
    lines = [f"Error: [{error.error_code}] {error.message}"]
    if hint:
        lines.append(f"Hint: {hint}")
    sys.stderr.write(visible(redact("\n".join(lines))) + "\n")
    return status


def _internal(error: Exception) -> InternalError:
    if os.environ.get("RIVET_TRACEBACK"):
        import traceback

        cleanse(error)
        sys.stderr.write(visible(redact("".join(traceback.format_exception(error)))))
    return InternalError(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug: run again with RIVET_TRACEBACK=1 and report what it prints",
    )


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise TerminatedError(_SIGNAL_BASE + signal.SIGTERM)


def output_lost(error: OSError) -> DestinationError:
    """Return the error for what could not be written on standard output."""
    msg = f"standard output cannot be written: {(error.strerror or 'it is closed').lower()}"
    code = "RIVET_DESTINATION_STDOUT_LOST"
    return DestinationError(msg, hint="what the command did stays done", code=code)


def _leave(code: int, *, as_json: bool) -> NoReturn:
    """End the process at once: everything is closed, and taking modules apart only costs time."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = code or _SIGNAL_BASE + signal.SIGPIPE
    except OSError as error:
        if not code:
            lost = output_lost(error)
            code = report_error(lost, as_json=as_json, status=lost.exit_code)
    with contextlib.suppress(OSError):
        sys.stderr.flush()
    for act in _LAST:
        act(code)
    os._exit(code)
