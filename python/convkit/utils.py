"""Small helpers: the seed, one-hot labels, automatic names, pictures of models."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .core import random
from .core.parameters import Array
from .diagram import model_to_dot, plot_model
from .layers import naming
from .ops._gate import as_array

__all__ = [
    "clear_session",
    "model_to_dot",
    "plot_model",
    "set_random_seed",
    "to_categorical",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)


def set_random_seed(seed: int) -> None:
    """Make everything random that follows repeatable.

    Fixes convkit's own seed (initial weights, shuffling, dropout) and, as Keras does, those of
    Python's `random` and of `numpy.random`. With the same seed, build and instruction set, training
    gives the same bits, with any number of threads.

    Args:
        seed: an integer in 0 .. 2**32-1.

    Raises:
        ValueError: the seed is out of range.
        TypeError: the seed is not an integer.
    """
    import random as python_random  # here, because importing it takes longer than this module

    number = random.check_seed(seed, bits=32)  # more NumPy's does not take
    random.set_seed(number)
    python_random.seed(number)
    np.random.seed(number)  # noqa: NPY002 - the users' own code may draw from it


def clear_session() -> None:
    """Begin again with automatic names: `conv2d`, `dense`, ..."""
    naming.reset_names()


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """Turn integer labels into one-hot rows.

    Args:
        x: whole numbers of at least 0, of any shape; a last axis of 1 is dropped.
        num_classes: K; by default the largest label plus one.

    Returns:
        float32 (..., K).

    Raises:
        ValueError: a label is not in 0 .. K-1, or no whole number.
    """
    labels = as_array("labels", x)
    shape = labels.shape[:-1] if labels.ndim > 1 and labels.shape[-1] == 1 else labels.shape
    labels = labels.reshape(-1)
    if labels.dtype.kind not in "iufb" or not np.isfinite(labels).all() or (labels % 1).any():
        raise ValueError(f"labels must be whole numbers, received {labels.dtype}: {x!r}")
    largest = int(labels.max()) if labels.size else -1
    classes = largest + 1 if num_classes is None else _count(num_classes)
    if labels.size and (int(labels.min()) < 0 or largest >= classes):
        wrong = int(labels.min()) if int(labels.min()) < 0 else largest
        raise ValueError(f"labels must lie in 0 .. {classes - 1}, received {wrong}")
    rows = np.zeros((labels.size, classes), np.float32)
    rows[np.arange(labels.size), labels.astype(np.int64)] = 1.0
    return rows.reshape(*shape, classes)


def _count(num_classes: int) -> int:
    if not hasattr(num_classes, "__index__") or isinstance(num_classes, bool):
        raise TypeError(f"num_classes must be an integer, received {num_classes!r}")
    try:
        return int(np.int32(operator.index(num_classes)))
    except (OverflowError, TypeError):
        raise ValueError(f"num_classes must be an integer, received {num_classes!r}") from None
