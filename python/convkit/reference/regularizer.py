"""L1 and L2 penalties on parameters, and their gradients."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, expect_shape, floating


def regularize(w: ArrayLike, g: Array | None = None, *, l1: float = 0.0, l2: float = 0.0) -> float:
    """Return `l1 * sum |w| + l2 * sum w^2`; add `l1 * sign(w) + 2 * l2 * w` to g (w's shape).

    The subgradient of `|w|` at 0 is taken to be 0, as Keras's backends do.
    """
    w = floating(w, "w")
    if g is not None:
        if not isinstance(g, np.ndarray) or g.dtype.kind != "f":
            raise TypeError("g is added to in place and must be a floating-point NumPy array")
        expect_shape(g, w.shape, "g")
        g += l1 * np.sign(w) + 2 * l2 * w
    return float(l1 * np.abs(w).sum() + l2 * np.square(w).sum())
