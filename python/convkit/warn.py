"""Warnings that show the user's own line, which is where most can be mended."""

from __future__ import annotations

import sys
import warnings

_PACKAGE = __name__.partition(".")[0]


def warn(message: str) -> None:
    """Issue a UserWarning as if the first line outside this package did."""
    warnings.warn(message, UserWarning, stacklevel=_levels_to_the_user())


def _levels_to_the_user() -> int:
    """The stack level, from the function that warns, of the first line outside this package."""
    level, frame = 0, sys._getframe(1)
    while frame.f_back is not None and _is_ours(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    return level + 1


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == _PACKAGE
