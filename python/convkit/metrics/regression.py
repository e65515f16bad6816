"""Metrics of numbers that are no means of a loss: roots, explained variances, correlations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.parameters import Array
from ..core.warn import warn
from ..losses.functions import check_axis
from ..ops._gate import as_floats
from .confusion import _index
from .metric import MeanOfValues, Metric, plain, shaped

_AGGREGATIONS = (None, "uniform_average", "variance_weighted_average")


class RootMeanSquaredError(MeanOfValues):
    """The root of the mean of (y_true - y_pred)**2.

    Args:
        name: by default `root_mean_squared_error`.
    """

    name = "root_mean_squared_error"

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The squares."""
        return np.square(shaped(y_true, y_pred, self) - y_pred.astype(np.float64))

    def result(self) -> float:
        """The root so far, 0.0 before the first sample."""
        return float(np.sqrt(super().result()))


class R2Score(Metric):
    """The share of the targets' variance that predictions explain, R squared.

    Args:
        class_aggregation: what becomes of the scores of several outputs: "uniform_average" and
            "variance_weighted_average" take their mean, None leaves them as they are.
        num_regressors: of the adjusted score, the number of independent variables; 0 for the
            usual one.
        name: by default `r2_score`.

    Targets and predictions: (N, K).
    """

    name = "r2_score"
    gathered = ("num_samples", "sum", "squared_sum", "residual", "weight")

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        known = isinstance(class_aggregation, str | None) and class_aggregation in _AGGREGATIONS
        if not known:
            raise ValueError(
                f"{self.name}: class_aggregation must be one of {[*_AGGREGATIONS]}, received "
                f"{class_aggregation!r}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = _index(num_regressors, "num_regressors", 0, self.name)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        true = shaped(y_true, y_pred, self).astype(np.float64)
        if true.ndim != 2:
            raise ValueError(f"{self.name} needs outputs (N, K), received {y_pred.shape}")
        factors = np.ones((len(true), 1)) if weights is None else weights.reshape(len(true), -1)
        factors = np.broadcast_to(factors, true.shape)
        self._add(
            num_samples=float(true.size),
            sum=(true * factors).sum(axis=0),
            squared_sum=(true * true * factors).sum(axis=0),
            residual=(np.square(true - y_pred) * factors).sum(axis=0),
            weight=factors.sum(axis=0),
        )

    def result(self) -> Any:
        """The score so far, or those of the outputs; NaN before the first sample."""
        state = self.__dict__
        with np.errstate(divide="ignore", invalid="ignore"):
            total = state["squared_sum"] - np.square(state["sum"]) / state["weight"]
            scores = 1.0 - np.divide(state["residual"], total)
        scores = np.where(np.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = scores.mean()
        elif self.class_aggregation is not None:
            scores = (total * scores).sum() / np.sum(total)
        samples = state["num_samples"]
        rest = samples - 1 - self.num_regressors
        if self.num_regressors and rest <= 0:
            warn(f"{self.name}: too few samples for num_regressors={self.num_regressors}")
        elif self.num_regressors:
            scores = 1.0 - (1.0 - scores) * (samples - 1.0) / rest
        return plain(scores)


class PearsonCorrelation(MeanOfValues):
    """The mean of Pearson's correlations of targets and predictions along an axis.

    Args:
        name: by default `pearson_correlation`.
        axis: along which they are correlated.
    """

    name = "pearson_correlation"

    def __init__(self, name: str | None = None, *, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The correlations."""
        return pearson_correlation(y_true, y_pred, self.axis)


class ConcordanceCorrelation(MeanOfValues):
    """The mean of the concordance correlations of targets and predictions along an axis.

    Args:
        name: by default `concordance_correlation`.
        axis: along which they are correlated.
    """

    name = "concordance_correlation"

    def __init__(self, name: str | None = None, *, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = axis

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The correlations."""
        return concordance_correlation(y_true, y_pred, self.axis)


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """The covariance of targets and predictions along an axis, over their deviations' product."""
    true, predicted = _pair(y_true, y_pred, axis)
    spread = np.sqrt(np.square(true).mean(axis=axis) * np.square(predicted).mean(axis=axis))
    with np.errstate(invalid="ignore"):
        return np.asarray((true * predicted).mean(axis=axis) / spread, np.float32)


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """Twice the covariance along an axis, over both variances and the means' squared distance."""
    true, predicted = _pair(y_true, y_pred, axis)
    both_means = (
        as_floats("values", each).mean(axis=axis, dtype=np.float64) for each in (y_true, y_pred)
    )
    distance = np.subtract(*both_means)
    norm = np.square(true).mean(axis=axis) + np.square(predicted).mean(axis=axis)
    both = 2.0 * (true * predicted).mean(axis=axis)
    return np.asarray(both / (norm + np.square(distance) + 1e-7), np.float32)


def _pair(y_true: ArrayLike, y_pred: ArrayLike, axis: int) -> tuple[Array, Array]:
    """Both less their means along an axis."""
    true, predicted = as_floats("y_true", y_true), as_floats("y_pred", y_pred)
    check_axis(predicted, axis)
    if true.shape != predicted.shape or not true.size:
        raise ValueError(
            f"y_true and y_pred must have the same shape, and not be empty, received {true.shape} "
            f"and {predicted.shape}"
        )
    return _centred(true, axis), _centred(predicted, axis)


def _centred(values: ArrayLike, axis: int) -> Array:
    array = as_floats("values", values).astype(np.float64)
    centred: Array = array - array.mean(axis=axis, keepdims=True)
    return centred
