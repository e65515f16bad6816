"""The functions of `tf` that put the elements of arrays into other shapes and places, by NumPy."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np

from .. import layers
from .functions import _array, _kept
from .tensor import as_tensor, is_symbolic

__all__ = [
    "add_n",
    "boolean_mask",
    "concat",
    "concatenate",
    "expand_dims",
    "flip",
    "gather",
    "pad",
    "repeat",
    "reshape",
    "reverse",
    "split",
    "squeeze",
    "stack",
    "tile",
    "transpose",
    "unstack",
    "where",
]


def add_n(inputs: Any, name: Any = None) -> Any:
    """The sum of several tensors of one shape."""
    if is_symbolic(inputs):
        return layers.Add()(list(inputs))
    return as_tensor(_kept(reduce(np.add, [_array(as_tensor(each)) for each in inputs]), inputs))


def reshape(tensor: Any, shape: Any, name: Any = None) -> Any:
    """The elements in another shape."""
    if is_symbolic(tensor):
        return layers.Reshape(tuple(int(each) for each in shape[1:]))(tensor)
    return as_tensor(np.reshape(_array(tensor), tuple(int(each) for each in np.ravel(shape))))


def expand_dims(input: Any, axis: Any = -1, name: Any = None, dim: Any = None) -> Any:
    """Another axis of size 1."""
    return as_tensor(np.expand_dims(_array(as_tensor(input)), axis if dim is None else dim))


def squeeze(input: Any, axis: Any = None, name: Any = None) -> Any:
    """Without the axes of size 1, or without those."""
    return as_tensor(np.squeeze(_array(input), tuple(axis) if isinstance(axis, list) else axis))


def transpose(a: Any, perm: Any = None, conjugate: Any = False, name: Any = None) -> Any:
    """The axes in another order."""
    return as_tensor(np.transpose(_array(a), perm))


def concat(values: Any, axis: Any = 0, name: Any = None) -> Any:
    """Several tensors along an axis."""
    if is_symbolic(values):
        return layers.Concatenate(axis=axis)(list(values))
    return as_tensor(np.concatenate([_array(as_tensor(each)) for each in values], axis))


concatenate = concat


def stack(values: Any, axis: Any = 0, name: Any = None) -> Any:
    """Several tensors along a new axis."""
    return as_tensor(np.stack([_array(as_tensor(each)) for each in values], axis))


def unstack(value: Any, num: Any = None, axis: Any = 0, name: Any = None) -> Any:
    """The parts along an axis, without it."""
    return [as_tensor(each) for each in np.moveaxis(_array(value), axis, 0)]


def split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None) -> Any:
    """So many equal parts along an axis, or parts of those sizes."""
    places = num_or_size_splits
    if not isinstance(places, int):
        places = np.cumsum(places)[:-1]
    return [as_tensor(each) for each in np.split(_array(value), places, axis)]


def tile(input: Any, multiples: Any, name: Any = None) -> Any:
    """The tensor so many times along each axis."""
    return as_tensor(np.tile(_array(input), np.ravel(multiples)))


def repeat(input: Any, repeats: Any, axis: Any = None, name: Any = None) -> Any:
    """Each element so many times."""
    return as_tensor(np.repeat(_array(as_tensor(input)), repeats, axis))


def reverse(tensor: Any, axis: Any = None, name: Any = None) -> Any:
    """Backwards along the axes."""
    return as_tensor(np.flip(_array(tensor), tuple(axis) if isinstance(axis, list) else axis))


flip = reverse


def pad(tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0) -> Any:
    """With more elements before and behind along each axis."""
    options: dict[str, Any] = (
        {"constant_values": constant_values} if mode.upper() == "CONSTANT" else {}
    )
    return as_tensor(np.pad(_array(tensor), np.asarray(paddings), mode.lower(), **options))  # type: ignore[call-overload]


def gather(params: Any, indices: Any, axis: Any = None, batch_dims: int = 0, **options: Any) -> Any:
    """The parts at those places along an axis; each of a batch at its own places."""
    params, indices = _array(as_tensor(params)), np.asarray(indices)
    batch_dims += indices.ndim if batch_dims < 0 else 0
    axis = batch_dims if axis is None else axis
    if not batch_dims:
        return as_tensor(np.take(params, indices, axis))
    if axis != batch_dims:
        raise ValueError(f"gather takes places along axis {batch_dims}, the first of samples")
    places = (*np.indices(indices.shape, sparse=True)[:batch_dims], indices)
    return as_tensor(params[places])


def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: Any = None) -> Any:
    """The elements where the mask is true."""
    places = (slice(None),) * (axis or 0) + (np.asarray(mask),)
    return as_tensor(_array(as_tensor(tensor))[places])


def where(condition: Any, x: Any = None, y: Any = None, name: Any = None) -> Any:
    """x where the condition holds, y elsewhere; or the places where it holds, (n, axes)."""
    if x is None or y is None:
        return as_tensor(np.argwhere(condition))
    return as_tensor(_kept(np.where(condition, _array(x), _array(y)), [_array(x), _array(y)]))
