"""What a pass over the layers depends on and leaves behind, besides its arrays."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..core.processes import Share


class StepContext:
    """What a pass over the layers depends on besides its arrays.

    The numbers are arrays, uint64 of shape (1,), so that replayed calls read them again.

    Attributes:
        training: whether the pass is one of training.
        seed: of the model's random numbers.
        step: the number of the training step, counted over the life of the model.
        share: what this process has of the batch, None where it has the whole.
        epoch: the number of the epoch, or None where batches do not say which samples they are of.
        indices: of the whole batch's samples among those that `fit` was given, (n,); None where
            arrays are all there is, and their places in the batch are their indices.

    The last two are no arrays, for image layers alone ask for them, which are not replayed.
    """

    __slots__ = ("epoch", "indices", "seed", "share", "step", "training")

    def __init__(self, training: bool = False, seed: int = 0, step: int = 0) -> None:
        self.training = training
        self.share: Share | None = None
        self.seed = np.array([seed], np.uint64)
        self.step = np.array([step], np.uint64)
        self.epoch: int | None = step
        self.indices: NDArray[np.int64] | None = None


INFERENCE = StepContext()


class SavedArray:
    """An extra output of `forward` that `backward` reads, such as the indices of a max-pooling."""

    __slots__ = ("dtype", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def nbytes(self) -> int:
        """Its size in memory."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize
