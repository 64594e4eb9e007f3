"""Run many small commands as children of one warm process, each in a folder of its own.

`python -m support.leaks FILE` reads a JSON list of orders and forks a child for each: what it
imports is imported once. A child knows the secrets of no other.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

AT_ONCE = 3
COMMAND, LIBRARY = "command", "library"


def main() -> None:
    """Run every order; what a child prints goes into `stdout` and `stderr` of its folder."""
    from rivet.cli.preloaded import preload, warm_up
    from rivet.execution.children.forked import modules_for

    preload(modules_for(("postgresql", "mysql", "sqlite")))
    warm_up()
    import sqlalchemy.dialects.postgresql.psycopg

    import rivet.cli.app
    import rivet.state.postgres
    from rivet.config.document import parse

    parse("a: b")
    del rivet, sqlalchemy
    running = 0
    for order in json.loads(Path(sys.argv[1]).read_text()):
        if running == AT_ONCE:
            os.wait()
            running -= 1
        if os.fork() == 0:
            _become(order)
        running += 1
    while running:
        os.wait()
        running -= 1


def _become(order: dict[str, Any]) -> None:
    try:
        os.chdir(order["folder"])
        os.environ.clear()
        os.environ.update(order["environment"])
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(name, os.O_CREAT | os.O_WRONLY), number)
        sys.argv = ["rivet", *order["arguments"]]
        (_run_command if order["way"] == COMMAND else _run_library)()
    finally:
        os._exit(99)


def _run_command() -> None:
    from rivet.__main__ import main as run

    run()


def _run_library() -> None:
    """Log everything there is, and print what a program prints that catches nothing."""
    import logging
    import traceback

    import rivet

    logging.basicConfig(filename="debug.log", level=logging.DEBUG)
    try:
        report = rivet.run("rivet.yaml", check=False)
        sys.stdout.write(json.dumps(report.to_json()) + repr(report))
        rivet.run("rivet.yaml")
    except Exception as error:
        logging.getLogger("app").exception("failed")
        traceback.print_exc()
        one: BaseException | None = error
        while one is not None:
            sys.stderr.write(f"{one!r} {one} {getattr(one, 'to_json', dict)()}\n")
            one = one.__cause__ or one.__context__
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
