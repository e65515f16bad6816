"""Batch normalisation (Ioffe and Szegedy, "Batch Normalization", 2015), with Keras 3's conventions.

    xhat = (x - mean) * rstd,   rstd = 1 / sqrt(variance + epsilon),   y = gamma * xhat + beta

Statistics are over all axes but the last; the variance is the population's (divided by the count).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty
from ._epilogue import Fused, activation_gradient, apply_activation


def _images(x: ArrayLike, name: str) -> Array:
    array = nonempty(floating(x, name), name)
    if array.ndim < 2:
        raise ValueError(f"{name} must have at least 2 dimensions, received {array.shape}")
    return array


def _vector(value: ArrayLike, name: str, channels: int) -> Array:
    array = floating(value, name, ndim=1)
    expect_shape(array, (channels,), name)
    return array


def _moving(value: Array, name: str, channels: int) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise TypeError(f"{name} is updated in place and must be a floating-point NumPy array")
    expect_shape(value, (channels,), name)
    return value


def batchnorm_forward(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    moving_mean: Array,
    moving_variance: Array,
    *,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    activation: Fused | None = None,
    out: Array | None = None,
    mean: Array | None = None,
    rstd: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Normalise x (..., C) by its own statistics; return (y, mean (C,), rstd (C,)).

    `moving_mean` and `moving_variance` (C,) are updated in place:
    moving = momentum * moving + (1 - momentum) * batch.
    """
    x = _images(x, "x")
    channels = x.shape[-1]
    gamma, beta = _vector(gamma, "gamma", channels), _vector(beta, "beta", channels)
    moving_mean = _moving(moving_mean, "moving_mean", channels)
    moving_variance = _moving(moving_variance, "moving_variance", channels)
    axes = tuple(range(x.ndim - 1))
    center = x.mean(axis=axes)
    variance = np.square(x - center).mean(axis=axes)
    scale = 1 / np.sqrt(variance + epsilon)
    y = apply_activation((x - center) * scale * gamma + beta, activation)
    moving_mean[...] = momentum * moving_mean + (1 - momentum) * center
    moving_variance[...] = momentum * moving_variance + (1 - momentum) * variance
    return deliver(y, out), deliver(center, mean, "mean"), deliver(scale, rstd, "rstd")


def batchnorm_inference(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    moving_mean: ArrayLike,
    moving_variance: ArrayLike,
    *,
    epsilon: float = 1e-3,
    activation: Fused | None = None,
    out: Array | None = None,
) -> Array:
    """Normalise x (..., C) by the moving statistics (C,); return y."""
    x = _images(x, "x")
    channels = x.shape[-1]
    gamma, beta = _vector(gamma, "gamma", channels), _vector(beta, "beta", channels)
    center = _vector(moving_mean, "moving_mean", channels)
    variance = _vector(moving_variance, "moving_variance", channels)
    y = (x - center) / np.sqrt(variance + epsilon) * gamma + beta
    return deliver(apply_activation(y, activation), out)


def batchnorm_apply(
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    activation: Fused | None = None,
    out: Array | None = None,
) -> Array:
    """Normalise x (..., C) by statistics that `batchnorm_forward` returned; return its y."""
    x = _images(x, "x")
    channels = x.shape[-1]
    gamma, beta = _vector(gamma, "gamma", channels), _vector(beta, "beta", channels)
    center, scale = _vector(mean, "mean", channels), _vector(rstd, "rstd", channels)
    return deliver(apply_activation((x - center) * scale * gamma + beta, activation), out)


def batchnorm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike,
    beta: ArrayLike,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    activation: Fused | None = None,
    add_to_dx: bool = False,
    out: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Return (dx, dgamma (C,), dbeta (C,)) of `batchnorm_forward`, from its mean and rstd.

    With M values a channel: dx = gamma * rstd * (dy - (dbeta + xhat * dgamma) / M), because mean
    and variance depend on x too (Ioffe and Szegedy 2015, section 3). With an activation, dy is
    first multiplied by its derivative at the recomputed output of the normalisation.
    """
    dy, x = _images(dy, "dy"), _images(x, "x")
    expect_shape(dy, x.shape, "dy")
    channels = x.shape[-1]
    gamma, beta = _vector(gamma, "gamma", channels), _vector(beta, "beta", channels)
    center, scale = _vector(mean, "mean", channels), _vector(rstd, "rstd", channels)
    axes = tuple(range(x.ndim - 1))
    xhat = (x - center) * scale
    dy = activation_gradient(dy, xhat * gamma + beta, activation)
    gradient_gamma = (dy * xhat).sum(axis=axes)
    gradient_beta = dy.sum(axis=axes)
    count = x.size // channels
    dx = gamma * scale * (dy - (gradient_beta + xhat * gradient_gamma) / count)
    if add_to_dx:
        if out is None:
            raise ValueError("out must hold what the gradient is added to")
        dx = dx + out
    return (
        deliver(dx, out),
        deliver(gradient_gamma, dgamma, "dgamma"),
        deliver(gradient_beta, dbeta, "dbeta"),
    )
