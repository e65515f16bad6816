"""The functions of `tf` that sort and count the elements of arrays, by NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np

from .functions import _array
from .recorded import numbers
from .tensor import as_tensor

__all__ = [
    "argsort",
    "bincount",
    "confusion_matrix",
    "cumsum",
    "in_top_k",
    "sort",
    "top_k",
    "unique",
]


def sort(values: Any, axis: Any = -1, direction: str = "ASCENDING", name: Any = None) -> Any:
    """The elements in order."""
    values = _array(values)
    made = np.take_along_axis(values, np.argsort(numbers(values), axis, kind="stable"), axis)
    return as_tensor(made if direction == "ASCENDING" else np.flip(made, axis))


def argsort(values: Any, axis: Any = -1, direction: str = "ASCENDING", stable: Any = True) -> Any:
    """The places of the elements in order."""
    made = np.argsort(_array(values), axis, kind="stable")
    return as_tensor(made if direction == "ASCENDING" else np.flip(made, axis))


def top_k(input: Any, k: Any = 1, sorted: Any = True, name: Any = None) -> Any:
    """The k largest elements of the last axis, and their places."""
    values = _array(as_tensor(input))
    places = np.argsort(-numbers(values), -1, kind="stable")[..., : int(k)]
    return _TopK(as_tensor(np.take_along_axis(values, places, -1)), as_tensor(places))


class _TopK(tuple[Any, Any]):
    """The values and the places, also as attributes."""

    __slots__ = ()

    def __new__(cls, values: Any, indices: Any) -> _TopK:
        return super().__new__(cls, (values, indices))

    @property
    def values(self) -> Any:
        return self[0]

    @property
    def indices(self) -> Any:
        return self[1]


def in_top_k(targets: Any, predictions: Any, k: Any) -> Any:
    """Whether each target is among the k largest predictions."""
    order = np.argsort(-np.asarray(predictions), -1, kind="stable")[:, : int(k)]
    return as_tensor((order == np.asarray(targets)[:, np.newaxis]).any(axis=1))


def unique(x: Any, *ignored: Any, **options: Any) -> Any:
    """The different values, and of which each element is one."""
    values, places = np.unique(_array(x), return_inverse=True)
    return as_tensor(values), as_tensor(places)


def cumsum(x: Any, axis: Any = 0, *ignored: Any, **options: Any) -> Any:
    """The sums so far along an axis."""
    return as_tensor(np.cumsum(_array(as_tensor(x)), axis))


def bincount(arr: Any, weights: Any = None, minlength: Any = 0, *ignored: Any, **more: Any) -> Any:
    """How often each whole number is there."""
    return as_tensor(np.bincount(np.ravel(arr), weights, minlength or 0))


def confusion_matrix(labels: Any, predictions: Any, num_classes: Any = None, **options: Any) -> Any:
    """How often each class was taken for each, (true, predicted)."""
    true, found = np.ravel(labels).astype(int), np.ravel(predictions).astype(int)
    count = int(num_classes or max(true.max(), found.max()) + 1)
    matrix = np.zeros((count, count), np.int32)
    np.add.at(matrix, (true, found), 1)
    return as_tensor(matrix)
