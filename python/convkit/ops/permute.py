"""Arrays with their axes in another order."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output


def permute(x: npt.ArrayLike, axes: Sequence[int], *, out: Floats | None = None) -> Floats:
    """x with its axes in another order: a copy of ``numpy.transpose(x, axes)``.

    Args:
        x: an array of any rank.
        axes: each axis of x once; axis i of the result is axis ``axes[i]`` of x.
        out: float32 array to write into; must not overlap x.

    Raises:
        ValueError: axes do not name each axis once.
    """
    x = as_floats("x", x)
    order = _order(axes, x.ndim)
    out = output("out", out, tuple(x.shape[axis] for axis in order))
    _core.permute(x, order, out)
    return out


def _order(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    try:
        order = tuple(operator.index(axis) for axis in axes)
    except TypeError:
        order = ()
    if sorted(order) != list(range(rank)) or isinstance(axes, str | bytes):
        raise ValueError(f"axes must name each of 0 to {rank - 1} once, but are {axes!r}")
    return order
