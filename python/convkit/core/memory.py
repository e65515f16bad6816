"""Arrays that start on a cache line."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

ALIGNMENT = 64  # bytes: a cache line, and the widest vector register


def aligned_empty(size: int, dtype: DTypeLike = np.float32) -> NDArray[Any]:
    """A flat, uninitialised array of `size` elements that starts on a cache line."""
    item = np.dtype(dtype)
    try:
        raw = np.empty(size * item.itemsize + ALIGNMENT, np.uint8)
    except (ValueError, OverflowError):  # where NumPy does not name the size
        raise MemoryError(f"{size} numbers of type {item} are more than memory can be") from None
    start = -raw.__array_interface__["data"][0] % ALIGNMENT
    return raw[start : start + size * item.itemsize].view(item)


def aligned_zeros(size: int) -> NDArray[Any]:
    """A flat float32 array of `size` zeros that starts on a cache line."""
    array = aligned_empty(size)
    array.fill(0.0)
    return array
