"""What an initializer is, those of constants, and what shapes say."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from ..core.config import Configurable, real
from ..core.parameters import Array


class Initializer(Configurable):
    """Base class: `__call__(shape)` returns the initial value of a parameter."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """The initial value, float32, of the given shape."""
        raise NotImplementedError


class Zeros(Initializer):
    """All zeros."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """Zeros of the given shape."""
        return np.zeros(as_shape(shape), np.float32)


class Ones(Initializer):
    """All ones."""

    def __call__(self, shape: Sequence[int]) -> Array:
        """Ones of the given shape."""
        return np.ones(as_shape(shape), np.float32)


class Constant(Initializer):
    """All elements have the same value.

    Args:
        value: that value.
    """

    def __init__(self, value: float = 0.0) -> None:
        self.value = real(value, "value", self)

    def __call__(self, shape: Sequence[int]) -> Array:
        """The constant in the given shape."""
        return np.full(as_shape(shape), self.value, np.float32)


def as_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape of a parameter as a tuple of sizes of at least 0; ValueError for anything else."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        sizes = (-1,)
    if any(size < 0 for size in sizes) or isinstance(shape, bytes):
        raise ValueError(
            f"the shape of a parameter must be a tuple of sizes such as (3, 3, 1, 8), received "
            f"{shape!r}"
        )
    return sizes


def compute_fans(shape: Sequence[int]) -> tuple[float, float]:
    """The inputs and outputs of one unit, (fan_in, fan_out), by Keras's rule.

    Of a kernel (KH, KW, C // groups, OC) they are the window's area times its last two sizes.
    """
    sizes = as_shape(shape)
    if len(sizes) == 0:
        return 1.0, 1.0
    if len(sizes) == 1:
        return float(sizes[0]), float(sizes[0])
    area = math.prod(sizes[:-2])
    return float(area * sizes[-2]), float(area * sizes[-1])
