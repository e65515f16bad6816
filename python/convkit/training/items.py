"""Sets of single samples, as PyTorch and Hugging Face have them, as batches.

A set says how many samples it has and gives each by its number; neither library is imported here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..ops._gate import as_array

# The columns that a set of Hugging Face's calls its images and labels.
_IMAGES = ("image", "images", "img", "pixel_values", "x")
_LABELS = ("label", "labels", "fine_label", "target", "targets", "y")
_AHEAD = 2  # batches


class ItemBatches:
    """Batches of the samples of a set, which a thread reads while the model trains.

    Args:
        items: the set.
        batch_size: of all batches but the last.
        read: the samples of some numbers, as a batch.
    """

    def __init__(
        self, items: Any, batch_size: int, read: Callable[[Any, Sequence[int]], Any]
    ) -> None:
        self._items, self._size, self._read = items, batch_size, read

    def __len__(self) -> int:
        return -(-len(self._items) // self._size)

    def __iter__(self) -> Iterator[Any]:
        return self._begin_pass(0, 0, 0)

    def _begin_pass(
        self,
        seed: int,
        epoch: int,
        step: int,
        order: Callable[[int, int, int], Array] | None = None,
    ) -> Iterator[Any]:
        ordered = import_module("convkit.data.parallel").ordered  # only where there is such a set
        count = len(self._items)
        numbers = np.arange(count) if order is None else order(count, epoch, step)
        chunks = (
            numbers[start : start + self._size].tolist() for start in range(0, count, self._size)
        )
        # By one thread: what samples draw at random, they draw in their order.
        batches: Iterator[Any] = ordered(
            lambda chunk: self._read(self._items, chunk), chunks, 1, _AHEAD
        )
        return batches


def as_item_batches(
    x: Any, batch_size: int, input_names: Sequence[str], needs_targets: bool
) -> ItemBatches | None:
    """The batches of a set of samples, or None if it is none.

    Args:
        x: anything.
        batch_size: of the batches.
        input_names: of the model.
        needs_targets: whether there must be a column of labels.

    Raises:
        ValueError: it has columns, and it is not clear which are the images and the labels.
    """
    if isinstance(getattr(x, "column_names", None), list) and hasattr(x, "features"):
        image = _column(x, (*input_names, *_IMAGES), "images")
        label = _column(x, _LABELS, "labels") if needs_targets else None

        def read(items: Any, numbers: Sequence[int]) -> Any:
            columns = items[numbers]
            others = () if label is None else (_targets(columns[label]),)
            return (columns[image], *others)

        return ItemBatches(x, batch_size, read)
    library = sys.modules.get("torch.utils.data")
    if (
        library is not None
        and isinstance(x, library.Dataset)
        and not isinstance(x, library.IterableDataset)
    ):
        return ItemBatches(x, batch_size, _read_samples)
    return None


def _column(items: Any, names: Sequence[str], what: str) -> str:
    found = list(dict.fromkeys(name for name in names if name in items.column_names))
    if len(found) != 1:
        how_many = "several" if found else "none"
        raise ValueError(
            f"of a data set with the columns {items.column_names}, {how_many} may be the {what}; "
            f"rename the one that is meant to {names[-1]!r}, as by rename_column, and remove "
            f"others by remove_columns"
        )
    return found[0]


def _read_samples(items: Any, numbers: Sequence[int]) -> Any:
    """A batch of a set that gives x, or tuples (x, y) or (x, y, weight)."""
    samples = [items[number] for number in numbers]
    if isinstance(samples[0], Mapping):
        raise ValueError(
            f"a sample is a dictionary with the keys {list(samples[0])}; let the set give (x, y)"
        )
    if not isinstance(samples[0], list | tuple):
        return (samples,)
    x, *others = zip(*samples, strict=True)
    return (list(x), *map(_targets, others))


def _targets(values: Any) -> Array:
    if isinstance(values, np.ndarray) or hasattr(values, "__array__"):
        return as_array("y", values)
    return np.stack([as_array("y", value) for value in values])
