"""Helpers: seed, one-hot labels, names, pictures of models, images from files, and their views.

What reads images needs Pillow: `pip install "convkit[images]"`.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .core import lazy, random
from .core.parameters import Array
from .layers import naming
from .ops._gate import as_array

if TYPE_CHECKING:
    from .data.arrays import normalize, split_dataset
    from .data.downloads import get_file
    from .data.folders import image_dataset_from_directory
    from .data.images import array_to_img, img_to_array, load_img, save_img
    from .data.py_dataset import PyDataset, Sequence
    from .data.views import predict_views
    from .diagram import model_to_dot, plot_model

__path__: list[str] = []  # no modules are in it; what older Keras had there is answered

__all__ = [
    "PyDataset",
    "Sequence",
    "array_to_img",
    "clear_session",
    "get_file",
    "image_dataset_from_directory",
    "img_to_array",
    "load_img",
    "model_to_dot",
    "normalize",
    "plot_model",
    "predict_views",
    "save_img",
    "set_random_seed",
    "split_dataset",
    "to_categorical",
]


_OWNERS = {
    "data.arrays": ("normalize", "split_dataset"),
    "data.downloads": ("get_file",),
    "data.folders": ("image_dataset_from_directory",),
    "data.images": ("array_to_img", "img_to_array", "load_img", "save_img"),
    "data.py_dataset": ("PyDataset", "Sequence"),
    "data.views": ("predict_views",),
    "diagram": ("model_to_dot", "plot_model"),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)


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
