"""Dense (fully connected) layers and bias gradients."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._convolution import is_relu
from convkit.ops._epilogue import Fused, epilogue
from convkit.ops._gate import Floats, as_floats, output


def dense_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    activation: Fused | None = None,
    out: Floats | None = None,
    z: Floats | None = None,
) -> Floats:
    """y = x w + b, then the activation.

    Args:
        x: inputs, (N, C).
        w: weights, (C, OC).
        b: biases, (OC,), or None.
        activation: as in :func:`conv2d_forward`.
        out: float32 (N, OC) to write into; must not overlap the inputs.
        z: another such array for what an activation other than ReLU is applied to, or None.

    Returns:
        float32 (N, OC). Sums of more than 4096 products are made as :func:`conv2d_forward` makes
        them, with the same bound on their error.

    Raises:
        ValueError: shapes disagree or are empty.
    """
    x = as_floats("x", x, 2)
    w = as_floats("w", w, 2)
    out = output("out", out, (x.shape[0], w.shape[1]))
    z = None if z is None else output("z", z, (x.shape[0], w.shape[1]))
    bias = None if b is None else as_floats("b", b, 1)
    _core.dense_forward(x, w, bias, epilogue(activation), z, out)
    return out


def dense_backward_input(
    dy: npt.ArrayLike, w: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dx (N, C) = dy (N, OC) times the transpose of w (C, OC)."""
    dy = as_floats("dy", dy, 2)
    w = as_floats("w", w, 2)
    out = output("out", out, (dy.shape[0], w.shape[0]))
    _core.dense_backward_input(dy, w, out)
    return out


def dense_backward_weights(
    x: npt.ArrayLike, dy: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dw (C, OC) = the transpose of x (N, C) times dy (N, OC).

    Batches of more than 1024 are summed as :func:`conv2d_backward_weights` sums a plane.
    """
    x = as_floats("x", x, 2)
    dy = as_floats("dy", dy, 2)
    out = output("out", out, (x.shape[1], dy.shape[1]))
    _core.dense_backward_weights(x, dy, out)
    return out


def bias_forward(
    x: npt.ArrayLike,
    b: npt.ArrayLike | None = None,
    *,
    activation: Fused | None = None,
    out: Floats | None = None,
) -> Floats:
    """x + b, then ReLU when asked for.

    Args:
        x: (..., C).
        b: biases, (C,), or None.
        activation: None or "relu".
        out: float32 array of x's shape to write into; may be x.
    """
    x = as_floats("x", x)
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"x must have shape (..., C), not empty, but its shape is {x.shape}")
    out = output("out", out, x.shape)
    rows = (-1, x.shape[-1])
    biases = None if b is None else as_floats("b", b, 1)
    _core.bias_forward(x.reshape(rows), biases, is_relu(activation), out.reshape(rows))
    return out


def bias_backward(dy: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """db (C,) = the sum of dy (..., C) over all axes but the last."""
    dy = as_floats("dy", dy)
    if dy.ndim < 1 or dy.size == 0:
        raise ValueError(f"dy must not be empty, but its shape is {dy.shape}")
    channels = dy.shape[-1]
    out = output("out", out, (channels,))
    _core.bias_backward(dy.reshape(-1, channels), out)
    return out


def bias_relu_backward(
    dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None, db: Floats | None = None
) -> tuple[Floats, Floats]:
    """:func:`relu_backward`, then :func:`bias_backward`, in one pass.

    Args:
        dy: gradient with respect to y, (..., C).
        y: the layer's output, behind its bias and ReLU, shaped like dy.
        out: float32 array to write into; may be dy.
        db: float32 (C,) to write into.

    Returns:
        ``(dz, db)``: dy where y > 0, else 0, and its sum over all axes but the last.
    """
    dy = as_floats("dy", dy)
    y = as_floats("y", y)
    if dy.ndim < 2 or dy.size == 0:
        raise ValueError(f"dy must have shape (..., C), not empty, but its shape is {dy.shape}")
    if y.shape != dy.shape:
        raise ValueError(f"y must have dy's shape {dy.shape}, but its shape is {y.shape}")
    out = output("out", out, dy.shape)
    rows = (-1, dy.shape[-1])
    db = output("db", db, dy.shape[-1:])
    _core.bias_relu_backward(dy.reshape(rows), y.reshape(rows), out.reshape(rows), db)
    return out, db
