"""Metrics whose values are tensors, and as functions that a script calls by itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import metrics
from ..core import lazy
from .adapted import extended
from .tensor import as_result, as_tensor

__all__ = [
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]

_CLASSES = lazy.classes(metrics, metrics.Metric)
LAZY = tuple(_CLASSES)


class _Valued:
    """A metric whose result has `numpy`, and which can be called on a batch."""

    def result(self) -> Any:
        """The value so far."""
        return as_result(super().result())  # type: ignore[misc]

    def reset_states(self) -> None:
        """Begin anew: `reset_state` by its name of old."""
        self.reset_state()  # type: ignore[attr-defined]

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        self.update_state(*arguments, **options)  # type: ignore[attr-defined]
        return self.result()


def __getattr__(name: str) -> Any:
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = extended(_CLASSES[name], _Valued)
    return made


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 for each sample whose largest output is its class, else 0."""
    right = np.argmax(np.asarray(y_true), -1) == np.argmax(np.asarray(y_pred), -1)
    return as_tensor(right.astype(np.float32))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """1 for each sample whose largest output is its label, else 0."""
    found = np.argmax(np.asarray(y_pred), -1)
    right = np.asarray(y_true).reshape(found.shape) == found
    return as_tensor(right.astype(np.float32))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """The share of each sample's outputs that are on the target's side of a threshold."""
    right = np.asarray(y_true) == (np.asarray(y_pred) > threshold)
    return as_tensor(right.mean(-1).astype(np.float32))


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 for each sample whose label is among the k largest outputs, else 0."""
    order = np.argsort(-np.asarray(y_pred), -1, kind="stable")[..., :k]
    right = (order == np.asarray(y_true).reshape(*order.shape[:-1], 1)).any(-1)
    return as_tensor(right.astype(np.float32))


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """1 for each sample whose class is among the k largest outputs, else 0."""
    return sparse_top_k_categorical_accuracy(np.argmax(np.asarray(y_true), -1), y_pred, k)
