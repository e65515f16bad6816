"""Metrics: numbers that say how good the predictions are, gathered over many batches.

A metric is used as in Keras: `update_state(y_true, y_pred)` for each batch, then `result()`;
`reset_state()` begins again.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from . import losses, ops
from .core.config import Configurable, checked_name, real, same_name, unknown
from .core.parameters import Array
from .ops._gate import as_array

__all__ = [
    "AccuracyByShape",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "Mean",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Metric",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "get",
]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)


class Metric(Configurable):
    """Base class: a weighted mean over all samples seen since `reset_state`.

    Args:
        name: the key in `History.history` and in logs.

    A subclass gives `totals`, the sum over a batch.
    """

    name = "metric"
    _unsettable: ClassVar[Mapping[str, str]] = {
        "name": "give it to the constructor of a new metric"
    }

    def __init__(self, name: str | None = None) -> None:
        self.name = checked_name(name, self)
        self.total = 0.0
        self.count = 0.0

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the metric over a batch of N samples, times their weights if given.

        The arrays are those of the next batch, too: copy what is to be kept.
        """
        raise NotImplementedError

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch in.

        Raises:
            ValueError: the arrays do not have the same number of samples.
        """
        true, predicted = self._numbers(y_true, "y_true"), self._numbers(y_pred, "y_pred")
        weights = None
        if sample_weight is not None:
            weights = self._numbers(sample_weight, "sample_weight").astype(np.float64)
        lengths = {len(a) for a in (true, predicted, weights) if a is not None}
        if len(lengths) != 1:
            raise ValueError(
                f"metric {self.name}: y_true, y_pred and sample_weight must have the same "
                f"number of samples, received {sorted(lengths)}"
            )
        if len(predicted) == 0:
            return
        count = len(predicted) if weights is None else float(weights.sum())
        self._add(self.totals(true, predicted, weights), count)

    def _add(self, total: float, count: float) -> None:
        # Every batch comes here: no attribute is looked at that is an argument.
        state = self.__dict__
        state["total"] += total
        state["count"] += count

    def _numbers(self, values: ArrayLike, what: str) -> Array:
        array = as_array(f"metric {self.name}: {what}", values)
        if array.dtype.kind not in "fiub" or array.ndim == 0:
            raise TypeError(
                f"metric {self.name}: {what} must be an array of numbers, one or more for each "
                f"sample, received {array.dtype} of shape {array.shape}"
            )
        return array

    def result(self) -> float:
        """The mean so far, 0.0 before the first sample."""
        return self.total / self.count if self.count else 0.0

    def reset_state(self) -> None:
        """Forget all samples."""
        self.__dict__.update(total=0.0, count=0.0)

    def state_dict(self) -> dict[str, Any]:
        """What it has gathered: numbers and arrays, for a training that is to be resumed."""
        return {"total": self.total, "count": self.count}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.total, self.count = state["total"], state["count"]

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
        self._add(total, count)

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of y_pred; y_true does not matter."""
        return float((y_pred if weights is None else y_pred * weights).sum())


class _CategoricalMatch(Metric):
    """The share of samples whose most probable class is the right one."""

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The number, or the weight, of the right ones."""
        if weights is None:
            return float(ops.count_correct(y_pred, y_true))
        return float(weights[y_pred.argmax(axis=1) == _class_numbers(y_true)].sum())


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


class BinaryAccuracy(Metric):
    """The share of right answers to yes-or-no questions, where labels are 0 or 1.

    Args:
        name: by default `binary_accuracy`.
        threshold: a prediction above it says yes.
    """

    name = "binary_accuracy"

    def __init__(self, name: str | None = None, *, threshold: float = 0.5) -> None:
        super().__init__(name)
        self.threshold = real(threshold, "threshold", self)

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the samples' shares."""
        right = (y_pred > self.threshold) == _shaped(y_true, y_pred, self)
        return _sum_of_means(right, weights)


class AccuracyByShape(Metric):
    """What "accuracy" means where the loss does not say: it depends on the shapes, as in Keras.

    `get` makes one of "accuracy" where the loss leaves it open.

    Args:
        name: by default `accuracy`.
    """

    name = "accuracy"

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """Binary for a single output, else categorical."""
        one = y_pred.ndim == 1 or y_pred.shape[-1] == 1
        kind = BinaryAccuracy() if one else CategoricalAccuracy()
        return kind.totals(y_true, y_pred, weights)


class _TopK(Metric):
    """The share of samples whose right class is among the k most probable ones; ties count."""

    def __init__(self, k: int = 5, name: str | None = None) -> None:
        super().__init__(name)
        try:
            self.k = operator.index(k)
        except TypeError:
            self.k = 0
        if isinstance(k, bool) or self.k < 1:
            raise ValueError(f"{self.name}: k must be a positive integer, received {k!r}")

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The number, or the weight, of the right ones."""
        if y_pred.ndim != 2:
            raise ValueError(f"{self.name} needs outputs (N, classes), received {y_pred.shape}")
        labels = losses.check_labels(_class_numbers(y_true), y_pred.shape[1])
        own = np.take_along_axis(y_pred, labels[:, None], axis=1)
        right = ((y_pred > own).sum(axis=1) < self.k) & np.isfinite(own[:, 0])
        return _sum_of_means(right, weights)


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
    """

    name = "sparse_top_k_categorical_accuracy"


class _MeanError(Metric):
    """What the metrics share that compare every output with a target of its own.

    Attributes:
        _magnitude: how much a difference counts.
    """

    _magnitude: ClassVar[np.ufunc]

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the samples' means."""
        differences = _shaped(y_true, y_pred, self) - y_pred.astype(np.float64)
        return _sum_of_means(self._magnitude(differences), weights)


class MeanSquaredError(_MeanError):
    """The mean of (y_true - y_pred)**2.

    Args:
        name: by default `mean_squared_error`.
    """

    name = "mean_squared_error"
    _magnitude = np.square


class MeanAbsoluteError(_MeanError):
    """The mean of `|y_true - y_pred|`.

    Args:
        name: by default `mean_absolute_error`.
    """

    name = "mean_absolute_error"
    _magnitude = np.abs


def _class_numbers(y_true: Array) -> Array:
    """Labels (N,), (N, 1) or one-hot (N, K) as (N,)."""
    flat = y_true.reshape(len(y_true), -1)
    labels: Array = flat[:, 0] if flat.shape[1] == 1 else flat.argmax(axis=1)
    return labels.astype(np.int64)


def _shaped(y_true: Array, y_pred: Array, metric: Metric) -> Array:
    """The targets in the shape of the predictions; ValueError if they have another size."""
    if y_true.size != y_pred.size:
        raise ValueError(
            f"metric {metric.name} compares every output with a target of its own, received y_true "
            f"of shape {y_true.shape} for outputs of shape {y_pred.shape}"
        )
    return y_true.reshape(y_pred.shape)


def _sum_of_means(values: Array, weights: Array | None) -> float:
    means = values.reshape(len(values), -1).mean(axis=1)
    return float((means if weights is None else means * weights).sum())


_BY_NAME: dict[str, Callable[..., Metric]] = {
    "sparse_categorical_accuracy": SparseCategoricalAccuracy,
    "categorical_accuracy": CategoricalAccuracy,
    "binary_accuracy": BinaryAccuracy,
    "sparse_top_k_categorical_accuracy": SparseTopKCategoricalAccuracy,
    "top_k_categorical_accuracy": TopKCategoricalAccuracy,
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
}
_ACCURACY = ("accuracy", "acc")


def get(identifier: str | Metric, loss: losses.Loss | None = None) -> Metric:
    """The metric of that name, or the object itself.

    "accuracy" and "acc" mean the accuracy that fits the loss; without a cross-entropy, the one that
    fits the model's output. Raises ValueError for an unknown name, naming the known ones.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, str) and identifier in _ACCURACY:
        if isinstance(loss, losses.SparseCategoricalCrossentropy):
            return SparseCategoricalAccuracy(name=identifier)
        if isinstance(loss, losses.CategoricalCrossentropy):
            return CategoricalAccuracy(name=identifier)
        return AccuracyByShape(name=identifier)
    if name := same_name(identifier, _BY_NAME):
        return _BY_NAME[name](name=name)
    raise unknown("metric", identifier, [*_BY_NAME, *_ACCURACY])


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
