"""Global pooling: a pool whose window is the whole plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output, output_of
from convkit.ops._window import image_shape
from convkit.ops.pool2d import max_pool2d_index_dtype

_NO_PADS = (0, 0, 0, 0)


def _plane(x_shape: Sequence[int]) -> tuple[int, tuple[int, int], int]:
    n, h, w, c = image_shape("the input shape", x_shape)
    return n, (h, w), c


def _pooled(name: str, array: Floats, n: int, c: int) -> Floats:
    """An (N, C) array as the (N, 1, 1, C) that the pool makes."""
    if array.shape != (n, c):
        raise ValueError(f"{name} must have shape {(n, c)}, but its shape is {array.shape}")
    return array.reshape(n, 1, 1, c)


def global_average_pool2d_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """The mean of each channel over the plane: (N, H, W, C) to (N, C).

    Its error is that of :func:`average_pool2d_forward`.
    """
    x = as_floats("x", x, 4)
    n, plane, c = _plane(x.shape)
    out = output("out", out, (n, c))
    _core.average_pool2d_forward(x, plane, plane, _NO_PADS, out.reshape(n, 1, 1, c))
    return out


def global_average_pool2d_backward(
    dy: npt.ArrayLike, x_shape: Sequence[int], *, out: Floats | None = None
) -> Floats:
    """The gradient with respect to the input, ``x_shape``, from dy (N, C)."""
    n, plane, c = _plane(x_shape)
    gradient = _pooled("dy", as_floats("dy", dy, 2), n, c)
    out = output("out", out, (n, *plane, c))
    _core.average_pool2d_backward(gradient, plane, plane, _NO_PADS, out)
    return out


def global_max_pool2d_forward(
    x: npt.ArrayLike, *, out: Floats | None = None, indices: npt.NDArray[np.int32] | None = None
) -> tuple[Floats, npt.NDArray[np.int32]]:
    """The maximum of each channel over the plane, (N, C), and its position h * W + w, int32 (N, C).

    The first maximum counts; NaN counts as larger than any number.
    """
    x = as_floats("x", x, 4)
    n, plane, c = _plane(x.shape)
    out = output("out", out, (n, c))
    indices = output_of(np.dtype(np.int32), "indices", indices, (n, c))
    dtype = max_pool2d_index_dtype(plane)
    # The kernel writes bytes for planes of at most 256 positions.
    where: npt.NDArray[Any] = indices if dtype == np.int32 else np.empty((n, c), dtype)
    _core.max_pool2d_forward(
        x, plane, plane, _NO_PADS, out.reshape(n, 1, 1, c), where.reshape(n, 1, 1, c)
    )
    if where is not indices:
        indices[...] = where
    return out, indices


def global_max_pool2d_backward(
    dy: npt.ArrayLike,
    indices: npt.NDArray[np.int32],
    x_shape: Sequence[int],
    *,
    out: Floats | None = None,
) -> Floats:
    """The gradient with respect to the input, ``x_shape``, from dy (N, C) and the indices.

    Raises:
        ValueError: an index lies outside the plane, or shapes disagree.
    """
    n, plane, c = _plane(x_shape)
    gradient = _pooled("dy", as_floats("dy", dy, 2), n, c)
    if not isinstance(indices, np.ndarray) or indices.dtype != np.int32:
        raise TypeError("indices must be the int32 array that global_max_pool2d_forward returned")
    if indices.shape != (n, c):
        raise ValueError(f"indices must have shape {(n, c)}, but their shape is {indices.shape}")
    positions = plane[0] * plane[1]
    if indices.min() < 0 or indices.max() >= positions:
        raise ValueError(f"indices must be in [0, {positions}), the positions of the plane")
    where = np.ascontiguousarray(indices, max_pool2d_index_dtype(plane)).reshape(n, 1, 1, c)
    out = output("out", out, (n, *plane, c))
    _core.max_pool2d_backward(gradient, where, plane, plane, _NO_PADS, out)
    return out
