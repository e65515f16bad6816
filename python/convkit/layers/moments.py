"""Means and variances of data that is larger than memory: in float64, batch by batch, in pairs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from ..core.parameters import Array
from ..ops._gate import as_array

_BLOCK = 1 << 16  # numbers that are converted to float64 at a time, or one row


class _Part(NamedTuple):
    """Of so many rows: their number, mean, and sum of squared deviations."""

    rows: int
    mean: Array
    squares: Array

    def joined(self, other: _Part) -> _Part:
        """Of both (T. Chan, G. Golub and R. LeVeque, "Updating formulae", 1979)."""
        rows = self.rows + other.rows
        delta = other.mean - self.mean
        share = other.rows / rows
        squares = self.squares + other.squares + np.square(delta) * (self.rows * share)
        return _Part(rows, self.mean + delta * share, squares)


class Moments:
    """The mean and population variance of arrays, over all axes but some.

    Args:
        axes: those that are kept, in order, without the first.
    """

    def __init__(self, axes: tuple[int, ...]) -> None:
        self.axes = axes
        self._levels: list[_Part | None] = []  # level i: of 2^i blocks

    def add(self, batch: Array) -> None:
        """Take a batch, (N, ...)."""
        kept = [batch.shape[axis] for axis in self.axes]
        columns = int(np.prod(kept))
        others = [axis for axis in range(1, batch.ndim) if axis not in self.axes]
        step = max(1, _BLOCK // max(1, batch[0].size))
        for start in range(0, len(batch), step):
            block = batch[start : start + step].transpose(0, *others, *self.axes)
            rows = block.reshape(-1, columns).astype(np.float64)
            for first in range(0, len(rows), max(1, _BLOCK // columns)):
                self._add_rows(rows[first : first + max(1, _BLOCK // columns)], kept)

    def _add_rows(self, rows: Array, kept: list[int]) -> None:
        # Along contiguous memory, where NumPy adds up in pairs.
        columns = np.ascontiguousarray(rows.T)
        mean = columns.sum(axis=1) / columns.shape[1]
        squares = np.square(columns - mean[:, None]).sum(axis=1)
        part = _Part(columns.shape[1], mean.reshape(kept), squares.reshape(kept))
        for level, held in enumerate(self._levels):
            if held is None:
                self._levels[level] = part
                return
            part = held.joined(part)
            self._levels[level] = None
        self._levels.append(part)

    def mean_and_variance(self) -> tuple[Array, Array]:
        """Of all that was added, float64."""
        parts = [part for part in self._levels if part is not None]
        total = parts[0]
        for part in parts[1:]:
            total = part.joined(total)
        return total.mean, total.squares / total.rows


def first_of_batches(
    data: Any, error: Callable[[str], ValueError]
) -> tuple[Array, Iterator[Array]]:
    """The first batch of data, and all of them: an array is one batch, anything else yields some.

    Raises:
        ValueError: there is none, or it has no samples.
        TypeError: it holds no real numbers.
    """
    is_array = hasattr(data, "__array__") or hasattr(data, "__dlpack__")
    if not is_array and (isinstance(data, str | bytes) or not isinstance(data, Iterable)):
        raise TypeError(
            f"{error('adapt takes an array, or an iterable of batches')}, received {data!r}"
        )
    batches = (_batch(each) for each in ([data] if is_array else data))
    first = next(batches, None)
    if first is None or first.ndim < 2 or not first.size:
        shape = "nothing" if first is None else f"shape {first.shape}"
        raise error(f"adapt needs data (N, ..., C) with at least one sample, received {shape}")
    return first, itertools.chain([first], batches)


def _batch(value: Any) -> Array:
    """A batch as an array; of a pair of a batch and its labels the batch."""
    if isinstance(value, tuple) and value:
        value = value[0]
    array = as_array("data", value)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"data must hold real numbers, but its dtype is {array.dtype}")
    return array
