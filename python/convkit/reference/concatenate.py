"""Arrays side by side along an axis, and the parts of such an array."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating


def concatenate(arrays: Sequence[ArrayLike], axis: int = -1, *, out: Array | None = None) -> Array:
    """Return the arrays one behind the other along the axis."""
    floats = [floating(array, f"arrays[{k}]") for k, array in enumerate(arrays)]
    return deliver(np.concatenate(floats, axis), out)


def concatenate_backward(
    dy: ArrayLike, x_shape: Sequence[int], begin: int, axis: int = -1, *, out: Array | None = None
) -> Array:
    """Return the part of dy that an array of x_shape, from `begin` on along the axis, became."""
    dy, begin = floating(dy, "dy"), operator.index(begin)
    shape = tuple(operator.index(size) for size in x_shape)
    if begin < 0:
        raise ValueError(f"begin must be at least 0, received {begin}")
    part = np.take(dy, range(begin, begin + shape[axis]), axis)
    expect_shape(part, shape, "that part of dy")
    return deliver(part, out)
