"""A convolution, ReLU and a 2 x 2 max pool, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .activation import relu_backward
from .conv2d import conv2d_backward_input, conv2d_backward_weights, conv2d_forward
from .dense import bias_backward
from .pool2d import max_pool2d_backward, max_pool2d_forward

Array = npt.NDArray[Any]


def conv2d_max_pool2d_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    strides: int | Sequence[int] = (1, 1),
    padding: str | Sequence[Sequence[int]] = "valid",
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: str | None = None,
    out: Array | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> tuple[Array, Array]:
    """The maxima over windows of 2 x 2 of the convolution's outputs, and their positions."""
    whole = conv2d_forward(
        x,
        w,
        b,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        algorithm=algorithm,
        activation=activation,
    )
    return max_pool2d_forward(whole, (2, 2), out=out, indices=indices)


def conv2d_max_pool2d_backward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    y: npt.ArrayLike,
    indices: npt.NDArray[np.uint8],
    dy: npt.ArrayLike,
    *,
    strides: int | Sequence[int] = (1, 1),
    padding: str | Sequence[Sequence[int]] = "valid",
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: str | None = None,
    dx: Array | None = None,
    dw: Array | None = None,
    db: Array | None = None,
) -> None:
    """Gradients, written into those of dx, dw and db that are given.

    A maximum is positive exactly where ReLU let its gradient through, so the pooled y is the mask.
    """
    options: dict[str, Any] = {
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "algorithm": algorithm,
    }
    masked = np.asarray(dy) if activation is None else relu_backward(dy, y)
    shape = conv2d_forward(x, w, **options).shape
    whole = max_pool2d_backward(masked, indices, shape, (2, 2))
    if dx is not None:
        conv2d_backward_input(whole, w, np.shape(x), out=dx, **options)
    if dw is not None:
        conv2d_backward_weights(x, whole, np.shape(w), out=dw, **options)
    if db is not None:
        bias_backward(masked, out=db)
