"""From what the user has to what a batch needs.

Everything is checked and converted here once, before training: float32 and uint8 images in C order
are used as they are, anything else becomes float32 up front. uint8 stays uint8 until `gather`
writes a batch into the plan's buffer, which spares three quarters of the memory.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import ops
from .losses import Loss
from .parameters import Array

_NAMED_CLASSES = 10  # so many are listed in a warning
_USER = 4  # stack levels from a warning to the user: here, split_validation, fit, the caller


@dataclass(frozen=True)
class Samples:
    """Images and, for training, their targets, ready for the ops.

    Attributes:
        x: float32 or uint8, (n, ...), C-contiguous.
        y: int64 (n,) or float32 (n, ...), or None where nothing is known.
    """

    x: Array
    y: Array | None = None

    def __len__(self) -> int:
        return len(self.x)

    def part(self, start: int, stop: int) -> Samples:
        """Some neighbouring samples, without copying."""
        return Samples(self.x[start:stop], None if self.y is None else self.y[start:stop])

    def batches(self, batch_size: int, order: Array | None = None) -> Iterator[Array]:
        """The indices of each batch; the last may be smaller."""
        indices = np.arange(len(self), dtype=np.int64) if order is None else order
        for start in range(0, len(indices), batch_size):
            yield indices[start : start + batch_size]

    def load(self, indices: Array, x: Array) -> Array | None:
        """Write the images of a batch into `x` as float32; return its targets."""
        ops.gather(self.x, indices, out=x)
        return None if self.y is None else self.y[indices]


def samples(
    x: ArrayLike,
    y: ArrayLike | None,
    sizes: tuple[int, ...],
    loss: Loss | None,
    output_sizes: tuple[int, ...],
) -> Samples:
    """Check and convert inputs and targets.

    Args:
        x: the images, (n, *sizes).
        y: the targets, or None.
        sizes: the model's input, of one sample.
        loss: who knows which targets are right; needed if there are targets.
        output_sizes: the model's output, of one sample.

    Raises:
        ValueError: empty, of the wrong shape, of different lengths, or labels out of range.
        TypeError: not numbers.
    """
    images = as_images(x)
    check_images(images, sizes)
    if y is None or loss is None:
        return Samples(images)
    targets = loss.prepare(y, output_sizes)
    if len(targets) != len(images):
        raise ValueError(
            f"x has {len(images)} samples and y has {len(targets)}: there must be one target "
            f"for each sample"
        )
    return Samples(images, targets)


def as_images(x: ArrayLike) -> Array:
    """Return `x` as a C-contiguous array of float32 or uint8, the same array if it is one.

    Raises:
        TypeError: not real numbers.
        ValueError: empty, without a batch axis, or samples of different shapes.
    """
    try:
        array = np.asarray(x)
    except ValueError as error:
        raise ValueError(f"x cannot become one array: {error}") from error
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"x must be an array of real numbers, received {type(x).__name__} of dtype "
            f"{array.dtype}"
        )
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"x must have at least one sample, received shape {array.shape}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array, np.float32)


def check_images(images: Array, sizes: tuple[int, ...]) -> None:
    """Raise ValueError unless the samples have the shape that the model takes."""
    received = images.shape[1:]
    if received == sizes:
        return
    expected = ", ".join(["N", *map(str, sizes)])
    if (*received, 1) == sizes:
        hint = "add the channel axis with x[..., numpy.newaxis]"
    elif images.shape == sizes:
        hint = "for a single sample, add the batch axis with x[numpy.newaxis]"
    elif len(sizes) == 3 and len(received) == 3 and (*received[1:], received[0]) == sizes:
        hint = "move the channels to the end with numpy.moveaxis(x, 1, -1)"
    elif math.prod(received) == math.prod(sizes):
        hint = f"use x.reshape(-1, {', '.join(map(str, sizes))})"
    else:
        hint = "change the images, or the input shape of the model"
    raise ValueError(
        f"x must have shape ({expected}), the model's input, received {images.shape}; {hint}"
    )


def split_validation(data: Samples, fraction: float) -> tuple[Samples, Samples]:
    """Split off the last samples for validation, before any shuffling, exactly as Keras does.

    The first floor(n * (1 - fraction)) samples stay for training. Warns where a class occurs on
    one side only, as happens when the samples are sorted.

    Raises:
        ValueError: the fraction is not within 0 .. 1, or one side would be empty.
    """
    if isinstance(fraction, bool) or not 0.0 < fraction < 1.0:
        raise ValueError(f"validation_split must lie between 0 and 1, received {fraction!r}")
    count = len(data)
    split = math.floor(count * (1.0 - fraction))
    if split in (0, count):
        raise ValueError(
            f"validation_split={fraction} of {count} samples leaves {split} for training and "
            f"{count - split} for validation; both need at least one"
        )
    training, validation = data.part(0, split), data.part(split, count)
    _warn_of_missing_classes(training, validation)
    return training, validation


def _warn_of_missing_classes(training: Samples, validation: Samples) -> None:
    one, two = _classes(training), _classes(validation)
    for missing, here, there in (
        (one - two, "the validation split", "the training data"),
        (two - one, "the training data", "the validation split"),
    ):
        if missing:
            names = ", ".join(map(str, sorted(missing)[:_NAMED_CLASSES]))
            more = ", ..." if len(missing) > _NAMED_CLASSES else ""
            warnings.warn(
                f"validation_split takes the last samples as they come, and {here} has none of "
                f"the classes {names}{more}, which {there} has; shuffle x and y together before "
                f"fit, or give validation_data",
                UserWarning,
                stacklevel=_USER,
            )


def _classes(data: Samples) -> set[int]:
    if data.y is None:
        return set()
    if data.y.dtype == np.int64:
        return set(np.unique(data.y).tolist())
    if data.y.ndim == 2 and data.y.shape[1] > 1 and _is_one_hot(data.y):
        return set(np.flatnonzero(data.y.any(axis=0)).tolist())
    return set()


def _is_one_hot(rows: Array) -> bool:
    return bool(((rows == 0.0) | (rows == 1.0)).all() and (rows.sum(axis=1) == 1.0).all())


def pair(value: Any, name: str) -> tuple[Any, Any]:
    """Return (x, y) of a pair that the user gave; ValueError for anything else."""
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        return value[0], value[1]
    raise ValueError(f"{name} must be a pair (x, y), received {type(value).__name__}")
