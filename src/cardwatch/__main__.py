"""Runs the command line: `python -m cardwatch`."""


def main() -> None:
    """Run the command line and exit with its code."""
    from cardwatch.entrypoints.cli.app import run  # noqa: PLC0415  importing the package must stay cheap

    raise SystemExit(run())


if __name__ == "__main__":
    main()
