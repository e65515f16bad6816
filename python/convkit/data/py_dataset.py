"""PyDataset: batches by their numbers, made by a class of one's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from ..core.config import flag
from ..core.parameters import Array
from ..core.warn import warn
from .parallel import ordered


class PyDataset:
    """Base class of a data set that makes the batch of a number.

    A subclass defines `__getitem__`, which returns a whole batch, (x, y) or (x, y, sample_weight),
    and `__len__`, the number of batches; or the property `num_batches`, which may be None of a data
    set without an end. It may define `on_epoch_begin` and `on_epoch_end`, which `fit` calls.

    `fit` takes the batches in a random order, unless it is told shuffle=False.

    Args:
        workers: so many threads make batches while the model trains; with one, a batch is made when
            it is needed. The order does not depend on it.
        use_multiprocessing: True is taken for Keras's sake, with a warning: threads of this process
            make the batches in any case.
        max_queue_size: so many batches are made before they are needed, at most.

    Example:
        >>> class Files(convkit.utils.PyDataset):
        ...     def __len__(self):
        ...         return 100
        ...
        ...     def __getitem__(self, index):
        ...         with numpy.load(f"part{index}.npz") as part:
        ...             return part["images"], part["labels"]
        >>> model.fit(Files(workers=2), epochs=5)
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size
        if flag(use_multiprocessing, "use_multiprocessing", type(self).__name__):
            warn(
                "use_multiprocessing=True: batches are made by threads of this process all the same"
            )

    def __getitem__(self, index: int) -> Any:
        """The batch of that number."""
        raise NotImplementedError(f"{type(self).__name__} must define __getitem__")

    @property
    def num_batches(self) -> int | None:
        """The number of batches; None if there is no end."""
        if hasattr(self, "__len__"):
            return len(self)
        raise NotImplementedError(f"{type(self).__name__} must define __len__ or num_batches")

    def on_epoch_begin(self) -> None:
        """Called at the beginning of every epoch."""

    def on_epoch_end(self) -> None:
        """Called at the end of every epoch."""

    def __iter__(self) -> Iterator[Any]:
        """The batches in the order of their numbers."""
        return map(self.__getitem__, self._numbers())

    def _numbers(self) -> Iterator[int]:
        length = self.num_batches
        return count() if length is None else iter(range(length))

    def _begin_pass(
        self,
        seed: int,
        epoch: int,
        step: int,
        order: Callable[[int, int, int], Array] | None = None,
    ) -> Iterator[Any]:
        """Called by `fit`: the pass that begins with an epoch, before a training step."""
        length, numbers = self.num_batches, self._numbers()
        if order is not None and length is not None:
            numbers = iter(order(length, epoch, step).tolist())
        workers = getattr(
            self, "workers", 1
        )  # not there where a subclass's __init__ forgot super's
        if workers < 2:
            return map(self.__getitem__, numbers)
        return ordered(self.__getitem__, numbers, workers, max(self.max_queue_size, workers))


Sequence = PyDataset  # as Keras called it before
