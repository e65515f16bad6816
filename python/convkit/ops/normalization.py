"""Normalisation by given statistics."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output


def normalization_forward(
    x: npt.ArrayLike, mean: npt.ArrayLike, scale: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """(x - mean) * scale: the difference first, which is exact where x is near a large mean.

    Args:
        x: an array (..., K), not empty.
        mean, scale: one number for each position of the last axis, (K,).
        out: float32 array of x's shape to write into; may be x.

    Raises:
        ValueError: shapes disagree.
    """
    x = as_floats("x", x)
    if x.ndim < 1 or x.size == 0:
        raise ValueError(f"x must have shape (..., K), not empty, but is {x.shape}")
    rows = (-1, x.shape[-1])
    out = output("out", out, x.shape)
    _core.normalization(
        x.reshape(rows), as_floats("mean", mean, 1), as_floats("scale", scale, 1), out.reshape(rows)
    )
    return out


def normalization_backward(
    dy: npt.ArrayLike, scale: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy * scale; ``out`` may be dy."""
    dy = as_floats("dy", dy)
    factors = as_floats("scale", scale, 1)
    if factors.shape != dy.shape[-1:]:
        raise ValueError(f"scale must have shape {dy.shape[-1:]}, but its shape is {factors.shape}")
    out = output("out", out, dy.shape)
    _core.rescaling(dy, factors, None, out)
    return out
