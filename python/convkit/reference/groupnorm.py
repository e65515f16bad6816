"""Group normalisation (Wu and He, "Group normalization", 2018).

    xhat = (x - mean) / sqrt(variance + epsilon),   y = gamma * xhat + beta

Statistics are those of one image and the neighbouring channels of a group; the variance is the
population's (divided by the count).
"""

from __future__ import annotations

import operator

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating
from .layernorm import along_last, rows


def _grouped(x: Array, groups: int) -> Array:
    """(N, ..., C) as (N, positions, groups, C / groups)."""
    groups = operator.index(groups)
    if groups < 1 or x.shape[-1] % groups:
        raise ValueError(f"groups must divide the {x.shape[-1]} channels, received {groups}")
    return x.reshape(x.shape[0], -1, groups, x.shape[-1] // groups)


def groupnorm_forward(
    x: ArrayLike,
    gamma: ArrayLike | None = None,
    beta: ArrayLike | None = None,
    *,
    groups: int = 32,
    epsilon: float = 1e-3,
    out: Array | None = None,
    mean: Array | None = None,
    rstd: Array | None = None,
) -> tuple[Array, Array, Array]:
    """Normalise x (N, ..., C) by its groups' statistics; return (y, mean, rstd), (N, groups)."""
    x = rows(x, "x")
    gamma = along_last(gamma, "gamma", x.shape[-1], 1.0)
    beta = along_last(beta, "beta", x.shape[-1], 0.0)
    grouped = _grouped(x, groups)
    center = grouped.mean(axis=(1, 3), keepdims=True)
    variance = np.square(grouped - center).mean(axis=(1, 3), keepdims=True)
    scale = 1 / np.sqrt(variance + epsilon)
    y = ((grouped - center) * scale).reshape(x.shape) * gamma + beta
    center, scale = center[:, 0, :, 0], scale[:, 0, :, 0]
    return deliver(y, out), deliver(center, mean, "mean"), deliver(scale, rstd, "rstd")


def groupnorm_backward(
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
    """Write the gradients of `groupnorm_forward`, from its mean and rstd, into those given.

    With g = dy * gamma and means over a group: dx = rstd * (g - mean(g) - xhat * mean(g * xhat)),
    because mean and variance depend on x too.
    """
    dy, x = rows(dy, "dy"), rows(x, "x")
    expect_shape(dy, x.shape, "dy")
    gamma = along_last(gamma, "gamma", x.shape[-1], 1.0)
    center, scale = floating(mean, "mean", ndim=2), floating(rstd, "rstd", ndim=2)
    expect_shape(center, (x.shape[0], center.shape[1]), "mean")
    expect_shape(scale, center.shape, "rstd")
    grouped, own = _grouped(x, center.shape[1]), _grouped(dy * gamma, center.shape[1])
    scale = scale[:, None, :, None]
    xhat = (grouped - center[:, None, :, None]) * scale
    slope = (own * xhat).mean(axis=(1, 3), keepdims=True)
    inner = own - own.mean(axis=(1, 3), keepdims=True) - xhat * slope
    axes = tuple(range(x.ndim - 1))
    gradients = (dy * xhat.reshape(x.shape)).sum(axis=axes), dy.sum(axis=axes)
    if dx is not None:
        deliver((scale * inner).reshape(x.shape), dx, "dx")
    if dgamma is not None:
        deliver(gradients[0], dgamma, "dgamma")
    if dbeta is not None:
        deliver(gradients[1], dbeta, "dbeta")
