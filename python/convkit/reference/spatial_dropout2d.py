"""Dropout of whole channels: each is one element of `dropout`'s mask."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, floating, nonempty
from .dropout import scaled_mask


def spatial_dropout2d_forward(
    x: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return images with a fraction `rate` of their channels 0 and the others times 1 / (1 - rate).

    Dropped channels are 0 even where x is NaN.
    """
    x = nonempty(floating(x, "x", ndim=4), "x")
    n, _, _, c = x.shape
    factors = scaled_mask(n * c, rate, seed, step + offset).reshape(n, 1, 1, c)
    return deliver(np.where(factors > 0, x, np.zeros((), x.dtype)) * factors, out)


def spatial_dropout2d_backward(
    dy: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return dx: dy through the mask of the forward pass with the same numbers."""
    dy = floating(dy, "dy")
    return spatial_dropout2d_forward(dy, rate, seed=seed, step=step, offset=offset, out=out)
