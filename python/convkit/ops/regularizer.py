"""Penalties on the size of parameters, with their gradients, in one pass."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, check_output, real

_FLOAT32 = np.dtype(np.float32)


def regularize(
    w: npt.ArrayLike, g: Floats | None = None, *, l1: float = 0.0, l2: float = 0.0
) -> float:
    """The penalty `l1 * sum |w| + l2 * sum w^2`; its gradient is added to g.

    Sums are taken over pieces of fixed size and added in double precision, in order, so that the
    bits do not depend on the number of threads.

    Args:
        w: parameters, an array of any shape.
        g: their gradient, float32 of w's shape, to which l1 * sign(w) + 2 * l2 * w is added
            (sign(0) is 0); None for the penalty alone.
        l1, l2: the factors.

    Raises:
        ValueError: g has another shape than w, or is not writable.
    """
    w = as_floats("w", w)
    if g is not None:
        check_output("g", g, w.shape, _FLOAT32)
    return _core.regularize(w, g, real("l1", l1), real("l2", l2))
