"""Labels and class names, as the pictures take them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def label_pair(y_true: ArrayLike, y_pred: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Integer labels (N,) of both; ValueError if they differ in number or are no labels."""
    true, predicted = _labels(y_true, "y_true"), _labels(y_pred, "y_pred")
    if len(true) != len(predicted):
        raise ValueError(
            f"expected one prediction a label, got {len(true)} labels in y_true and "
            f"{len(predicted)} in y_pred"
        )
    return true, predicted


def _labels(y: ArrayLike, name: str) -> NDArray[np.int64]:
    """Integer labels (N,), from labels (N,) or (N, 1) or from one column a class (N, K)."""
    labels = np.asarray(y)
    if labels.ndim == 2:
        labels = labels[:, 0] if labels.shape[1] == 1 else labels.argmax(axis=1)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"{name}: expected labels of shape (N,), (N, 1) or (N, K) with N at least 1, "
            f"got {np.asarray(y).shape}"
        )
    integers = labels.astype(np.int64)
    if not np.array_equal(integers, labels) or integers.min() < 0:
        raise ValueError(f"{name}: expected integer labels from 0, got {labels.dtype} {labels}")
    return integers


def names_of(
    class_names: Sequence[str] | None, true: NDArray[np.int64], predicted: NDArray[np.int64]
) -> list[str]:
    """A name for every label that occurs; ValueError if one is missing."""
    classes = int(max(true.max(), predicted.max())) + 1
    if class_names is None:
        return [str(label) for label in range(classes)]
    if len(class_names) < classes:
        raise ValueError(
            f"class_names: label {classes - 1} has no name; expected at least {classes} names, "
            f"got {len(class_names)}"
        )
    return [str(name) for name in class_names]
