"""Means and sums of numbers, and of what a function gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.parameters import Array
from ..ops._gate import as_floats
from .metric import MeanOfValues, Metric, by_samples


class Mean(Metric):
    """The mean of given numbers, such as the losses of batches.

    Args:
        name: by default `mean`.
    """

    name = "mean"

    def update_state(  # type: ignore[override]  # as in Keras, of numbers alone
        self, values: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count in numbers (N, ...), or one number.

        Args:
            values: the numbers; those of a sample count by their mean.
            sample_weight: (N,), or of the shape of the values, or None for ones.
        """
        self._add_weighted(values, sample_weight, np.mean)

    def _add_weighted(
        self, values: ArrayLike, sample_weight: ArrayLike | None, reduce: Callable[..., Any]
    ) -> None:
        numbers = as_floats(f"metric {self.name}: values", values)
        weights: Array | None = None
        if sample_weight is not None:
            weights = as_floats(f"metric {self.name}: sample_weight", sample_weight)
        samples, weights = by_samples(numbers, weights, reduce)
        count = float(samples.size if weights is None else weights.sum())
        self._add(total=float(samples.sum()), count=count)

    def add(self, total: float, count: int) -> None:
        """Count in the sum of `count` numbers."""
        self._add(total=total, count=count)


class Sum(Mean):
    """The sum of given numbers.

    Args:
        name: by default `sum`.
    """

    name = "sum"

    def update_state(  # type: ignore[override]
        self, values: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count in numbers (N, ...), or one number, times their weights."""
        self._add_weighted(values, sample_weight, np.sum)

    def result(self) -> float:
        """The sum so far."""
        return float(self.total)


class MeanMetricWrapper(MeanOfValues):
    """The mean of what a function of arrays gives.

    Args:
        fn: takes (y_true, y_pred) and the options, and returns numbers (N, ...), of which those of
            a sample count by their mean; or one number, which counts once for each batch.
        name: by default the function's.
        kwargs: the options.
    """

    name = "mean_metric_wrapper"

    def __init__(self, fn: Callable[..., Any], name: str | None = None, **kwargs: Any) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be a function of (y_true, y_pred), received {fn!r}")
        own = getattr(fn, "__name__", type(fn).__name__)
        super().__init__(own if name is None else name)
        self.fn, self._options = fn, kwargs

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """What the function gives."""
        return self.fn(y_true, y_pred, **self._options)
