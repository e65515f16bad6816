"""The functions of `tf` that measure and multiply vectors and matrices, by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .functions import _array, _kept
from .recorded import numbers
from .tensor import as_tensor, is_symbolic

__all__ = [
    "batch_dot",
    "clip_by_global_norm",
    "clip_by_norm",
    "compute_average_loss",
    "global_norm",
    "l2_loss",
    "l2_normalize",
    "logsumexp",
    "matmul",
    "moments",
    "norm",
    "normalize",
    "reduce_logsumexp",
    "scale_regularization_loss",
]


def matmul(
    a: Any,
    b: Any,
    transpose_a: Any = False,
    transpose_b: Any = False,
    *more: Any,
    **options: Any,
) -> Any:
    """The products of matrices, each of which may be taken transposed."""
    if is_symbolic([a, b]):
        from .function_layers import on_symbolic

        return on_symbolic(matmul, a, b, transpose_a, transpose_b)
    a, b = _array(a), _array(b)
    a = np.swapaxes(a, -1, -2) if transpose_a else a
    b = np.swapaxes(b, -1, -2) if transpose_b else b
    return as_tensor(_kept(np.matmul(a, b), [a, b]))


def batch_dot(x: Any, y: Any, axes: Any = None) -> Any:
    """The products of the samples of two batches, along an axis of each."""
    x, y = _array(x), _array(y)
    first, second = (axes, axes) if isinstance(axes, int) else axes or (x.ndim - 1, 1)
    x = np.moveaxis(x, first, -1)
    y = np.moveaxis(y, second, 1)
    if x.ndim == y.ndim == 2:
        return as_tensor(np.sum(x * y, axis=1, keepdims=True))
    return as_tensor(np.matmul(x, y) if x.ndim > 2 else np.matmul(x[:, None], y)[:, 0])


def reduce_logsumexp(
    input_tensor: Any, axis: Any = None, keepdims: Any = False, name: Any = None
) -> Any:
    """log(sum(exp(x))) along axes, which does not overflow."""
    x = _array(as_tensor(input_tensor))
    axis = tuple(axis) if isinstance(axis, list) else axis
    most = np.max(numbers(x), axis=axis, keepdims=True)
    sums = np.log(np.sum(np.exp(x - most), axis=axis, keepdims=True)) + most
    if keepdims:
        return as_tensor(_kept(sums, [x]))
    shape = np.max(numbers(x), axis=axis).shape
    return as_tensor(_kept(np.reshape(sums, shape), [x]))


logsumexp = reduce_logsumexp


def moments(
    x: Any, axes: Any, shift: Any = None, keepdims: Any = False, name: Any = None
) -> tuple[Any, Any]:
    """The means and the variances along axes."""
    x = _array(as_tensor(x))
    axis = tuple(axes) if isinstance(axes, list) else axes
    made = np.mean(x, axis=axis, keepdims=keepdims), np.var(x, axis=axis, keepdims=keepdims)
    return as_tensor(_kept(made[0], [x])), as_tensor(_kept(made[1], [x]))


def l2_loss(t: Any, name: Any = None) -> Any:
    """Half the sum of the squares."""
    t = _array(as_tensor(t))
    return as_tensor(_kept(np.sum(np.square(t)) * 0.5, [t]))


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: Any = None) -> Any:
    """Vectors, made shorter where they are longer than that."""
    t = _array(as_tensor(t))
    length = np.sqrt(np.sum(np.square(t), axis=axes, keepdims=True))
    return as_tensor(_kept(t * (clip_norm / np.maximum(length, clip_norm)), [t]))


def compute_average_loss(
    per_example_loss: Any, sample_weight: Any = None, global_batch_size: Any = None, **options: Any
) -> Any:
    """The sum of losses over the size of the batch that they are of, with those of all machines."""
    losses = _array(as_tensor(per_example_loss))
    losses = losses if sample_weight is None else losses * np.asarray(sample_weight)
    count = losses.shape[0] if global_batch_size is None else float(global_batch_size)
    return as_tensor(_kept(np.sum(losses) * (1.0 / count), [losses]))


def scale_regularization_loss(regularization_loss: Any) -> Any:
    """The sum of penalties, on one machine."""
    return as_tensor(_kept(np.sum(_array(as_tensor(regularization_loss))), [regularization_loss]))


def global_norm(t_list: Any, name: Any = None) -> Any:
    """The length of several tensors together."""
    squares = [np.sum(np.square(np.asarray(each))) for each in t_list if each is not None]
    return as_tensor(np.float32(np.sqrt(np.sum(squares))))


def clip_by_global_norm(
    t_list: Any, clip_norm: Any, use_norm: Any = None, name: Any = None
) -> tuple[list[Any], Any]:
    """Several tensors, made smaller together where they are longer than that; and their length."""
    length = global_norm(t_list) if use_norm is None else use_norm
    factor = np.float32(clip_norm / max(float(length), float(clip_norm)))
    return [None if t is None else as_tensor(np.asarray(t) * factor) for t in t_list], length


def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = False) -> Any:
    """The length of vectors."""
    order = None if ord == "euclidean" else ord
    return as_tensor(np.linalg.norm(_array(tensor), order, axis, keepdims))


def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: Any = None) -> Any:
    """Vectors of length 1."""
    x = _array(as_tensor(x))
    square = np.sum(np.square(x), axis=axis, keepdims=True)
    return as_tensor(_kept(x / np.sqrt(np.maximum(square, epsilon)), [x]))


def normalize(x: Any, axis: Any = -1, order: Any = 2, epsilon: float = 1e-7) -> Any:
    """Vectors of length 1."""
    x = np.asarray(x)
    return as_tensor(x / np.maximum(np.linalg.norm(x, order, axis, keepdims=True), epsilon))
