"""Arrays of data: normalized, and split in two."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..core import random
from ..core.config import as_number, flag
from ..core.parameters import Array
from . import nested
from .arguments import real_array
from .dataset import Dataset
from .stages import Slices


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Divide vectors by their norms; those of norm 0 stay.

    Args:
        x: an array.
        axis: along which the vectors lie.
        order: of the norm; 2 is the Euclidean.
    """
    array = real_array(x, "x")
    number = as_number(order)
    if number is None or math.isnan(number):
        raise TypeError(f"order must be a number, received {order!r}")
    if not isinstance(axis, int) or not -array.ndim <= axis < array.ndim:
        raise ValueError(f"axis must be one of those of shape {array.shape}, received {axis!r}")
    norm: Array = np.linalg.norm(array, number, axis, keepdims=True)
    return array / np.where(norm == 0, 1, norm)


def split_dataset(
    dataset: Any,
    left_size: float | None = None,
    right_size: float | None = None,
    shuffle: bool = False,
    seed: int | None = None,
    preferred_backend: str | None = None,
) -> tuple[Dataset, Dataset]:
    """Split data that fit into memory in two, such as for training and tests.

    Args:
        dataset: an array, a tuple or list of arrays of the same length, or an iterable of elements,
            such as a `Dataset` or one of PyTorch's.
        left_size: the share of the elements in the first, a float, or their number, an integer; by
            default what `right_size` leaves.
        right_size: likewise of the second.
        shuffle: whether the elements are put into a random order before.
        seed: of the order; by default that of the process.
        preferred_backend: counts for nothing.

    Returns:
        Two data sets of single elements, or of batches where the data set is one of batches.

    Raises:
        ValueError: the sizes do not fit, or leave one without elements.
    """
    size = None
    if isinstance(dataset, Dataset):
        size = dataset.batch_size
        dataset = dataset if size is None else dataset.unbatch()
    element = _gathered(dataset)
    total = len(Slices(element))
    if left_size is None and right_size is None:
        raise ValueError("split_dataset needs left_size or right_size")
    left, right = _size(left_size, "left_size", total), _size(right_size, "right_size", total)
    if left is None:
        left = total - (right or 0)
    if right is None:
        right = total - left
    if left < 1 or right < 1 or left + right > total:
        raise ValueError(
            f"left_size={left_size!r} and right_size={right_size!r} of {total} elements make "
            f"{left} and {right}; both need at least one, and together at most {total}"
        )
    numbers = np.arange(total)
    if flag(shuffle, "shuffle", "split_dataset"):
        numbers = random.permutation(
            total, random.seed() if seed is None else random.check_seed(seed), 0, 0
        )
    first, second = (
        Dataset.from_tensor_slices(nested.map_leaves(lambda leaf, rows=rows: leaf[rows], element))
        for rows in (numbers[:left], numbers[total - right :])
    )
    if size is not None:
        return first.batch(size), second.batch(size)
    return first, second


def _gathered(dataset: Any) -> Any:
    """All elements as arrays with a common first axis."""
    if isinstance(dataset, list):
        dataset = tuple(dataset)
    if isinstance(dataset, tuple | np.ndarray):
        return nested.as_element(dataset)
    if not hasattr(dataset, "__iter__"):
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise TypeError(f"split_dataset takes arrays or elements, received {dataset!r}")
        dataset = map(dataset.__getitem__, range(len(dataset)))
    elements = [nested.as_element(each) for each in dataset]
    if not elements:
        raise ValueError("split_dataset received no elements")
    return nested.stack(elements)


def _size(value: Any, what: str, total: int) -> int | None:
    if value is None:
        return None
    number = as_number(value)
    if number is None:
        raise TypeError(f"{what} must be an integer, a float or None, received {value!r}")
    if isinstance(value, float):
        if not 0.0 < value < 1.0:
            raise ValueError(f"{what} as a share must lie between 0 and 1, received {value!r}")
        return round(value * total)
    if not 0 < number < total:
        raise ValueError(f"{what} must lie in 1 .. {total - 1}, received {value!r}")
    return int(number)
