"""Layer normalisation over the last axis (Ba, Kiros and Hinton, "Layer normalization", 2016).

    xhat = (x - mean) / sqrt(variance + epsilon),   y = gamma * xhat + beta

Statistics are a row's own; the variance is the population's (divided by the count).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating, nonempty


def rows(x: ArrayLike, name: str) -> Array:
    """Return x as an array (..., K) of at least two dimensions; ValueError if it is none."""
    array = nonempty(floating(x, name), name)
    if array.ndim < 2:
        raise ValueError(f"{name} must have at least 2 dimensions, received {array.shape}")
    return array


def along_last(value: ArrayLike | None, name: str, size: int, missing: float) -> Array:
    """Return a gamma or a beta (K,), or what stands for a missing one."""
    if value is None:
        return np.asarray(missing)
    array = floating(value, name, ndim=1)
    expect_shape(array, (size,), name)
    return array


def layernorm_forward(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    epsilon: float = 1e-3,
    out: Array | None = None,
    mean: Array | None = None,
    rstd: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Normalise the rows of x (..., K) by their own statistics; return (y, mean, rstd)."""
    x = rows(x, "x")
    gamma = along_last(gamma, "gamma", x.shape[-1], 1.0)
    beta = along_last(beta, "beta", x.shape[-1], 0.0)
    center = x.mean(axis=-1)
    variance = np.square(x - center[..., None]).mean(axis=-1)
    scale = 1 / np.sqrt(variance + epsilon)
    y = (x - center[..., None]) * scale[..., None] * gamma + beta
    return deliver(y, out), deliver(center, mean, "mean"), deliver(scale, rstd, "rstd")


def layernorm_backward(
    dy: ArrayLike,
    x: ArrayLike,
    gamma: ArrayLike | None,
    mean: ArrayLike,
    rstd: ArrayLike,
    *,
    dx: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> None:
    """Write the gradients of `layernorm_forward`, from its mean and rstd, into those given.

    With g = dy * gamma and means over a row: dx = rstd * (g - mean(g) - xhat * mean(g * xhat)),
    because mean and variance depend on x too.
    """
    dy, x = rows(dy, "dy"), rows(x, "x")
    expect_shape(dy, x.shape, "dy")
    gamma = along_last(gamma, "gamma", x.shape[-1], 1.0)
    center, scale = floating(mean, "mean"), floating(rstd, "rstd")
    expect_shape(center, x.shape[:-1], "mean")
    expect_shape(scale, x.shape[:-1], "rstd")
    xhat = (x - center[..., None]) * scale[..., None]
    own = dy * gamma
    slope = (own * xhat).mean(axis=-1, keepdims=True)
    inner = own - own.mean(axis=-1, keepdims=True) - xhat * slope
    axes = tuple(range(x.ndim - 1))
    gradients = (dy * xhat).sum(axis=axes), dy.sum(axis=axes)  # before dx, which may be dy
    if dx is not None:
        deliver(scale[..., None] * inner, dx, "dx")
    if dgamma is not None:
        deliver(gradients[0], dgamma, "dgamma")
    if dbeta is not None:
        deliver(gradients[1], dbeta, "dbeta")
