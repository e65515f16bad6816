"""Global pooling: one number for each channel of an image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty, shape_of


def global_average_pool2d_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return y (N, C), the mean over the plane of each channel of x (N, H, W, C)."""
    x = nonempty(floating(x, "x", ndim=4), "x")
    return deliver(x.mean(axis=(1, 2)), out)


def global_average_pool2d_backward(
    dy: ArrayLike, x_shape: Sequence[int], *, out: Array | None = None
) -> Array:
    """Return dx of shape `x_shape`, dy (N, C) divided by H * W at every pixel."""
    dy = floating(dy, "dy", ndim=2)
    n, h, w, c = shape = shape_of(x_shape, "x", 4)
    expect_shape(dy, (n, c), "dy")
    share = (dy / (h * w)).astype(dy.dtype)
    return deliver(np.broadcast_to(share[:, None, None, :], shape).copy(), out)


def global_max_pool2d_forward(
    x: ArrayLike, *, out: Array | None = None, indices: Array | None = None
) -> tuple[Array, Array]:
    """Return (y, indices), both (N, C): each channel's largest pixel and its position h * W + w.

    The first maximum wins, a NaN beats every number, the first NaN wins; indices are int32.
    """
    x = nonempty(floating(x, "x", ndim=4), "x")
    pixels = x.reshape(x.shape[0], -1, x.shape[3])
    # numpy.argmax has the same two rules: the first maximum, and NaN above everything.
    where = pixels.argmax(axis=1)
    best = np.take_along_axis(pixels, where[:, None, :], axis=1)[:, 0, :]
    return deliver(best, out), deliver(where.astype(np.int32), indices, "indices")


def global_max_pool2d_backward(
    dy: ArrayLike, indices: ArrayLike, x_shape: Sequence[int], *, out: Array | None = None
) -> Array:
    """Return dx of shape `x_shape`: dy (N, C) at the pixel that `indices` (N, C) names, else 0."""
    dy, where = floating(dy, "dy", ndim=2), np.asarray(indices)
    n, h, w, c = shape = shape_of(x_shape, "x", 4)
    expect_shape(dy, (n, c), "dy")
    if where.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, received dtype {where.dtype}")
    expect_shape(where, (n, c), "indices")
    if where.min() < 0 or where.max() >= h * w:
        raise ValueError(
            f"indices must lie in 0 .. {h * w - 1}, received {where.min()} .. {where.max()}"
        )
    dx = np.zeros((n, h * w, c), dy.dtype)
    np.put_along_axis(dx, where[:, None, :].astype(np.int64), dy[:, None, :], axis=1)
    return deliver(dx.reshape(shape), out)
