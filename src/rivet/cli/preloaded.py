"""The process that children are forked from: it has imported what a run needs, and done nothing.

`execution.children.forked` executes it: `python -P -m rivet.cli.preloaded <descriptor> <modules>`.
Importing may not start a thread or open anything, because a fork would copy half of it; a process
that finds itself with a second thread says so and ends.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import pkgutil
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Final, NoReturn

from rivet.execution.children.forked import modules_for
from rivet.execution.children.forkserver import ForkServer
from rivet.execution.children.forkwire import send
from rivet.redact import cleanse, redact
from rivet.sources import ENGINES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic import BaseModel

    from rivet.execution.children.forkserver import Birth

# Rooms whose modules every run needs, then the doors of those that load the rest by themselves.
_ROOMS: Final = ("rivet.config", "rivet.execution")
_DOORS: Final = (
    "rivet.__main__",
    "rivet.cli.child",
    "rivet.cli.guard",
    "rivet.state.store",
    "rivet.verify.manifest_check",
    "rivet.verify.part_check",
    "pyarrow.parquet",
    "tenacity",
)


def preload(modules: Sequence[str]) -> None:
    """Import what runs need.

    Args:
        modules: Those of engines, formats and destinations, which are imported with the modules
            below them. One whose driver is missing is left to the child that asks for it, which
            then says so in words.
    """
    for name in (*_DOORS, *(module for room in _ROOMS for module in _modules(room, is_deep=True))):
        importlib.import_module(name)
    for name in modules:
        try:
            for module in _modules(name):
                importlib.import_module(module)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.startswith("rivet"):
                raise


def warm_up() -> None:
    """Do once what every run would do first, as far as nothing is opened."""
    from pydantic import BaseModel

    for model in _below(BaseModel):
        if model.__module__.startswith("rivet.") and not model.__pydantic_complete__:
            model.model_rebuild()


def _below(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for child in model.__subclasses__():
        yield child
        yield from _below(child)


def _modules(name: str, *, is_deep: bool = False) -> list[str]:
    """Return a module and those directly below it, or all of them."""
    found = [name]
    paths = getattr(importlib.import_module(name), "__path__", ())
    for module in pkgutil.iter_modules(paths, f"{name}."):
        if not module.ispkg:
            found.append(module.name)
        elif is_deep:
            found += _modules(module.name, is_deep=True)
    return found


def main() -> NoReturn:
    """Import, serve, and in every child run the command."""
    gc.disable()
    connection = socket.socket(fileno=int(sys.argv[1]))
    _prepare(connection, sys.argv[2:] or modules_for(tuple(ENGINES)))
    gc.collect()
    gc.freeze()
    gc.enable()
    birth = ForkServer(connection).serve()
    if birth is None:
        os._exit(0)
    _run(birth)


def _prepare(connection: socket.socket, modules: Sequence[str]) -> None:
    try:
        preload(modules)
        warm_up()
        import setproctitle

        setproctitle.setproctitle(setproctitle.getproctitle())  # finds room while all is in place
        threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - only their number
        reason = f"importing left {threads} threads in the process" if threads > 1 else None
    except Exception as error:  # noqa: BLE001 - the launcher puts it into words
        reason = "".join(traceback.format_exception_only(error)).strip()
    else:
        if reason is None:
            return
    send(connection, {"unavailable": reason})
    os._exit(1)


def _run(birth: Birth) -> NoReturn:
    """Run the command in a child; whatever happens, nothing returns into the server's frames."""
    try:
        from rivet.execution.children.forkedchild import become

        become(birth)
        run_command()
    except SystemExit as stop:
        _leave(_code_of(stop))
    except KeyboardInterrupt as interrupt:
        _print_traceback(interrupt)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException as error:  # noqa: BLE001 - as an interpreter does at its end
        _print_traceback(error)
        _leave(1)
    finally:
        os._exit(1)


def _print_traceback(error: BaseException) -> None:
    cleanse(error)
    sys.stderr.write(redact("".join(traceback.format_exception(error))))


def run_command() -> NoReturn:
    """Do what `sys.argv` asks for, as a plain start would, and end the process."""
    from rivet.cli.child import is_child, recognised, run_as_child
    from rivet.cli.guard import concluded

    request = recognised(sys.argv[1:]) if is_child() else None
    if request is not None:
        concluded(lambda: run_as_child(request))
    from rivet.cli.app import main as run_any

    run_any()
    os._exit(1)


def _code_of(stop: SystemExit) -> int:
    if stop.code is None or isinstance(stop.code, int):
        return int(stop.code or 0) & 0xFF
    sys.stderr.write(f"{stop.code}\n")
    return 1


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
