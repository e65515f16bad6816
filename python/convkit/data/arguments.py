"""The arguments of a data set's methods, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..ops._gate import as_array
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
    if isinstance(value, bool | np.ndarray) or not hasattr(value, "__index__"):
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


def choice(value: Any, known: Sequence[Any], what: str) -> Any:
    """The value; ValueError unless it is one of those texts, or None where that is among them."""
    if not isinstance(value, str | None) or value not in known:
        listed = ", ".join(repr(each) for each in known)
        raise ValueError(f"{what} must be one of {listed}, received {value!r}")
    return value


def text_of(value: Any, what: str) -> str:
    """The value; TypeError unless it is text."""
    if not isinstance(value, str):
        raise TypeError(f"{what} must be text, received {value!r}")
    return value


def path_of(value: Any, what: str) -> str:
    """A path as text; TypeError unless it is one."""
    if not isinstance(value, str | bytes | PurePath) and not hasattr(value, "__fspath__"):
        raise TypeError(f"{what} must be a path, received {value!r}")
    return os.fsdecode(value)


def real_array(value: Any, what: str, dtype: Any = None) -> Array:
    """An array of real numbers; TypeError if it holds others, or the type is none of theirs.

    Args:
        value: anything that NumPy makes an array of.
        what: it is, for errors.
        dtype: the type that it is converted to, by default none.
    """
    array = as_array(what, value)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{what} must be real numbers, received {value!r:.80}")
    if dtype is None:
        return array
    try:
        kind = np.dtype(dtype)
    except Exception:  # whatever NumPy raises
        raise TypeError(f"dtype must be one of NumPy's types, received {dtype!r}") from None
    if kind.kind not in "fiub":
        raise TypeError(f"dtype must be one of real numbers, received {dtype!r}")
    return array.astype(kind, copy=False)


def size_of(value: Any, what: str) -> tuple[int, int]:
    """(height, width); ValueError unless they are two positive integers."""
    whole = isinstance(value, list | tuple) and all(
        hasattr(each, "__index__") and not isinstance(each, bool | np.ndarray) and each > 0
        for each in value
    )
    if not whole or len(value) != 2 or max(value) >= 2**31:
        raise ValueError(
            f"{what} must be two positive integers, (height, width), received {value!r}"
        )
    return int(value[0]), int(value[1])
