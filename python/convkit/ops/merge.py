"""Several arrays become one, element by element: sums, products, means, extremes.

Shapes are broadcast by NumPy's rule: aligned at their last axes, sizes of 1 repeat. Arrays are
taken in their order, at most 64 at a time. ``out`` may be one of the arrays that have its shape. A
gradient is summed over the axes along which its array was broadcast, in blocks that are added up in
pairs: its error is at most (520 + log2(terms)) * eps / 2 times the sum of the terms' magnitudes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import (
    Floats,
    Shape,
    as_floats,
    in_c_order,
    integer,
    output,
    output_of,
    real,
    sizes,
)

Indices = npt.NDArray[np.uint8]

_UINT8 = np.dtype(np.uint8)


def add(
    x: npt.ArrayLike, z: npt.ArrayLike, *others: npt.ArrayLike, out: Floats | None = None
) -> Floats:
    """x + z + others.

    Args:
        x, z, others: arrays of shapes that can be broadcast together.
        out: float32 array of the broadcast shape to write into.

    Raises:
        ValueError: the shapes do not fit, or there are too many arrays.
    """
    return _merged(_core.Merge.add, (x, z, *others), out)


def subtract(x: npt.ArrayLike, z: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x - z."""
    return _merged(_core.Merge.subtract, (x, z), out)


def multiply(
    x: npt.ArrayLike, z: npt.ArrayLike, *others: npt.ArrayLike, out: Floats | None = None
) -> Floats:
    """x * z * others."""
    return _merged(_core.Merge.multiply, (x, z, *others), out)


def average(
    x: npt.ArrayLike, z: npt.ArrayLike, *others: npt.ArrayLike, out: Floats | None = None
) -> Floats:
    """(x + z + others) / their number."""
    return _merged(_core.Merge.add, (x, z, *others), out, float(2 + len(others)))


def maximum(
    x: npt.ArrayLike,
    z: npt.ArrayLike,
    *others: npt.ArrayLike,
    out: Floats | None = None,
    indices: Indices | None = None,
) -> tuple[Floats, Indices]:
    """The largest of the arrays' numbers, and the number of the array that it is from.

    That is the first of several; and the first NaN, where there is one.

    Args:
        x, z, others: arrays of shapes that can be broadcast together.
        out: float32 array of the broadcast shape to write into.
        indices: uint8 array of that shape to write into: 0 for x, 1 for z, 2 for the next.
    """
    return _extreme(_core.Merge.maximum, (x, z, *others), out, indices)


def minimum(
    x: npt.ArrayLike,
    z: npt.ArrayLike,
    *others: npt.ArrayLike,
    out: Floats | None = None,
    indices: Indices | None = None,
) -> tuple[Floats, Indices]:
    """The smallest of the arrays' numbers, and where it is from, as :func:`maximum`."""
    return _extreme(_core.Merge.minimum, (x, z, *others), out, indices)


def add_backward(
    dy: npt.ArrayLike, x_shape: Sequence[int], *, divisor: float = 1.0, out: Floats | None = None
) -> Floats:
    """The gradient of an array that was added: dy / divisor, summed to the array's shape.

    Args:
        dy: the gradient of the sum.
        x_shape: the array's shape, which can be broadcast to dy's.
        divisor: the number of arrays, of :func:`average`; -1 for z of :func:`subtract`.
        out: float32 array of shape x_shape to write into; may be dy where that is its shape.

    Raises:
        ValueError: the shape cannot be broadcast to dy's, or the divisor is 0 or not finite.
    """
    dy = as_floats("dy", dy)
    number = real("divisor", divisor)
    if not np.isfinite(np.float32(number)) or np.float32(number) == 0:
        raise ValueError(f"divisor must be a finite number other than 0, but is {divisor!r}")
    out = _gradient(dy, [], x_shape, out)
    _core.merge_backward([dy], number, None, 0, _aligned(out, dy))
    return out


def multiply_backward(
    dy: npt.ArrayLike,
    x_shape: Sequence[int],
    z: npt.ArrayLike,
    *others: npt.ArrayLike,
    out: Floats | None = None,
) -> Floats:
    """The gradient of a factor: dy * z * others, summed to the factor's shape.

    Args:
        dy: the gradient of the product.
        x_shape: the factor's shape.
        z, others: all other factors; with x_shape they are broadcast to dy's shape.
        out: float32 array of shape x_shape to write into; may be one of the arrays of that shape.

    Raises:
        ValueError: the shapes do not fit.
    """
    dy = as_floats("dy", dy)
    factors = _floats((z, *others), "zuvw")
    out = _gradient(dy, factors, x_shape, out)
    _core.merge_backward([dy, *factors], 1.0, None, 0, _aligned(out, dy))
    return out


def maximum_backward(
    dy: npt.ArrayLike,
    indices: Indices,
    index: int,
    x_shape: Sequence[int],
    *,
    out: Floats | None = None,
) -> Floats:
    """The gradient of one of the arrays of :func:`maximum` or :func:`minimum`.

    It is dy where the array's number was taken, 0 elsewhere, summed to the array's shape.

    Args:
        dy: the gradient of the result.
        indices: as the forward pass returned them: uint8 in C order, of dy's shape.
        index: the array's number: 0 for x, 1 for z, 2 for the next.
        x_shape: the array's shape, which can be broadcast to dy's.
        out: float32 array of shape x_shape to write into; may be dy where that is its shape.

    Raises:
        TypeError: the indices are not uint8.
        ValueError: the shapes do not fit, or there can be no such array.
    """
    dy = as_floats("dy", dy)
    number = integer("index", index)
    if not 0 <= number < 64:
        raise ValueError(f"index must be the number of an array, 0 to 63, but is {index!r}")
    where = _as_indices(indices, dy.shape)
    out = _gradient(dy, [], x_shape, out)
    _core.merge_backward([dy], 1.0, where, number, _aligned(out, dy))
    return out


def _merged(
    kind: _core.Merge, arrays: Iterable[npt.ArrayLike], out: Floats | None, divisor: float = 1.0
) -> Floats:
    floats = _floats(arrays)
    out = output("out", out, _broadcast([array.shape for array in floats]))
    _core.merge(kind, floats, divisor, None, out)
    return out


def _extreme(
    kind: _core.Merge,
    arrays: Iterable[npt.ArrayLike],
    out: Floats | None,
    indices: Indices | None,
) -> tuple[Floats, Indices]:
    floats = _floats(arrays)
    shape = _broadcast([array.shape for array in floats])
    out = output("out", out, shape)
    indices = output_of(_UINT8, "indices", indices, shape)
    _core.merge(kind, floats, 1.0, indices, out)
    return out, indices


def _floats(arrays: Iterable[npt.ArrayLike], names: str = "xzuvw") -> list[Floats]:
    return [
        as_floats(names[k] if k < len(names) else f"array {k}", array)
        for k, array in enumerate(arrays)
    ]


def _broadcast(shapes: Iterable[Shape]) -> Shape:
    """The shape that all are broadcast to."""
    shapes = list(shapes)
    rank = max(len(shape) for shape in shapes)
    whole = []
    for axis in range(-rank, 0):
        found = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(found) > 1:
            raise ValueError(
                f"the arrays' shapes {', '.join(map(str, shapes))} cannot be broadcast together: "
                f"axis {axis} must have one size, or 1"
            )
        whole.append(found.pop() if found else 1)
    return tuple(whole)


def _gradient(
    dy: Floats, others: Sequence[Floats], x_shape: Sequence[int], out: Floats | None
) -> Floats:
    """``out``, or a new array, of x_shape, which is broadcast with the others to dy's shape."""
    shape = sizes("x_shape", x_shape)
    # Of a sum, dy's shape says what the others had.
    whole = _broadcast([shape, *(array.shape for array in others or [dy])])
    if whole != dy.shape:
        raise ValueError(f"dy must have the result's shape {whole}, but its shape is {dy.shape}")
    if dy.size == 0 and shape != dy.shape:
        raise ValueError(f"dy must not be empty, but its shape is {dy.shape}")
    return output("out", out, shape)


def _aligned(out: Floats, dy: Floats) -> Floats:
    """The same memory with as many axes as dy has."""
    return out.reshape((1,) * (dy.ndim - out.ndim) + out.shape) if out.ndim < dy.ndim else out


def _as_indices(indices: Any, shape: Shape) -> Indices:
    if not isinstance(indices, np.ndarray) or indices.dtype != _UINT8:
        raise TypeError("indices must be the uint8 array that the forward pass returned")
    if indices.shape != shape:
        raise ValueError(f"indices must have dy's shape {shape}, but theirs is {indices.shape}")
    return in_c_order(indices)
