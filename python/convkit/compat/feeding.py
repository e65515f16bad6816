"""What models of old are fed with, as convkit takes it: arrays, and passes over iterators."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from . import iterators
from .layout import channels_last, dimensions_first
from .tensor import Tensor


def steps_of(value: Any) -> Any:
    """A number of steps, which scripts compute as samples / batch size: rounded up."""
    return None if value is None else max(1, math.ceil(float(value)))


def as_arrays(x: Any, model: Any = None) -> Any:
    """Arrays as convkit takes them: tensors as plain arrays, images with their channels last.

    Args:
        x: what a script gives.
        model: that takes it, where it is inputs.
    """
    several = isinstance(x, list | tuple) and x and all(hasattr(each, "shape") for each in x)
    if several and (model is None or len(x) in (1, len(model.inputs) if model.built else 1)):
        return type(x)(as_arrays(each, model) for each in x)
    if isinstance(x, Tensor):
        x = np.asarray(x)
    if model is not None and isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.kind in "fiub":
        x = x[:, np.newaxis]  # as Keras 2 takes single numbers
    if dimensions_first() and model is not None and model.built and hasattr(x, "shape"):
        return channels_last(x, model.graph.inputs[0].sizes)
    return x


def passes(x: Any, steps: Any, model: Any) -> Any:
    """Batches of an iterator as an iterable of passes; anything else as it is.

    Args:
        x: the data of a training, a validation or a prediction.
        steps: how many batches are wanted, None for a pass.
        model: that takes them.
    """
    if isinstance(x, iterators.Iterator):
        x = _Passes(x, steps)
    is_stream = hasattr(x, "__iter__") and not hasattr(x, "shape")
    if dimensions_first() and model.built and is_stream and not isinstance(x, list | tuple | dict):
        return _Transposed(x, model.graph.inputs[0].sizes)
    return x


class _Passes:
    """Passes over an image iterator, whose batches are made by threads before they are wanted.

    Asked for a number of steps, a pass has no end: the next one follows.
    """

    def __init__(self, source: iterators.Iterator, steps: Any) -> None:
        self._source, self._endless = source, steps is not None
        self.batch_size = source.batch_size

    def __len__(self) -> int:
        if self._endless:
            raise NotImplementedError
        return len(self._source)

    def __iter__(self) -> Iterator[Any]:
        if not len(self._source):
            raise ValueError(
                "the image generator has no samples: no images were found where it looks, or none "
                "are in its subset"
            )
        while True:
            yield from self._source.batches()
            self._source.on_epoch_end()
            if not self._endless:
                return


class _Transposed:
    """Batches whose images have their channels first, with the channels last."""

    def __init__(self, source: Any, sizes: tuple[Any, ...]) -> None:
        self._source, self._sizes = source, sizes

    def __len__(self) -> int:
        if not hasattr(self._source, "__len__"):
            raise NotImplementedError
        return len(self._source)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._source:
            if isinstance(batch, tuple | list):
                yield (channels_last(batch[0], self._sizes), *batch[1:])
            else:
                yield channels_last(batch, self._sizes)
