"""PReLU: leaky ReLU whose slope below zero is an array (He et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty


def prelu_forward(x: ArrayLike, alpha: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x where x > 0, else alpha * x, for samples x (N, ...).

    alpha has the shape of a sample, or 1 for an axis along which all share one slope.
    """
    x = nonempty(floating(x, "x"), "x")
    slopes = floating(alpha, "alpha")
    _check_slopes(slopes.shape, x)
    return deliver(np.where(x > 0, x, slopes * x).astype(x.dtype), out)


def prelu_backward_input(
    dy: ArrayLike, x: ArrayLike, alpha: ArrayLike, *, out: Array | None = None
) -> Array:
    """Return dy where x > 0, else alpha * dy."""
    dy, x = floating(dy, "dy"), nonempty(floating(x, "x"), "x")
    slopes = floating(alpha, "alpha")
    expect_shape(dy, x.shape, "dy")
    _check_slopes(slopes.shape, x)
    return deliver(np.where(x > 0, dy, slopes * dy).astype(x.dtype), out)


def prelu_backward_alpha(
    dy: ArrayLike, x: ArrayLike, alpha_shape: Sequence[int], *, out: Array | None = None
) -> Array:
    """Return the sum of dy * x over all x that are not above 0 and share a slope."""
    dy, x = floating(dy, "dy"), nonempty(floating(x, "x"), "x")
    expect_shape(dy, x.shape, "dy")
    shape = tuple(alpha_shape)
    _check_slopes(shape, x)
    terms = np.where(x > 0, np.zeros((), x.dtype), dy * x)
    shared = (0, *(axis + 1 for axis, size in enumerate(shape) if size == 1))
    return deliver(terms.sum(axis=shared).reshape(shape).astype(x.dtype), out)


def _check_slopes(shape: tuple[int, ...], x: Array) -> None:
    sizes = x.shape[1:]
    if len(shape) != len(sizes) or any(
        size not in (1, whole) for size, whole in zip(shape, sizes, strict=True)
    ):
        raise ValueError(
            f"alpha must have the sizes of a sample {sizes}, or 1 where an axis is shared, "
            f"received {shape}"
        )
