"""Max and average pooling over two-dimensional windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, in_c_order, output, output_of
from convkit.ops._window import IntPair, Padding, Window, image_shape, pair, resolve


def _geometry(
    x_shape: Sequence[int], pool_size: IntPair, strides: IntPair | None, padding: Padding
) -> tuple[tuple[int, int, int, int], tuple[int, int], Window]:
    """The output shape (N, OH, OW, C), the pool's size and its window."""
    try:
        return _remembered(x_shape, pool_size, strides, padding)
    except TypeError:  # lists cannot be remembered
        return _resolved(x_shape, pool_size, strides, padding)


def _resolved(
    x_shape: Sequence[int], pool_size: IntPair, strides: IntPair | None, padding: Padding
) -> tuple[tuple[int, int, int, int], tuple[int, int], Window]:
    n, h, w, c = image_shape("the input shape", x_shape)
    size = pair("pool_size", pool_size)
    window = resolve((h, w), size, size if strides is None else strides, padding)
    return (n, *window.size, c), size, window


_remembered = lru_cache(maxsize=1024, typed=True)(_resolved)


def pool2d_output_shape(
    x_shape: Sequence[int],
    pool_size: IntPair,
    *,
    strides: IntPair | None = None,
    padding: Padding = "valid",
) -> tuple[int, int, int, int]:
    """The shape (N, OH, OW, C) that a pool gives; strides default to the window."""
    return _geometry(x_shape, pool_size, strides, padding)[0]


def max_pool2d_index_dtype(pool_size: IntPair) -> np.dtype[Any]:
    """The type of the indices: uint8 for windows of at most 256 positions, else int32."""
    kh, kw = pair("pool_size", pool_size)
    return np.dtype(np.uint8 if kh * kw <= 256 else np.int32)


def max_pool2d_forward(
    x: npt.ArrayLike,
    pool_size: IntPair = (2, 2),
    *,
    strides: IntPair | None = None,
    padding: Padding = "valid",
    out: Floats | None = None,
    indices: npt.NDArray[Any] | None = None,
) -> tuple[Floats, npt.NDArray[Any]]:
    """The maximum of each window, and where it was.

    Args:
        x: images, (N, H, W, C).
        pool_size: the window, an int or (rows, columns).
        strides: default to the window.
        padding: "valid", "same" or ((top, bottom), (left, right)), smaller than the window;
            padding never wins.
        out: float32 (N, OH, OW, C) to write into.
        indices: array of the same shape and of :func:`max_pool2d_index_dtype` to write into.

    Returns:
        ``(y, indices)``: the maxima, and the position kh * KW + kw of the first maximum in its
        window. NaN counts as larger than any number: a window with a NaN gives NaN.
    """
    x = as_floats("x", x, 4)
    shape, size, window = _geometry(x.shape, pool_size, strides, padding)
    out = output("out", out, shape)
    indices = output_of(max_pool2d_index_dtype(size), "indices", indices, shape)
    _core.max_pool2d_forward(x, size, window.strides, window.pads, out, indices)
    return out, indices


def max_pool2d_backward(
    dy: npt.ArrayLike,
    indices: npt.NDArray[Any],
    x_shape: Sequence[int],
    pool_size: IntPair = (2, 2),
    *,
    strides: IntPair | None = None,
    padding: Padding = "valid",
    out: Floats | None = None,
) -> Floats:
    """The gradient with respect to the input: each dy goes to where its window's maximum was.

    Args:
        dy: gradient with respect to the output, (N, OH, OW, C).
        indices: what :func:`max_pool2d_forward` returned.
        x_shape: the input's shape, (N, H, W, C).

    Raises:
        ValueError: an index lies outside its window or in the padding, or shapes disagree.
    """
    dy = as_floats("dy", dy, 4)
    shape, size, window = _geometry(x_shape, pool_size, strides, padding)
    if dy.shape != shape:
        raise ValueError(f"dy must have the output's shape {shape}, but its shape is {dy.shape}")
    dtype = max_pool2d_index_dtype(size)
    if not isinstance(indices, np.ndarray) or indices.dtype != dtype:
        raise TypeError(f"indices must be the {dtype} array that max_pool2d_forward returned")
    out = output("out", out, tuple(x_shape))
    _core.max_pool2d_backward(
        dy,
        in_c_order(indices),
        size,
        window.strides,
        window.pads,
        out,
    )
    return out


def average_pool2d_forward(
    x: npt.ArrayLike,
    pool_size: IntPair = (2, 2),
    *,
    strides: IntPair | None = None,
    padding: Padding = "valid",
    out: Floats | None = None,
) -> Floats:
    """The mean of each window's part inside the image (padding is not counted), (N, OH, OW, C).

    Windows of n > 1024 values are added up in blocks of 32 and these in pairs: the error is at most
    (34 + log2(n / 32)) * eps / 2 times the mean of the magnitudes, with eps = 2**-23. Smaller ones
    are one chain of additions, with an error of at most (n + 2) * eps / 2 times it.
    """
    x = as_floats("x", x, 4)
    shape, size, window = _geometry(x.shape, pool_size, strides, padding)
    out = output("out", out, shape)
    _core.average_pool2d_forward(x, size, window.strides, window.pads, out)
    return out


def average_pool2d_backward(
    dy: npt.ArrayLike,
    x_shape: Sequence[int],
    pool_size: IntPair = (2, 2),
    *,
    strides: IntPair | None = None,
    padding: Padding = "valid",
    out: Floats | None = None,
) -> Floats:
    """The gradient with respect to the input, ``x_shape``: each dy shared out over its window.

    Where windows of more than 64 values overlap, shares are summed as the values of large windows.
    """
    dy = as_floats("dy", dy, 4)
    shape, size, window = _geometry(x_shape, pool_size, strides, padding)
    if dy.shape != shape:
        raise ValueError(f"dy must have the output's shape {shape}, but its shape is {dy.shape}")
    out = output("out", out, tuple(x_shape))
    _core.average_pool2d_backward(dy, size, window.strides, window.pads, out)
    return out
