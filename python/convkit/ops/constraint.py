"""Weights whose norms are kept within bounds, in place."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from convkit import _core
from convkit.ops._gate import Floats, check_output, real

_FLOAT32 = np.dtype(np.float32)


def constrain_norms(
    w: Floats,
    axis: int | Sequence[int],
    *,
    min_norm: float = 0.0,
    max_norm: float = math.inf,
    rate: float = 1.0,
) -> None:
    """Scales parts of w, in place, so that their Euclidean norms lie within bounds.

    A norm outside goes `rate` of the way to the nearer bound: with wanted = rate * bound +
    (1 - rate) * norm, w is multiplied by wanted / (1e-7 + norm), as Keras has it. A norm within
    leaves the bits as they are. Sums are made in double precision, in order.

    Args:
        w: float32 in C order, of at most 8 axes.
        axis: the axes that a norm is summed over, one or several; there is a norm for each
            position of the others.
        min_norm, max_norm: the bounds, 0 <= min_norm <= max_norm.
        rate: in [0, 1].

    Raises:
        ValueError: an axis is not w's, or a bound is out of range.
    """
    check_output("w", w, getattr(w, "shape", ()), _FLOAT32)
    low, high = real("min_norm", min_norm), real("max_norm", max_norm)
    _core.constrain_norms(w, _axes(axis, w.ndim), low, high, real("rate", rate))


def _axes(axis: int | Sequence[int], rank: int) -> tuple[int, ...]:
    try:
        several = not isinstance(axis, str | bytes) and hasattr(axis, "__iter__")
        given = tuple(axis) if several else (axis,)  # type: ignore[arg-type]
        axes = tuple(operator.index(each) for each in given)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"axis must be an integer or several, but is {axis!r}") from None
    turned = tuple(sorted(each + rank if each < 0 else each for each in axes))
    if not axes or len(set(turned)) != len(axes) or not 0 <= turned[0] <= turned[-1] < rank:
        raise ValueError(f"axis must name axes of an array of {rank}, each once, but is {axis!r}")
    return turned
