"""Several arrays become one, element by element, with NumPy's broadcasting; and the gradients."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating


def _floating(*arrays: ArrayLike) -> list[Array]:
    return [floating(array, f"array {k}") for k, array in enumerate(arrays)]


def _from_left(combine: Callable[[Array, Array], Array], arrays: list[Array]) -> Array:
    result = arrays[0]
    for array in arrays[1:]:
        result = combine(result, array)
    return np.asarray(result)


def add(x: ArrayLike, z: ArrayLike, *others: ArrayLike, out: Array | None = None) -> Array:
    """Return x + z + others, added from left to right."""
    return deliver(_from_left(np.add, _floating(x, z, *others)), out)


def subtract(x: ArrayLike, z: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x - z."""
    return deliver(_from_left(np.subtract, _floating(x, z)), out)


def multiply(x: ArrayLike, z: ArrayLike, *others: ArrayLike, out: Array | None = None) -> Array:
    """Return x * z * others, multiplied from left to right."""
    return deliver(_from_left(np.multiply, _floating(x, z, *others)), out)


def average(x: ArrayLike, z: ArrayLike, *others: ArrayLike, out: Array | None = None) -> Array:
    """Return the sum of the arrays divided by their number."""
    total = _from_left(np.add, _floating(x, z, *others))
    return deliver(np.asarray(total / (2 + len(others))), out)


def _first_of(arrays: list[Array], sign: int) -> tuple[Array, Array]:
    # argmax takes the first of equal numbers, and the first NaN.
    stacked = np.stack(np.broadcast_arrays(*arrays))
    indices = np.argmax(sign * stacked, axis=0)
    values = np.take_along_axis(stacked, indices[None], axis=0)[0]
    return np.asarray(values), indices.astype(np.uint8)


def maximum(
    x: ArrayLike,
    z: ArrayLike,
    *others: ArrayLike,
    out: Array | None = None,
    indices: Array | None = None,
) -> tuple[Array, Array]:
    """Return the largest numbers, and which array they are from: the first, the first NaN."""
    y, where = _first_of(_floating(x, z, *others), 1)
    return deliver(y, out), deliver(where, indices, "indices")


def minimum(
    x: ArrayLike,
    z: ArrayLike,
    *others: ArrayLike,
    out: Array | None = None,
    indices: Array | None = None,
) -> tuple[Array, Array]:
    """Return the smallest numbers, and which array they are from: the first, the first NaN."""
    y, where = _first_of(_floating(x, z, *others), -1)
    return deliver(y, out), deliver(where, indices, "indices")


def _summed(gradient: Array, x_shape: Sequence[int]) -> Array:
    """Sum over the axes along which an array of that shape was broadcast."""
    shape = tuple(operator.index(size) for size in x_shape)
    if np.broadcast_shapes(shape, gradient.shape) != gradient.shape:
        raise ValueError(f"an array of shape {shape} is not broadcast to {gradient.shape}")
    aligned = (1,) * (gradient.ndim - len(shape)) + shape
    axes = tuple(a for a, size in enumerate(aligned) if size == 1 and gradient.shape[a] != 1)
    return np.asarray(gradient.sum(axis=axes, keepdims=True).reshape(shape))


def add_backward(
    dy: ArrayLike, x_shape: Sequence[int], *, divisor: float = 1.0, out: Array | None = None
) -> Array:
    """Return dy summed to x_shape, divided by the divisor."""
    dy = floating(dy, "dy")
    return deliver(_summed(dy, x_shape) / np.asarray(divisor, dy.dtype), out)


def multiply_backward(
    dy: ArrayLike,
    x_shape: Sequence[int],
    z: ArrayLike,
    *others: ArrayLike,
    out: Array | None = None,
) -> Array:
    """Return dy * z * others summed to x_shape."""
    product = _from_left(np.multiply, _floating(dy, z, *others))
    expect_shape(product, np.shape(dy), "the product of dy and the other arrays")
    return deliver(_summed(product, x_shape), out)


def maximum_backward(
    dy: ArrayLike, indices: Array, index: int, x_shape: Sequence[int], *, out: Array | None = None
) -> Array:
    """Return dy where the indices are `index` and 0 elsewhere, summed to x_shape."""
    dy = floating(dy, "dy")
    expect_shape(np.asarray(indices), dy.shape, "indices")
    chosen = np.where(indices == operator.index(index), dy, np.zeros((), dy.dtype))
    return deliver(_summed(chosen, x_shape), out)
