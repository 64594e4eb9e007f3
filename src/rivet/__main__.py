"""The `rivet` command."""


def main() -> None:
    """Run the command line."""
    import gc
    import os
    import signal
    import sys

    # While all is loaded there is nothing to tell: end as a shell expects, without a traceback.
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda number, _frame: os._exit(128 + number))
    # Imports make many objects and no garbage worth looking for.
    gc.set_threshold(200_000, 20, 20)
    from rivet.cli.streams import secure_streams

    secure_streams()
    from rivet.execution.children import early

    early.begin(sys.argv[1:], os.environ)
    from rivet.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
