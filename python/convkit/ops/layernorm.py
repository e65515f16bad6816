"""Layer normalisation over the last axis (Ba, Kiros and Hinton, 2016)."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output, real


def layernorm_forward(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    *,
    epsilon: float = 1e-3,
    out: Floats | None = None,
    mean: Floats | None = None,
    rstd: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Normalisation of every row by its own statistics.

    y = gamma * (x - mean) * rstd + beta, with the mean and the population variance over the last
    axis and rstd = 1 / sqrt(variance + epsilon).

    Args:
        x: (..., K), of two dimensions or more.
        gamma, beta: scale and shift, (K,); None for 1 and 0.
        out, mean, rstd: float32 arrays to write into.

    Returns:
        ``(y, mean, rstd)``: the result, shaped like x, and the rows' statistics, (...), which
        :func:`layernorm_backward` takes. The variance is that of differences from the mean; sums
        of more than 512 vectors are made of blocks, added up in pairs.

    Raises:
        ValueError: shapes disagree.
        TypeError: an input does not hold real numbers, or an output is not float32.
    """
    x = as_floats("x", x)
    rows = _rows("x", x)
    out = output("out", out, x.shape)
    mean = output("mean", mean, x.shape[:-1])
    rstd = output("rstd", rstd, x.shape[:-1])
    _core.layernorm_forward(
        rows,
        None if gamma is None else as_floats("gamma", gamma, 1),
        None if beta is None else as_floats("beta", beta, 1),
        real("epsilon", epsilon),
        out.reshape(rows.shape),
        mean.reshape(-1),
        rstd.reshape(-1),
    )
    return out, mean, rstd


def layernorm_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    gamma: npt.ArrayLike | None,
    mean: npt.ArrayLike,
    rstd: npt.ArrayLike,
    *,
    dx: Floats | None = None,
    dgamma: Floats | None = None,
    dbeta: Floats | None = None,
) -> None:
    """Gradients of :func:`layernorm_forward`, written into those that are given.

    Args:
        dy: gradient with respect to y, shaped like x.
        x, gamma: the forward pass's inputs.
        mean, rstd: the statistics it returned, (...).
        dx, dgamma, dbeta: float32 arrays shaped like x, (K,) and (K,), or None where not wanted;
            dx may be dy or x. Sums over rows are those of blocks of 256, which are added in double
            precision.
    """
    dy = as_floats("dy", dy)
    x = as_floats("x", x)
    rows = _rows("x", x)
    if dy.shape != x.shape:
        raise ValueError(f"dy must have x's shape {x.shape}, but its shape is {dy.shape}")
    _core.layernorm_backward(
        dy.reshape(rows.shape),
        rows,
        None if gamma is None else as_floats("gamma", gamma, 1),
        _statistics("mean", mean, x),
        _statistics("rstd", rstd, x),
        None if dx is None else output("dx", dx, x.shape).reshape(rows.shape),
        None if dgamma is None else output("dgamma", dgamma, x.shape[-1:]),
        None if dbeta is None else output("dbeta", dbeta, x.shape[-1:]),
    )


def _rows(name: str, array: Floats) -> Floats:
    """(..., K) as (rows, K), a view."""
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (..., K), not empty, but is {array.shape}")
    return array.reshape(-1, array.shape[-1])


def _statistics(name: str, value: npt.ArrayLike, x: Floats) -> Floats:
    """One number for each row, as a vector."""
    numbers = as_floats(name, value)
    if numbers.shape != x.shape[:-1]:
        raise ValueError(f"{name} must have shape {x.shape[:-1]}, but its shape is {numbers.shape}")
    return numbers.reshape(-1)
