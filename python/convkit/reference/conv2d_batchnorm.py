"""A convolution, the batch normalisation of its output, a sum and a 2 x 2 max pool, in turn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ._arguments import deliver, expect_shape, floating
from ._epilogue import Fused, activation_gradient, apply_activation
from .activation import relu_backward
from .batchnorm import batchnorm_apply, batchnorm_backward, batchnorm_forward, batchnorm_inference
from .conv2d import conv2d_backward, conv2d_forward
from .pool2d import max_pool2d_backward, max_pool2d_forward

Array = npt.NDArray[Any]


def conv2d_batchnorm_forward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: Array,
    moving_variance: Array,
    *,
    strides: int | Sequence[int] = (1, 1),
    padding: str | Sequence[Sequence[int]] = "valid",
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    residual: npt.ArrayLike | None = None,
    activation: Fused | None = None,
    max_pool: bool = False,
    out: Array | None = None,
    z: Array | None = None,
    mean: Array | None = None,
    rstd: Array | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> tuple[Array, Array, Array, Array, Array | None]:
    """(y, z, mean, rstd, indices): the result, the convolution's output, the batch's statistics."""
    z = conv2d_forward(
        x,
        w,
        b,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        algorithm=algorithm,
        out=z,
    )
    y, mean, rstd = batchnorm_forward(
        z,
        gamma,
        beta,
        moving_mean,
        moving_variance,
        momentum=momentum,
        epsilon=epsilon,
        mean=mean,
        rstd=rstd,
    )
    y = apply_activation(_with_residual(y, residual, max_pool), activation)
    if not max_pool:
        return deliver(y, out), z, mean, rstd, None
    pooled, where = max_pool2d_forward(y, (2, 2), out=out, indices=indices)
    return pooled, z, mean, rstd, where


def conv2d_batchnorm_inference(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    b: npt.ArrayLike | None,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: npt.ArrayLike,
    moving_variance: npt.ArrayLike,
    *,
    strides: int | Sequence[int] = (1, 1),
    padding: str | Sequence[Sequence[int]] = "valid",
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    epsilon: float = 1e-3,
    residual: npt.ArrayLike | None = None,
    activation: Fused | None = None,
    max_pool: bool = False,
    out: Array | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
) -> Array:
    """The convolution, normalised by the moving statistics, and pooled where asked for."""
    z = conv2d_forward(
        x,
        w,
        b,
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        algorithm=algorithm,
    )
    y = batchnorm_inference(z, gamma, beta, moving_mean, moving_variance, epsilon=epsilon)
    y = apply_activation(_with_residual(y, residual, max_pool), activation)
    return (
        max_pool2d_forward(y, (2, 2), out=out, indices=indices)[0] if max_pool else deliver(y, out)
    )


def conv2d_batchnorm_backward(
    x: npt.ArrayLike,
    w: npt.ArrayLike,
    z: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    dy: npt.ArrayLike,
    y: npt.ArrayLike | None = None,
    indices: npt.NDArray[np.uint8] | None = None,
    *,
    strides: int | Sequence[int] = (1, 1),
    padding: str | Sequence[Sequence[int]] = "valid",
    dilation: int | Sequence[int] = (1, 1),
    groups: int = 1,
    algorithm: str = "auto",
    activation: Fused | None = None,
    dresidual: Array | None = None,
    add_to_dx: bool = False,
    dx: Array | None = None,
    dw: Array | None = None,
    db: Array | None = None,
    dgamma: Array | None = None,
    dbeta: Array | None = None,
) -> tuple[Array, Array]:
    """(dgamma, dbeta); the others are written into those of dresidual, dx, dw, db that are given.

    A maximum is positive exactly where ReLU let its gradient through, so behind a pool y is the
    mask.
    """
    whole = np.asarray(dy)
    if y is not None and dresidual is not None:
        whole, activation = deliver(relu_backward(whole, y), dresidual), None
    elif dresidual is not None:
        normal = batchnorm_apply(z, gamma, beta, mean, rstd)
        whole, activation = deliver(activation_gradient(whole, normal, activation), dresidual), None
    if y is not None and indices is not None:
        masked = whole if activation is None else relu_backward(whole, y)
        whole, activation = max_pool2d_backward(masked, indices, np.shape(z), (2, 2)), None
    dz, dgamma, dbeta = batchnorm_backward(
        whole, z, gamma, beta, mean, rstd, activation=activation, dgamma=dgamma, dbeta=dbeta
    )
    options: dict[str, Any] = {
        "strides": strides,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "algorithm": algorithm,
    }
    conv2d_backward(x, w, dz, add_to_dx=add_to_dx, dx=dx, dw=dw, db=db, **options)
    return dgamma, dbeta


def _with_residual(y: Array, residual: npt.ArrayLike | None, max_pool: bool) -> Array:
    if residual is None:
        return y
    if max_pool:
        raise ValueError("residual and max_pool do not go together")
    added = floating(residual, "residual", ndim=4)
    expect_shape(added, y.shape, "residual")
    return y + added
