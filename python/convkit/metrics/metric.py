"""What all metrics share: what they gather, batch by batch, and how it is kept and forgotten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..core.config import Configurable, checked_name
from ..core.parameters import Array
from ..ops._gate import as_array


class Metric(Configurable):
    """Base class: a weighted mean over all samples seen since `reset_state`.

    Args:
        name: the key in `History.history` and in logs.

    A subclass gives `totals`, the sum over a batch, or gathers something else (`gather`) and makes
    a `result` of it.

    Attributes:
        gathered: the names of the attributes in which it gathers: numbers or arrays, 0.0 at first.
    """

    name = "metric"
    gathered: ClassVar[tuple[str, ...]] = ("total", "count")
    _unsettable: ClassVar[Mapping[str, str]] = {
        "name": "give it to the constructor of a new metric"
    }

    def __init__(self, name: str | None = None) -> None:
        self.name = checked_name(name, self)
        self.total = 0.0
        self.count = 0.0
        self._forget()

    def totals(self, y_true: Array, y_pred: Array, weights: Array | None) -> float:
        """The sum of the metric over a batch of N samples, times their weights if given.

        The arrays are those of the next batch, too: copy what is to be kept.
        """
        raise NotImplementedError

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Count a batch in.

        Args:
            y_true, y_pred: the targets and the predictions, (N, ...).
            sample_weight: (N,), or where samples have positions (N, ...), or None for ones.

        Raises:
            ValueError: the arrays do not have the same number of samples.
        """
        true, predicted = self.numbers(y_true, "y_true"), self.numbers(y_pred, "y_pred")
        weights = None
        if sample_weight is not None:
            weights = self.numbers(sample_weight, "sample_weight").astype(np.float64)
        lengths = {len(a) for a in (true, predicted, weights) if a is not None}
        if len(lengths) != 1:
            raise ValueError(
                f"metric {self.name}: y_true, y_pred and sample_weight must have the same "
                f"number of samples, received {sorted(lengths)}"
            )
        if len(predicted):
            self.gather(true, predicted, weights)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        count = len(y_pred) if weights is None else float(weights.sum())
        self._add(total=self.totals(y_true, y_pred, weights), count=count)

    def _add(self, **parts: Any) -> None:
        # Every batch comes here: no attribute is looked at that is an argument.
        state = self.__dict__
        for name, part in parts.items():
            state[name] = state[name] + part

    def numbers(self, values: ArrayLike, what: str) -> Array:
        """An argument as an array; TypeError unless it holds real numbers."""
        array = as_array(f"metric {self.name}: {what}", values)
        if array.dtype.kind not in "fiub" or array.ndim == 0:
            raise TypeError(
                f"metric {self.name}: {what} must be an array of numbers, one or more for each "
                f"sample, received {array.dtype} of shape {array.shape}"
            )
        return array

    def result(self) -> Any:
        """The mean so far, 0.0 before the first sample; of some metrics an array."""
        return self.total / self.count if self.count else 0.0

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        """Count a batch in, as `update_state`, and return the result so far."""
        self.update_state(*arguments, **options)
        return self.result()

    def reset_state(self) -> None:
        """Forget all samples."""
        self._forget()

    def _forget(self) -> None:
        self.__dict__.update(dict.fromkeys(self.gathered, 0.0))

    def state_dict(self) -> dict[str, Any]:
        """What it has gathered: numbers and arrays, for a training that is to be resumed."""
        return {name: getattr(self, name) for name in self.gathered}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        self.__dict__.update({name: state[name] for name in self.gathered})

    def __repr__(self) -> str:
        result = self.result()
        shown = f"{result:.4g}" if np.ndim(result) == 0 else np.array2string(result, precision=4)
        return f"<{type(self).__name__} {self.name}={shown}>"


def by_samples(
    values: Array, weights: Array | None, reduce: Callable[..., Any] = np.mean
) -> tuple[Array, Array | None]:
    """The values of samples, of values of any rank, times their weights; and these.

    Args:
        values: (N, ...), or one number.
        weights: of as many axes or fewer, or None.
        reduce: what becomes of the values of a sample.
    """
    values = np.asarray(values, np.float64)
    if weights is not None:
        if weights.ndim == values.ndim + 1 and weights.shape[-1] == 1:
            weights = weights[..., 0]
        if values.ndim > weights.ndim:
            values = reduce(values, axis=tuple(range(weights.ndim, values.ndim)))
        try:
            weights = np.broadcast_to(weights, values.shape).astype(np.float64)
        except ValueError:
            raise ValueError(
                f"sample_weight of shape {weights.shape} does not fit values of shape "
                f"{values.shape}"
            ) from None
        values = values * weights
        if weights.ndim > 1:
            weights = reduce(weights, axis=tuple(range(1, weights.ndim)))
    if values.ndim > 1:
        values = reduce(values, axis=tuple(range(1, values.ndim)))
    return values, weights


class MeanOfValues(Metric):
    """A mean of numbers that each sample has, or each of its positions."""

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The numbers, (N, ...), or one for the whole batch."""
        raise NotImplementedError

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        self._add_values(self.values(y_true, y_pred), weights)

    def _add_values(self, values: Any, weights: Array | None) -> None:
        samples, weights = by_samples(np.asarray(values), weights)
        count = float(samples.size if weights is None else weights.sum())
        self._add(total=float(samples.sum()), count=count)


def shaped(y_true: Array, y_pred: Array, metric: Metric) -> Array:
    """The targets in the shape of the predictions; ValueError if they have another size."""
    if y_true.size != y_pred.size:
        raise ValueError(
            f"metric {metric.name} compares every output with a target of its own, received y_true "
            f"of shape {y_true.shape} for outputs of shape {y_pred.shape}"
        )
    return y_true.reshape(y_pred.shape)


def divided(a: Any, b: Any) -> Array:
    """a / b, and 0 where b is 0."""
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    ratio: Array = np.divide(a, b, out=np.zeros(a.shape), where=b != 0)
    return ratio


def plain(result: Any) -> Any:
    """A number as a float, of a result of any rank."""
    return float(result) if np.ndim(result) == 0 else np.asarray(result)
