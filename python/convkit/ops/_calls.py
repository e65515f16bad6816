"""Native calls, made and, where somebody wants to repeat them, written down."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import ParamSpec

Arguments = ParamSpec("Arguments")

Calls = list[Callable[[], None]]


class _Notes(threading.local):
    calls: Calls | None = None
    is_whole = True


_notes = _Notes()


def call(
    function: Callable[Arguments, None], *arguments: Arguments.args, **options: Arguments.kwargs
) -> None:
    """Call a native function that returns nothing."""
    function(*arguments, **options)
    if _notes.calls is not None:
        _notes.calls.append(partial(function, *arguments, **options))


def not_again() -> None:
    """What is written down cannot be repeated: an array was made or converted for this call."""
    _notes.is_whole = False


@contextmanager
def written_down() -> Iterator[Calls]:
    """The native calls that this thread makes within; none in the end if they cannot be repeated.

    They hold the arrays that they read and write.
    """
    calls: Calls = []
    former = _notes.calls, _notes.is_whole
    _notes.calls, _notes.is_whole = calls, True
    try:
        yield calls
    finally:
        if not _notes.is_whole:
            calls.clear()
        _notes.calls, _notes.is_whole = former
