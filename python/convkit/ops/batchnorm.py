"""Batch normalisation over the last axis (Ioffe and Szegedy, 2015)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._epilogue import Fused, epilogue
from convkit.ops._gate import Floats, as_floats, check_output, output, real, truth

_FLOAT32 = np.dtype(np.float32)


def _rows(name: str, array: Floats) -> Floats:
    """(..., C) as (rows, C), a view."""
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (N, ..., C), not empty, but is {array.shape}")
    return array.reshape(-1, array.shape[-1])


def batchnorm_forward(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: Floats,
    moving_variance: Floats,
    *,
    momentum: float = 0.99,
    epsilon: float = 1e-3,
    activation: Fused | None = None,
    out: Floats | None = None,
    mean: Floats | None = None,
    rstd: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Normalisation with the batch's own statistics, as in training.

    y = gamma * (x - mean) * rstd + beta, with the mean and the population variance over all axes
    but the last and rstd = 1 / sqrt(variance + epsilon); then the activation.

    Args:
        x: (N, ..., C).
        gamma, beta: scale and shift, (C,).
        moving_mean, moving_variance: float32 (C,), updated in place:
            moving = momentum * moving + (1 - momentum) * batch.
        activation: of every element: its name, such as "relu" or "gelu", or that with the arguments
            that its own op takes: ``("leaky_relu", {"negative_slope": 0.1})``.
        out, mean, rstd: float32 arrays to write into.

    Returns:
        ``(y, mean, rstd)``: the result, shaped like x, and the batch's statistics, (C,), which
        :func:`batchnorm_backward` takes. They are computed from blocks of at most 256 rows, each
        from its own mean, which are put together in double precision: the mean is good to eps, the
        variance to 260 * eps, however large mean / standard deviation is. As the mean is a
        float32, what backward computes from x - mean is off by eps / 2 * mean in units of the
        deviation.
    """
    x = as_floats("x", x)
    rows = _rows("x", x)
    vector = (rows.shape[1],)
    check_output("moving_mean", moving_mean, vector, _FLOAT32)
    check_output("moving_variance", moving_variance, vector, _FLOAT32)
    out = output("out", out, x.shape)
    mean = output("mean", mean, vector)
    rstd = output("rstd", rstd, vector)
    _core.batchnorm_forward(
        rows,
        len(x),
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        moving_mean,
        moving_variance,
        real("momentum", momentum),
        real("epsilon", epsilon),
        epilogue(activation),
        _rows("out", out),
        mean,
        rstd,
    )
    return out, mean, rstd


def batchnorm_inference(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    moving_mean: npt.ArrayLike,
    moving_variance: npt.ArrayLike,
    *,
    epsilon: float = 1e-3,
    activation: Fused | None = None,
    out: Floats | None = None,
) -> Floats:
    """Normalisation with the moving statistics, as in inference.

    y = gamma * (x - moving_mean) / sqrt(moving_variance + epsilon) + beta, then the activation.
    """
    x = as_floats("x", x)
    rows = _rows("x", x)
    out = output("out", out, x.shape)
    _core.batchnorm_inference(
        rows,
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        as_floats("moving_mean", moving_mean, 1),
        as_floats("moving_variance", moving_variance, 1),
        real("epsilon", epsilon),
        epilogue(activation),
        _rows("out", out),
    )
    return out


def batchnorm_apply(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    activation: Fused | None = None,
    out: Floats | None = None,
) -> Floats:
    """The y of :func:`batchnorm_forward` once more, from the statistics that it returned.

    Bit for bit the same, and no statistics are taken: for who keeps x but not y.

    Args:
        x, gamma, beta, activation: the forward pass's.
        mean, rstd: the statistics it returned, (C,).
        out: float32 array shaped like x to write into.
    """
    x = as_floats("x", x)
    rows = _rows("x", x)
    out = output("out", out, x.shape)
    _core.batchnorm_apply(
        rows,
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        as_floats("mean", mean, 1),
        as_floats("rstd", rstd, 1),
        epilogue(activation),
        _rows("out", out),
    )
    return out


def batchnorm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    gamma: npt.ArrayLike,
    beta: npt.ArrayLike,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    activation: Fused | None = None,
    add_to_dx: bool = False,
    out: Floats | None = None,
    dgamma: Floats | None = None,
    dbeta: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Gradients of :func:`batchnorm_forward`.

    Args:
        dy: gradient with respect to y, shaped like x.
        x, gamma, beta: the forward pass's inputs.
        mean, rstd: the statistics it returned, (C,).
        activation: the forward pass's, whose derivative is computed from x again.
        add_to_dx: whether the gradient is added to what ``out`` holds, which is not dy then.
        out, dgamma, dbeta: float32 arrays to write into; ``out`` may be dy.

    Returns:
        ``(dx, dgamma, dbeta)``.
    """
    dy = as_floats("dy", dy)
    x = as_floats("x", x)
    if dy.shape != x.shape:
        raise ValueError(f"dy must have x's shape {x.shape}, but its shape is {dy.shape}")
    rows = _rows("x", x)
    vector = (rows.shape[1],)
    out = output("out", out, x.shape)
    dgamma = output("dgamma", dgamma, vector)
    dbeta = output("dbeta", dbeta, vector)
    _core.batchnorm_backward(
        _rows("dy", dy),
        rows,
        len(x),
        as_floats("gamma", gamma, 1),
        as_floats("beta", beta, 1),
        as_floats("mean", mean, 1),
        as_floats("rstd", rstd, 1),
        epilogue(activation),
        truth("add_to_dx", add_to_dx),
        _rows("out", out),
        dgamma,
        dbeta,
    )
    return out, dgamma, dbeta
