"""Arrays with their axes in another order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, floating


def permute(x: ArrayLike, axes: Sequence[int], *, out: Array | None = None) -> Array:
    """Return x with its axes in that order, in memory of its own."""
    x = floating(x, "x")
    if isinstance(axes, str) or sorted(axes) != list(range(x.ndim)):
        raise ValueError(f"axes must name each axis of {x.shape} once, received {axes!r}")
    return deliver(np.transpose(x, axes).copy(), out)
