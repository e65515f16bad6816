"""The arguments of a data set's methods, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import nested
from .parallel import cores

AUTOTUNE = -1  # for a number that the library is to choose


def typed(value: Any, types: Any) -> Any:
    """An element of arrays of those types: one type, or one for each array."""
    if isinstance(types, Mapping | tuple):
        return nested.map_leaves(lambda kind, leaf: np.asarray(leaf, kind)[()], types, value)
    return nested.map_leaves(lambda leaf: np.asarray(leaf, types)[()], value)


def check_function(function: Any, what: str) -> Callable[..., Any]:
    """The function; TypeError if it is none."""
    if not callable(function):
        raise TypeError(f"{what} takes a function of arrays, received {function!r}")
    checked: Callable[..., Any] = function
    return checked


def count_of(value: Any, what: str, least: int = 1) -> int:
    """A whole number, also one of NumPy, of at least so many; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{what} must be an integer, received {value!r}")
    if (number := int(value)) < least:
        raise ValueError(f"{what} must be an integer of at least {least}, received {value!r}")
    return number


def workers_of(num_parallel_calls: int | None) -> int:
    """So many threads; none without a number, and one a processor for AUTOTUNE."""
    if num_parallel_calls is None:
        return 0
    if num_parallel_calls == AUTOTUNE:
        return cores()
    return count_of(num_parallel_calls, "num_parallel_calls")
