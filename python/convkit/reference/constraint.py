"""Weights whose norms are kept within bounds, in place."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ._arguments import Array


def constrain_norms(
    w: Array,
    axis: int | Sequence[int],
    *,
    min_norm: float = 0.0,
    max_norm: float = math.inf,
    rate: float = 1.0,
) -> None:
    """Scale w (changed in place) so that its norms over `axis` lie in min_norm .. max_norm.

    Where a norm lies outside, it goes `rate` of the way to the bound, up to Keras's 1e-7.
    """
    if not isinstance(w, np.ndarray) or w.dtype.kind != "f":
        raise TypeError("w is changed in place and must be a floating-point NumPy array")
    if not (0 <= min_norm <= max_norm and 0 <= rate <= 1):
        raise ValueError(
            f"expected 0 <= min_norm <= max_norm and rate in 0 .. 1, received {min_norm}, "
            f"{max_norm}, {rate}"
        )
    axes = axis if isinstance(axis, int) else tuple(axis)
    norms = np.sqrt(np.square(w.astype(np.float64)).sum(axis=axes, keepdims=True))
    inside = np.clip(norms, min_norm, max_norm)
    wanted = rate * inside + (1 - rate) * norms
    w *= np.where(inside == norms, 1, wanted / (1e-7 + norms))
