"""Accuracies: the share of right predictions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .. import losses, ops
from ..core.config import flag, real
from ..core.parameters import Array
from .metric import MeanOfValues, shaped


class Accuracy(MeanOfValues):
    """How often predictions equal targets, number by number.

    Args:
        name: by default `accuracy`.
    """

    name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Whether they are equal."""
        return shaped(y_true, y_pred, self) == y_pred


class _CategoricalMatch(MeanOfValues):
    """The share of samples, or positions, whose most probable class is the right one."""

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        if weights is None and y_pred.dtype == np.float32 and y_pred.ndim > 1:
            try:
                right = ops.count_correct(y_pred, y_true)
            except (TypeError, ValueError):  # labels that are no classes of the output
                pass
            else:
                positions = y_pred.size // (len(y_pred) * y_pred.shape[-1])
                self._add(total=right / positions, count=len(y_pred))
                return
        super().gather(y_true, y_pred, weights)

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Whether the most probable class is the right one."""
        right = _classes(y_true, y_pred)
        found = y_pred.argmax(axis=-1)
        if right.shape != found.shape:
            raise ValueError(
                f"metric {self.name}: y_true of shape {y_true.shape} does not fit outputs of shape "
                f"{y_pred.shape}"
            )
        return right == found


class SparseCategoricalAccuracy(_CategoricalMatch):
    """The share of right predictions, where labels are integers (N, ...) or (N, ..., 1).

    Args:
        name: by default `sparse_categorical_accuracy`.
    """

    name = "sparse_categorical_accuracy"


class CategoricalAccuracy(_CategoricalMatch):
    """The share of right predictions, where labels are one-hot (N, ..., K).

    Args:
        name: by default `categorical_accuracy`.
    """

    name = "categorical_accuracy"


class BinaryAccuracy(MeanOfValues):
    """The share of right answers to yes-or-no questions, where labels are 0 or 1.

    Args:
        name: by default `binary_accuracy`.
        threshold: a prediction above it says yes.
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = real(threshold, "threshold", self)

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Whether the answers are right."""
        return (y_pred > self.threshold) == shaped(y_true, y_pred, self)


class AccuracyByShape(MeanOfValues):
    """What "accuracy" means where the loss does not say: it depends on the shapes, as in Keras.

    `get` makes one of "accuracy" where the loss leaves it open.

    Args:
        name: by default `accuracy`.
    """

    name = "accuracy"

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Binary for a single output, else categorical."""
        one = y_pred.ndim == 1 or y_pred.shape[-1] == 1
        kind = BinaryAccuracy(self.name) if one else CategoricalAccuracy(self.name)
        return kind.values(y_true, y_pred)


class _TopK(MeanOfValues):
    """The share of samples whose right class is among the k most probable ones; ties count."""

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        try:
            self.k = operator.index(k)
        except TypeError:
            self.k = 0
        if isinstance(k, bool) or self.k < 1:
            raise ValueError(f"{self.name}: k must be a positive integer, received {k!r}")

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Whether the right class is among them."""
        if y_pred.ndim < 2:
            raise ValueError(f"{self.name} needs outputs (N, classes), received {y_pred.shape}")
        labels = _classes(y_true, y_pred)
        labels = losses.check_labels(labels, y_pred.shape[-1], y_pred.shape[1:-1])
        own = np.take_along_axis(y_pred, labels[..., None].astype(np.int64), axis=-1)
        return ((y_pred > own).sum(axis=-1) < self.k) & np.isfinite(own[..., 0])


class TopKCategoricalAccuracy(_TopK):
    """As CategoricalAccuracy, but the right class need only be among the k most probable.

    Args:
        k: how many.
        name: by default `top_k_categorical_accuracy`.
    """

    name = "top_k_categorical_accuracy"


class SparseTopKCategoricalAccuracy(_TopK):
    """As SparseCategoricalAccuracy, but the right class need only be among the k most probable.

    Args:
        k: how many.
        name: by default `sparse_top_k_categorical_accuracy`.
        from_sorted_ids: whether predictions are the numbers of classes, the most probable first.
    """

    name = "sparse_top_k_categorical_accuracy"

    def __init__(
        self, k: int = 5, name: str | None = None, *, from_sorted_ids: bool = False
    ) -> None:
        super().__init__(k, name)
        self.from_sorted_ids = flag(from_sorted_ids, "from_sorted_ids", self)

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """Whether the right class is among them."""
        if self.from_sorted_ids:
            return (_classes(y_true, y_pred)[..., None] == y_pred[..., : self.k]).any(axis=-1)
        return super().values(y_true, y_pred)


def _classes(y_true: Array, y_pred: Array) -> Array:
    """Labels (N, ...), (N, ..., 1) or one-hot (N, ..., K) as (N, ...)."""
    if y_true.ndim < y_pred.ndim:
        return y_true
    return y_true[..., 0] if y_true.shape[-1] == 1 else y_true.argmax(axis=-1)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """Whether predictions above a threshold, or not above it, have the targets 1, or 0: float32."""
    return _floats(BinaryAccuracy(threshold=threshold), y_true, y_pred)


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Whether the most probable class is that of one-hot labels (N, ..., K): float32 (N, ...)."""
    return _floats(CategoricalAccuracy(), y_true, y_pred)


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Whether the most probable class is that of integer labels (N, ...): float32 (N, ...)."""
    return _floats(SparseCategoricalAccuracy(), y_true, y_pred)


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """Whether the class of one-hot labels is among the k most probable: float32 (N, ...)."""
    return _floats(TopKCategoricalAccuracy(k), y_true, y_pred)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """Whether the class of integer labels is among the k most probable: float32 (N, ...)."""
    metric = SparseTopKCategoricalAccuracy(k, from_sorted_ids=from_sorted_ids)
    return _floats(metric, y_true, y_pred)


def _floats(metric: MeanOfValues, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    true, predicted = metric.numbers(y_true, "y_true"), metric.numbers(y_pred, "y_pred")
    if not true.size or not predicted.size:
        raise ValueError(f"{metric.name}: y_true and y_pred must not be empty")
    values = metric.values(true, predicted)
    return np.asarray(values, np.float32)
