"""A convolution, ReLU and the 2 x 2 max pool behind it as one operation.

The convolution's whole output is never kept: forward pools it while a tile is in registers, and
backward masks and sums the bias gradient on a quarter of the elements.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._convolution import (
    as_pool_indices,
    check_gradients,
    is_direct,
    is_relu,
    pool_indices,
    pooled_geometry,
)
from convkit.ops._gate import Floats, as_floats, output
from convkit.ops._window import IntPair, Padding


def conv2d_max_pool2d_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: str | None = None,
    out: Floats | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> tuple[Floats, npt.NDArray[np.uint8]]:
    """:func:`conv2d_forward`, then :func:`max_pool2d_forward` with windows and steps of 2 x 2.

    Args:
        x, w, b, strides, padding, dilation, groups, algorithm, activation: as in
            :func:`conv2d_forward`.
        out: float32 (N, OH // 2, OW // 2, OC) to write into.
        indices: uint8 of the same shape to write into.

    Returns:
        ``(y, indices)``: the maxima, and the position 0 to 3 of each in its window.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    shape, window = pooled_geometry(x.shape, w.shape, strides, padding, dilation, groups)
    out = output("out", out, shape)
    indices = pool_indices(indices, shape)
    _core.conv2d_max_pool2d_forward(
        x,
        w,
        None if b is None else as_floats("b", b, 1),
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        is_relu(activation),
        out,
        indices,
    )
    return out, indices


def conv2d_max_pool2d_backward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    y: npt.ArrayLike,
    indices: npt.NDArray[np.uint8],
    dy: npt.ArrayLike,
    *,
    strides: IntPair = (1, 1),
    padding: Padding = "valid",
    dilation: IntPair = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: str | None = None,
    dx: Floats | None = None,
    dw: Floats | None = None,
    db: Floats | None = None,
) -> None:
    """Gradients of :func:`conv2d_max_pool2d_forward`, written into those of dx, dw, db given.

    Args:
        x, w: the forward pass's inputs.
        y, indices: what it returned.
        dy: gradient with respect to y.
        strides, padding, dilation, groups, algorithm, activation: the forward pass's.
        dx, dw, db: float32 arrays shaped like x, w and (OC,), or None where not wanted; dx may be
            x itself, whose place it then takes.

    Raises:
        ValueError: an index is not in [0, 4), or shapes disagree.
    """
    x = as_floats("x", x, 4)
    w = as_floats("w", w, 4)
    _, window = pooled_geometry(x.shape, w.shape, strides, padding, dilation, groups)
    check_gradients(x, w, dx, dw, db)
    _core.conv2d_max_pool2d_backward(
        x,
        w,
        as_floats("y", y, 4),
        as_pool_indices(indices, "conv2d_max_pool2d_forward"),
        as_floats("dy", dy, 4),
        window.strides,
        window.pads,
        window.dilation,
        groups,
        is_direct(algorithm),
        is_relu(activation),
        dx,
        dw,
        db,
    )
