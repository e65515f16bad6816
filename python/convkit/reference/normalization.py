"""Normalisation by given statistics: y = (x - mean) * scale."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty


def normalization_forward(
    x: ArrayLike, mean: ArrayLike, scale: ArrayLike, *, out: Array | None = None
) -> Array:
    """Return (x - mean) * scale of x (..., K) with mean and scale (K,)."""
    x = nonempty(floating(x, "x"), "x")
    center, factors = floating(mean, "mean", ndim=1), floating(scale, "scale", ndim=1)
    expect_shape(center, x.shape[-1:], "mean")
    expect_shape(factors, x.shape[-1:], "scale")
    return deliver((x - center) * factors, out)


def normalization_backward(dy: ArrayLike, scale: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * scale, the gradient of `normalization_forward`."""
    dy, factors = floating(dy, "dy"), floating(scale, "scale", ndim=1)
    expect_shape(factors, dy.shape[-1:], "scale")
    return deliver(dy * factors, out)
