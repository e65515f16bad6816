"""Fully connected layers, y = x @ w + b, and the gradient of any bias."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty
from ._epilogue import Fused, apply_activation, deliver_both
from .activation import relu_backward


def _matrix(value: ArrayLike, name: str) -> Array:
    return nonempty(floating(value, name, ndim=2), name)


def dense_forward(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: Fused | None = None,
    out: Array | None = None,
    z: Array | None = None,
) -> Array:
    """Return y (N, OC) = activation(x (N, C) @ w (C, OC) + b (OC,)).

    z, if given, becomes what an activation other than ReLU is applied to.
    """
    x, w = _matrix(x, "x"), _matrix(w, "w")
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"w must have {x.shape[1]} rows for x {x.shape}, received {w.shape}")
    y = x @ w
    if b is not None:
        b = floating(b, "b", ndim=1)
        expect_shape(b, (w.shape[1],), "b")
        y = y + b
    return deliver_both(y, activation, out, z)


def dense_backward_input(dy: ArrayLike, w: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dx (N, C) = dy (N, OC) @ w.T for w (C, OC)."""
    dy, w = _matrix(dy, "dy"), _matrix(w, "w")
    if dy.shape[1] != w.shape[1]:
        raise ValueError(f"w must have {dy.shape[1]} columns for dy {dy.shape}, received {w.shape}")
    return deliver(dy @ w.T, out)


def dense_backward_weights(x: ArrayLike, dy: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dw (C, OC) = x.T @ dy for x (N, C) and dy (N, OC)."""
    x, dy = _matrix(x, "x"), _matrix(dy, "dy")
    if x.shape[0] != dy.shape[0]:
        raise ValueError(f"dy must have {x.shape[0]} rows for x {x.shape}, received {dy.shape}")
    return deliver(x.T @ dy, out)


def bias_forward(
    x: ArrayLike,
    b: ArrayLike | None = None,
    *,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """Return x (..., C) + b (C,); `activation` is None or "relu"."""
    x = nonempty(floating(x, "x"), "x")
    if x.ndim < 2:
        raise ValueError(f"x must have at least 2 dimensions, received shape {x.shape}")
    if b is not None:
        b = floating(b, "b", ndim=1)
        expect_shape(b, x.shape[-1:], "b")
        x = x + b
    return deliver(apply_activation(x, activation), out)


def bias_backward(dy: ArrayLike, *, out: Array | None = None) -> Array:
    """Return db (OC,), the sum of dy (..., OC) over all axes but the last."""
    dy = nonempty(floating(dy, "dy"), "dy")
    if dy.ndim < 2:
        raise ValueError(f"dy must have at least 2 dimensions, received shape {dy.shape}")
    return deliver(dy.sum(axis=tuple(range(dy.ndim - 1))), out)


def bias_relu_backward(
    dy: ArrayLike, y: ArrayLike, *, out: Array | None = None, db: Array | None = None
) -> tuple[Array, Array]:
    """Return (dz, db): dy where y > 0, else 0, and its sum over all axes but the last."""
    dz = relu_backward(dy, y)
    return deliver(dz, out), bias_backward(dz, out=db)
