"""The `rivet` command."""


def main() -> None:
    """Run the command line."""
    import os
    import sys

    from rivet.execution.children import early

    early.begin(sys.argv[1:], os.environ)
    from rivet.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
