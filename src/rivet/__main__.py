"""The `rivet` command."""


def main() -> None:
    """Run the command line."""
    from rivet.cli.app import main as run

    run()


if __name__ == "__main__":
    main()
