"""Group normalisation over the channels' groups of every image (Wu and He, 2018)."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, integer, output, real


def groupnorm_forward(
    x: npt.ArrayLike,
    gamma: npt.ArrayLike | None = None,
    beta: npt.ArrayLike | None = None,
    *,
    groups: int = 32,
    epsilon: float = 1e-3,
    out: Floats | None = None,
    mean: Floats | None = None,
    rstd: Floats | None = None,
) -> tuple[Floats, Floats, Floats]:
    """Normalisation of every image by the statistics of its channels' groups.

    y = gamma * (x - mean) * rstd + beta, with the mean and the population variance over all
    positions of an image and the C / groups neighbouring channels of a group, and
    rstd = 1 / sqrt(variance + epsilon).

    Args:
        x: (N, ..., C).
        gamma, beta: scale and shift, (C,); None for 1 and 0.
        groups: how many; they divide C.
        out, mean, rstd: float32 arrays to write into.

    Returns:
        ``(y, mean, rstd)``: the result, shaped like x, and the statistics, (N, groups), which
        :func:`groupnorm_backward` takes. They are those of every channel in blocks of 256
        positions, put together in double precision; of vectors, (N, C), those that
        :func:`layernorm_forward` takes of rows of C / groups.

    Raises:
        ValueError: shapes disagree, or the groups do not divide the channels.
        TypeError: an input does not hold real numbers, or an output is not float32.
    """
    x = as_floats("x", x)
    images = _images("x", x)
    count, channels = integer("groups", groups), x.shape[-1]
    if count < 1 or channels % count:
        raise ValueError(f"groups must divide the {channels} channels, but is {groups!r}")
    out = output("out", out, x.shape)
    mean = output("mean", mean, (x.shape[0], count))
    rstd = output("rstd", rstd, (x.shape[0], count))
    _core.groupnorm_forward(
        images,
        None if gamma is None else as_floats("gamma", gamma, 1),
        None if beta is None else as_floats("beta", beta, 1),
        real("epsilon", epsilon),
        out.reshape(images.shape),
        mean,
        rstd,
    )
    return out, mean, rstd


def groupnorm_backward(
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
    """Gradients of :func:`groupnorm_forward`, written into those that are given.

    Args:
        dy: gradient with respect to y, shaped like x.
        x, gamma: the forward pass's inputs.
        mean, rstd: the statistics it returned, (N, groups).
        dx, dgamma, dbeta: float32 arrays shaped like x, (C,) and (C,), or None where not wanted;
            dx may be dy or x. Sums are those of blocks of 256 positions of an image, which are
            added in double precision.
    """
    dy = as_floats("dy", dy)
    x = as_floats("x", x)
    images = _images("x", x)
    if dy.shape != x.shape:
        raise ValueError(f"dy must have x's shape {x.shape}, but its shape is {dy.shape}")
    _core.groupnorm_backward(
        dy.reshape(images.shape),
        images,
        None if gamma is None else as_floats("gamma", gamma, 1),
        as_floats("mean", mean, 2),
        as_floats("rstd", rstd, 2),
        None if dx is None else output("dx", dx, x.shape).reshape(images.shape),
        None if dgamma is None else output("dgamma", dgamma, x.shape[-1:]),
        None if dbeta is None else output("dbeta", dbeta, x.shape[-1:]),
    )


def _images(name: str, array: Floats) -> Floats:
    """(N, ..., C) as (N, positions, C), a view."""
    if array.ndim < 2 or array.size == 0:
        raise ValueError(f"{name} must have shape (N, ..., C), not empty, but is {array.shape}")
    return array.reshape(array.shape[0], -1, array.shape[-1])
