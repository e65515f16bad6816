"""Metrics: numbers that say how good the predictions are, gathered over many batches.

A metric is used as in Keras: `update_state(y_true, y_pred)` for each batch, then `result()`;
`reset_state()` begins again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import losses, ops
from .parameters import Array


class Metric:
    """Base class: a weighted mean over all samples seen since `reset_state`.

    Args:
        name: the key in `History.history` and in logs.

    A subclass gives `totals`, the sum over a batch.
    """

    name = "metric"

    def __init__(self, *, name: str | None = None) -> None:
        self.name = name or self.name
        self.total = 0.0
        self.count = 0.0

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the metric over a batch of N samples, times their weights if given."""
        raise NotImplementedError

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch in.

        Raises:
            ValueError: the arrays do not have the same number of samples.
        """
        true, predicted = np.asarray(y_true), np.asarray(y_pred)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        lengths = {len(a) for a in (true, predicted, weights) if a is not None}
        if len(lengths) != 1:
            raise ValueError(
                f"metric {self.name}: y_true, y_pred and sample_weight must have the same "
                f"number of samples, received {sorted(lengths)}"
            )
        if len(predicted) == 0:
            return
        self.total += self.totals(true, predicted, weights)
        self.count += len(predicted) if weights is None else float(weights.sum())

    def result(self) -> float:
        """The mean so far, 0.0 before the first sample."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget all samples."""
        self.total = self.count = 0.0

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}={self.result():.4g}>"


class Mean(Metric):
    """The mean of given numbers, such as the losses of batches.

    Args:
        name: by default `mean`.
    """

    name = "mean"

    def add(self, total: float, count: int) -> None:
        """Count in the sum of `count` numbers."""
        self.total += total
        self.count += count

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of y_pred; y_true does not matter."""
        return float((y_pred if weights is None else y_pred * weights).sum())


class _CategoricalMatch(Metric):
    """The share of samples whose most probable class is the right one."""

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The number, or the weight, of the right ones."""
        if weights is None:
            return float(ops.count_correct(y_pred, y_true))
        flat = y_true.reshape(len(y_true), -1)
        labels = flat[:, 0] if flat.shape[1] == 1 else flat.argmax(axis=1)
        return float(weights[y_pred.argmax(axis=1) == labels].sum())


class SparseCategoricalAccuracy(_CategoricalMatch):
    """The share of right predictions, where labels are integers (N,) or (N, 1).

    Args:
        name: by default `sparse_categorical_accuracy`.
    """

    name = "sparse_categorical_accuracy"


class CategoricalAccuracy(_CategoricalMatch):
    """The share of right predictions, where labels are one-hot (N, K).

    Args:
        name: by default `categorical_accuracy`.
    """

    name = "categorical_accuracy"


class MeanSquaredError(Metric):
    """The mean of (y_true - y_pred)**2.

    Args:
        name: by default `mean_squared_error`.
    """

    name = "mean_squared_error"

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the samples' means."""
        squares = np.square(y_true.reshape(y_pred.shape) - y_pred.astype(np.float64))
        means = squares.reshape(len(y_pred), -1).mean(axis=1)
        return float((means if weights is None else means * weights).sum())


_BY_NAME: dict[str, Callable[..., Metric]] = {
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
}
_ACCURACY = ("accuracy", "acc")


def get(identifier: str | Metric, loss: losses.Loss | None = None) -> Metric:
    """The metric of that name, or the object itself.

    "accuracy" and "acc" mean the accuracy that fits the loss. Raises ValueError for an unknown
    name, naming the known ones.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str) and identifier in _ACCURACY:
        if isinstance(loss, losses.SparseCategoricalCrossentropy):
            return SparseCategoricalAccuracy(name=identifier)
        if isinstance(loss, losses.CategoricalCrossentropy):
            return CategoricalAccuracy(name=identifier)
        raise ValueError(
            f"metric {identifier!r} needs a cross-entropy loss, received "
            f"{loss.name if loss else None!r}; give an object of convkit.metrics instead"
        )
    if isinstance(identifier, str) and identifier in _BY_NAME:
        return _BY_NAME[identifier](name=identifier)
    raise ValueError(
        f"unknown metric {identifier!r}: use one of "
        f"{', '.join(sorted([*_BY_NAME, *_ACCURACY]))}, or an object of convkit.metrics"
    )


def get_all(identifiers: Any, loss: losses.Loss | None) -> list[Metric]:
    """The metrics of a list (or a single one); ValueError if two have the same name."""
    if identifiers is None:
        return []
    several = isinstance(identifiers, Sequence) and not isinstance(identifiers, str)
    made = [get(each, loss) for each in (identifiers if several else [identifiers])]
    names = [metric.name for metric in made]
    if len(set(names) | {"loss"}) != len(names) + 1:
        raise ValueError(f"metrics must have different names, and none be 'loss': {names}")
    return made
