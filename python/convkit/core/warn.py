"""Words for the user: lines on standard output, and warnings, which show the user's own line.

Neither ends a training because of where it goes: programs without a console have None for a stream,
loggers and windows put an object with `write` alone in its place, and pipes break.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from typing import Any

from . import processes

_PACKAGE = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Issue a UserWarning as if the first line outside this package did."""
    # What standard error raises; a UserWarning that the user's filters raise is none of these.
    with suppress(AttributeError, OSError, TypeError, ValueError):
        warnings.warn(message, UserWarning, stacklevel=_levels_to_the_user())


def say(text: str) -> None:
    """Print a line, wherever standard output leads to, and whether it takes it or not.

    Of several processes that train together, only the first one prints.
    """
    if not processes.is_first():
        return
    with suppress(Exception):  # a window's `write` may raise whatever it likes
        _print(text)


def is_terminal(stream: Any) -> bool:
    """Whether a stream is a terminal; what cannot tell is none."""
    try:
        return bool(stream.isatty())
    except Exception:
        return False


def _print(text: str) -> None:
    try:
        print(text)
    except UnicodeEncodeError:  # a layer's or a metric's name
        print(text.encode("ascii", "backslashreplace").decode("ascii"))
    if hasattr(sys.stdout, "flush"):
        sys.stdout.flush()


def _levels_to_the_user() -> int:
    """The stack level, from the function that warns, of the first line outside this package."""
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level + 1


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == _PACKAGE
