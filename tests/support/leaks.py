"""Run Rivet as a library, as a program does that logs everything and catches nothing.

`program` is an entry for `support.warm`; it knows the secrets of no other run.
"""

from __future__ import annotations

import json
import os
import sys

PROGRAM = "support.leaks:program"


def program() -> None:
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
