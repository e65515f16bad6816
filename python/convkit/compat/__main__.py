"""`python -m convkit.compat SCRIPT.py`: a script of Keras or TensorFlow, run by convkit."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run or check a script; the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m convkit.compat",
        description="Run a script or notebook written for Keras or TensorFlow on convkit, "
        "unchanged, and say at the end what could not be given.",
        epilog="The exit code is that of the script: 0 if it ran to its end. With --check it is 0 "
        "if no name is missing. 2 if there is nothing to run.",
    )
    parser.add_argument(
        "--check", action="store_true", help="only list the names that are missing; nothing is run"
    )
    parser.add_argument("script", help="SCRIPT.py or NOTEBOOK.ipynb")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="given to the script")
    given = parser.parse_args(arguments)
    try:
        if given.check:
            from .check import missing_names

            lines = missing_names(given.script)
            print("\n".join(lines) if lines else f"{given.script}: no name is missing")
            return 1 if lines else 0
        from .run import run

        return run(given.script, given.arguments)
    except (OSError, SyntaxError, ValueError) as error:
        if isinstance(error, ValueError | OSError | SyntaxError):
            print(f"{given.script}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
