"""What every file of the reference needs: reading arrays, pairs, padding, and delivering results.

This is written apart from the array gate of ``convkit.ops`` on purpose: the oracle shares no code
with what it judges.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Pair = int | Sequence[int]
Padding = str | Sequence[Sequence[int]]
Pads = tuple[tuple[int, int], tuple[int, int]]

_LARGEST = 2**63 - 1


def floating(value: ArrayLike, name: str, *, ndim: int | None = None) -> Array:
    """Return `value` as an array of float32 or float64 (integers and booleans become float64).

    Raises TypeError for anything but real numbers, ValueError for a rank other than `ndim`.
    """
    array = np.asarray(value)
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    elif array.dtype.kind != "f":
        raise TypeError(f"{name} must hold real numbers, received dtype {array.dtype}")
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    if ndim is not None and array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimensions, received shape {array.shape}")
    return array


def nonempty(array: Array, name: str) -> Array:
    """Return `array`, or raise ValueError if one of its dimensions is zero."""
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, received shape {array.shape}")
    return array


def expect_shape(array: Array, shape: tuple[int, ...], name: str) -> None:
    """Raise ValueError unless `array` has exactly `shape`."""
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, received {array.shape}")


def shape_of(value: Sequence[int], name: str, rank: int) -> tuple[int, ...]:
    """Return `value` as a tuple of `rank` positive ints."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"{name} must be a tuple of {rank} integers, received {value!r}")
    shape = tuple(operator.index(size) for size in value)
    if len(shape) != rank:
        raise ValueError(f"{name} must have {rank} dimensions, received {shape}")
    if min(shape) < 1:
        raise ValueError(f"every dimension of {name} must be at least 1, received {shape}")
    return shape


def pair(value: Pair, name: str) -> tuple[int, int]:
    """Return an int or a pair of ints as a pair; each must lie in 1 .. 2**63-1."""
    items = tuple(value) if isinstance(value, Sequence) else (value, value)
    if isinstance(value, str) or len(items) != 2:
        raise ValueError(f"{name} must be an integer or a pair of integers, received {value!r}")
    first, second = operator.index(items[0]), operator.index(items[1])
    if not (1 <= first <= _LARGEST and 1 <= second <= _LARGEST):
        raise ValueError(f"{name} must be at least 1 and fit in 63 bits, received {value!r}")
    return first, second


def _explicit_padding(padding: Sequence[Sequence[int]]) -> Pads:
    wrong = f"padding must be 'same', 'valid' or ((top, bottom), (left, right)), got {padding!r}"
    if not isinstance(padding, Sequence) or len(padding) != 2:
        raise ValueError(wrong)
    edges = []
    for edge in padding:
        if isinstance(edge, str) or not isinstance(edge, Sequence) or len(edge) != 2:
            raise ValueError(wrong)
        before, after = operator.index(edge[0]), operator.index(edge[1])
        if min(before, after) < 0 or max(before, after) > _LARGEST:
            raise ValueError(f"padding must lie in 0 .. 2**63-1, received {padding!r}")
        edges.append((before, after))
    return edges[0], edges[1]


def resolve_padding(
    padding: Padding, plane: tuple[int, int], extent: tuple[int, int], strides: tuple[int, int]
) -> Pads:
    """Return ``((top, bottom), (left, right))``.

    `plane` is (H, W), `extent` the distance a dilated window spans, ``(K - 1) * dilation + 1``.
    "same" is TensorFlow's rule: OH = ceil(H / stride), and of an odd total the bottom gets more.
    """
    if not isinstance(padding, str):
        return _explicit_padding(padding)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding != "same":
        raise ValueError(
            f"padding must be 'same', 'valid' or ((top, bottom), (left, right)), got {padding!r}"
        )
    pads = []
    for size, span, stride in zip(plane, extent, strides, strict=True):
        total = max((-(-size // stride) - 1) * stride + span - size, 0)
        pads.append((total // 2, total - total // 2))
    return pads[0], pads[1]


def output_plane(
    plane: tuple[int, int], extent: tuple[int, int], strides: tuple[int, int], pads: Pads
) -> tuple[int, int]:
    """Return (OH, OW), ``(size + before + after - extent) // stride + 1`` for each axis.

    Raises ValueError where the window is larger than the padded plane.
    """
    sizes = []
    for size, span, stride, (before, after) in zip(plane, extent, strides, pads, strict=True):
        padded = size + before + after
        if span > padded:
            raise ValueError(
                f"the (dilated) kernel spans {extent} but the padded input is only "
                f"{tuple(s + sum(p) for s, p in zip(plane, pads, strict=True))}: use a smaller "
                f"kernel, less dilation, or padding='same'"
            )
        sizes.append((padded - span) // stride + 1)
    return sizes[0], sizes[1]


def deliver(result: Array, out: Array | None, name: str = "out") -> Array:
    """Return `result`, or write it into `out` and return `out`."""
    if out is None:
        return result
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{name} must be a NumPy array, received {type(out).__name__}")
    expect_shape(out, result.shape, name)
    if not np.can_cast(result.dtype, out.dtype, "same_kind"):
        raise TypeError(f"{name} must be able to hold {result.dtype}, received {out.dtype}")
    out[...] = result
    return out
