"""Arrays side by side along an axis, and the parts of such an array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, integer, output, sizes


def concatenate(
    arrays: Sequence[npt.ArrayLike], axis: int = -1, *, out: Floats | None = None
) -> Floats:
    """The arrays one behind the other along an axis.

    Args:
        arrays: at least one, of the same shape but for the axis.
        axis: counted from the last one where it is negative.
        out: float32 array of the whole shape to write into; may be the only array.

    Raises:
        ValueError: no arrays, no such axis, or shapes that disagree.
    """
    if isinstance(arrays, str | bytes) or not isinstance(arrays, Sequence) or not len(arrays):
        raise ValueError(f"arrays must be a sequence of at least one array, but is {arrays!r}")
    floats = [as_floats(f"arrays[{k}]", array) for k, array in enumerate(arrays)]
    first = floats[0].shape
    at = _axis(axis, len(first))
    for k, array in enumerate(floats):
        if array.ndim != len(first) or any(
            size != first[i] for i, size in enumerate(array.shape) if i != at
        ):
            raise ValueError(
                f"the arrays must have the same shape but for axis {axis}, but arrays[0] has "
                f"{first} and arrays[{k}] has {array.shape}"
            )
    total = sum(array.shape[at] for array in floats)
    out = output("out", out, (*first[:at], total, *first[at + 1 :]))
    if out.size:
        _core.concatenate_forward([array for array in floats if array.size], at, out)
    return out


def concatenate_backward(
    dy: npt.ArrayLike,
    x_shape: Sequence[int],
    begin: int,
    axis: int = -1,
    *,
    out: Floats | None = None,
) -> Floats:
    """The gradient of one of the arrays: its part of dy.

    Args:
        dy: the gradient of what :func:`concatenate` returned.
        x_shape: the array's shape.
        begin: where it begins along the axis: the sum of the sizes of those before it.
        axis: counted from the last one where it is negative.
        out: float32 array of shape x_shape to write into.

    Raises:
        ValueError: no such axis, or dy has no such part.
    """
    dy = as_floats("dy", dy)
    shape, first = sizes("x_shape", x_shape), integer("begin", begin)
    at = _axis(axis, dy.ndim)
    inside = (*dy.shape[:at], shape[at], *dy.shape[at + 1 :]) if len(shape) == dy.ndim else None
    if shape != inside or not 0 <= first <= dy.shape[at] - shape[at]:
        raise ValueError(
            f"dy must hold an array of shape {shape} from {first} on along axis {axis}, but its "
            f"shape is {dy.shape}"
        )
    out = output("out", out, shape)
    if out.size:
        _core.concatenate_backward(dy, at, first, out)
    return out


def _axis(axis: int, rank: int) -> int:
    number = integer("axis", axis)
    if not -rank <= number < rank:
        raise ValueError(f"axis must be in -{rank} .. {rank - 1} here, but is {axis!r}")
    return number % rank
