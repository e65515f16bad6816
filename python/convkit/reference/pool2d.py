"""Max and average pooling over windows of an NHWC image.

A window that hangs over the border sees only the real pixels: padding never wins a maximum and is
not counted in an average. Padding must be smaller than the window, so that no window is without
pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import (
    Array,
    Padding,
    Pads,
    Pair,
    deliver,
    expect_shape,
    floating,
    output_plane,
    pair,
    resolve_padding,
    shape_of,
)

_Windows = tuple[slice, slice, slice]


@dataclass(frozen=True)
class _Geometry:
    """A pooling problem after all arguments are checked and normalised."""

    x_shape: tuple[int, ...]
    y_shape: tuple[int, int, int, int]
    window: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads

    @property
    def index_dtype(self) -> type[np.uint8] | type[np.int32]:
        return np.uint8 if self.window[0] * self.window[1] <= 256 else np.int32

    def positions(self) -> Iterator[tuple[int, _Windows]]:
        """Yield (kh * KW + kw, the padded pixels that all windows have at that position)."""
        _, oh, ow, _ = self.y_shape
        for kh in range(self.window[0]):
            for kw in range(self.window[1]):
                rows = slice(kh, kh + (oh - 1) * self.strides[0] + 1, self.strides[0])
                columns = slice(kw, kw + (ow - 1) * self.strides[1] + 1, self.strides[1])
                yield kh * self.window[1] + kw, (slice(None), rows, columns)

    def pad(self, x: Array) -> Array:
        return np.pad(x, ((0, 0), *self.pads, (0, 0)))

    def crop(self, padded: Array) -> Array:
        (top, _), (left, _) = self.pads
        _, height, width, _ = self.x_shape
        return padded[:, top : top + height, left : left + width, :]

    def real(self) -> Array:
        """Return a (1, H + pads, W + pads, 1) mask of the pixels that are not padding."""
        return np.pad(np.ones((1, *self.x_shape[1:3], 1), bool), ((0, 0), *self.pads, (0, 0)))

    def counts(self) -> Array:
        """Return how many real pixels each window has, shape (1, OH, OW, 1)."""
        real = self.real()
        total = np.zeros((1, *self.y_shape[1:3], 1), np.int64)
        for _, pixels in self.positions():
            total += real[pixels]
        return total


def _geometry(
    x_shape: Sequence[int], pool_size: Pair, strides: Pair | None, padding: Padding
) -> _Geometry:
    n, h, w, c = x_shape = shape_of(x_shape, "x", 4)
    window = pair(pool_size, "pool_size")
    steps = window if strides is None else pair(strides, "strides")
    pads = resolve_padding(padding, (h, w), window, steps)
    if any(max(edge) >= size for edge, size in zip(pads, window, strict=True)):
        raise ValueError(
            f"padding must be smaller than the window {window}, else a window would hold no "
            f"pixels at all; received {pads}"
        )
    oh, ow = output_plane((h, w), window, steps, pads)
    return _Geometry(x_shape, (n, oh, ow, c), window, steps, pads)


def pool2d_output_shape(
    x_shape: Sequence[int],
    pool_size: Pair,
    *,
    strides: Pair | None = None,
    padding: Padding = "valid",
) -> tuple[int, int, int, int]:
    """Return (N, OH, OW, C) for x of shape (N, H, W, C); `strides` default to `pool_size`."""
    return _geometry(x_shape, pool_size, strides, padding).y_shape


def max_pool2d_forward(
    x: ArrayLike,
    pool_size: Pair = (2, 2),
    *,
    strides: Pair | None = None,
    padding: Padding = "valid",
    out: Array | None = None,
    indices: Array | None = None,
) -> tuple[Array, Array]:
    """Return (y, indices), both (N, OH, OW, C), the largest pixel of each window and where it was.

    An index is the position kh * KW + kw inside the window of the first maximum, uint8 where
    KH * KW <= 256 and int32 otherwise. A window with a NaN gives its first NaN.
    """
    x = floating(x, "x", ndim=4)
    geometry = _geometry(x.shape, pool_size, strides, padding)
    padded, real = geometry.pad(x), geometry.real()
    best = np.zeros(geometry.y_shape, x.dtype)
    where = np.full(geometry.y_shape, -1, np.int64)
    for position, pixels in geometry.positions():
        value = padded[pixels]
        wins = (where < 0) | (value > best) | (np.isnan(value) & ~np.isnan(best))
        wins &= real[pixels]
        best = np.where(wins, value, best)
        where = np.where(wins, position, where)
    found = where.astype(geometry.index_dtype)
    return deliver(best, out), deliver(found, indices, "indices")


def max_pool2d_backward(
    dy: ArrayLike,
    indices: ArrayLike,
    x_shape: Sequence[int],
    pool_size: Pair = (2, 2),
    *,
    strides: Pair | None = None,
    padding: Padding = "valid",
    out: Array | None = None,
) -> Array:
    """Return dx of shape `x_shape`: each dy goes to the pixel that `indices` names.

    Overlapping windows that share a maximum add up. An index outside the window, or one that points
    into padding, is a ValueError.
    """
    dy, where = floating(dy, "dy", ndim=4), np.asarray(indices)
    geometry = _geometry(x_shape, pool_size, strides, padding)
    expect_shape(dy, geometry.y_shape, "dy")
    if where.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, received dtype {where.dtype}")
    expect_shape(where, geometry.y_shape, "indices")
    padded, real = geometry.pad(np.zeros(geometry.x_shape, dy.dtype)), geometry.real()
    spent = np.zeros(geometry.y_shape, bool)
    for position, pixels in geometry.positions():
        here = (where == position) & real[pixels]
        padded[pixels] += np.where(here, dy, 0)
        spent |= here
    if not spent.all():
        raise ValueError(
            f"indices hold {where[~spent][0]}, which is outside its {geometry.window} window or "
            f"points into padding: pass the indices of max_pool2d_forward"
        )
    return deliver(geometry.crop(padded).copy(), out)


def average_pool2d_forward(
    x: ArrayLike,
    pool_size: Pair = (2, 2),
    *,
    strides: Pair | None = None,
    padding: Padding = "valid",
    out: Array | None = None,
) -> Array:
    """Return y (N, OH, OW, C), the mean of the real pixels of each window of x (N, H, W, C)."""
    x = floating(x, "x", ndim=4)
    geometry = _geometry(x.shape, pool_size, strides, padding)
    padded = geometry.pad(x)
    total = np.zeros(geometry.y_shape, x.dtype)
    for _, pixels in geometry.positions():
        total += padded[pixels]
    return deliver((total / geometry.counts()).astype(x.dtype), out)


def average_pool2d_backward(
    dy: ArrayLike,
    x_shape: Sequence[int],
    pool_size: Pair = (2, 2),
    *,
    strides: Pair | None = None,
    padding: Padding = "valid",
    out: Array | None = None,
) -> Array:
    """Return dx of shape `x_shape`: each real pixel of a window gets its dy / their number."""
    dy = floating(dy, "dy", ndim=4)
    geometry = _geometry(x_shape, pool_size, strides, padding)
    expect_shape(dy, geometry.y_shape, "dy")
    share = (dy / geometry.counts()).astype(dy.dtype)
    padded = geometry.pad(np.zeros(geometry.x_shape, dy.dtype))
    for _, pixels in geometry.positions():
        padded[pixels] += share
    return deliver(geometry.crop(padded).copy(), out)
