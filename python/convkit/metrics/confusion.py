"""Counts of right and wrong answers above and below thresholds, and what is made of them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.config import as_number
from ..core.parameters import Array
from .metric import Metric, divided, plain, shaped

_BELOW_ALL = -1e10  # of what is not among the k largest
_MOST = 10_000  # thresholds, and classes, of which there may be a square


def count(
    y_true: Array, y_pred: Array, thresholds: Array, weights: Array | None
) -> dict[str, Array]:
    """The weights of the true and false, positive and negative answers, for each threshold.

    Args:
        y_true: the right answers; everything but 0 is a yes.
        y_pred: of the same shape; above a threshold it says yes.
        thresholds: (T,), in any order.
        weights: of the answers, or None.

    Returns:
        Arrays (T,): tp, fp, tn, fn.
    """
    order = np.argsort(thresholds, kind="stable")
    predicted = y_pred.reshape(-1)
    # So many thresholds lie below a prediction; NaN is above none.
    above = np.searchsorted(thresholds[order], predicted, side="left")
    above[np.isnan(predicted)] = 0
    right = y_true.reshape(-1) != 0
    factors = np.ones(predicted.shape) if weights is None else weights.reshape(-1)
    found = {}
    for name, chosen in (("tp", right), ("fp", ~right)):
        sums = np.bincount(above, np.where(chosen, factors, 0.0), len(thresholds) + 1)
        # Of each threshold, all predictions above it; what is left is not.
        reached = sums[::-1].cumsum()[::-1]
        for kind, values in ((name, reached[1:]), (_REST[name], reached[0] - reached[1:])):
            found[kind] = np.empty(len(thresholds))
            found[kind][order] = values
    return found


_REST = {"tp": "fn", "fp": "tn"}


class Confusion(Metric):
    """What the metrics share that count answers, each for one threshold or several.

    Attributes:
        thresholds_used: an array of them.
        wanted: those of tp, fp, tn and fn that are gathered.
    """

    wanted: ClassVar[tuple[str, ...]] = ("tp", "fp", "tn", "fn")
    gathered = wanted
    top_k: int | None = None
    class_id: int | None = None
    _derived: ClassVar[tuple[str, ...]] = ("thresholds_used",)

    def __init__(self, thresholds: Array, name: str | None = None) -> None:
        super().__init__(name)
        self.thresholds_used = np.asarray(thresholds, np.float32)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        true, predicted, factors = self._answers(y_true, y_pred, weights)
        found = count(true, predicted, self.thresholds_used, factors)
        self._add(**{name: found[name] for name in self.gathered})

    def _answers(
        self, y_true: Array, y_pred: Array, weights: Array | None
    ) -> tuple[Array, Array, Array | None]:
        """The answers that count, with a weight for each."""
        true, predicted = shaped(y_true, y_pred, self), y_pred.astype(np.float32)
        if weights is not None:
            trailing = (1,) * (predicted.ndim - weights.ndim)
            weights = np.broadcast_to(weights.reshape(weights.shape + trailing), predicted.shape)
        if self.top_k is not None:
            predicted = _largest(predicted, self.top_k)
        if self.class_id is not None:
            if predicted.ndim < 2 or not self.class_id < predicted.shape[-1]:
                raise ValueError(
                    f"metric {self.name}: there is no class {self.class_id} in outputs of shape "
                    f"{y_pred.shape}"
                )
            true, predicted = true[..., self.class_id], predicted[..., self.class_id]
            weights = None if weights is None else weights[..., self.class_id]
        return true, predicted, weights

    def _state(self, name: str) -> Array:
        return np.broadcast_to(self.__dict__[name], self.thresholds_used.shape)

    def _ratio(self, name: str, *others: str) -> Array:
        """The share of one count in several, 0 where there are none."""
        return divided(self._state(name), sum(self._state(each) for each in (name, *others)))

    def _first(self, values: Array) -> Any:
        """The only threshold's value, or those of all."""
        return plain(values[0] if len(values) == 1 else np.array(values))


class _AtThresholds(Confusion):
    def __init__(
        self, thresholds: float | Sequence[float] | None, default: float, name: str | None
    ) -> None:
        several = isinstance(thresholds, Sequence | np.ndarray)
        given: Any = thresholds if several else [default if thresholds is None else thresholds]
        numbers = [as_number(each) for each in given]
        if thresholds is not None and not all(n is not None and 0.0 <= n <= 1.0 for n in numbers):
            raise ValueError(
                f"{name or type(self).name}: thresholds must lie in 0 .. 1, received {thresholds!r}"
            )
        super().__init__(np.array(numbers, np.float32), name)
        self.thresholds = thresholds


class _Count(_AtThresholds):
    """The number, or the weight, of answers of one kind.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5.
        name: by default that of the class.
    """

    def __init__(
        self, thresholds: float | Sequence[float] | None = None, name: str | None = None
    ) -> None:
        super().__init__(thresholds, 0.5, name)

    def result(self) -> Any:
        """The count, or those of all thresholds."""
        return self._first(self._state(self.gathered[0]))


class TruePositives(_Count):
    """How often a yes is right.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5.
        name: by default `true_positives`.
    """

    name = "true_positives"
    gathered = ("tp",)


class TrueNegatives(_Count):
    """How often a no is right.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5.
        name: by default `true_negatives`.
    """

    name = "true_negatives"
    gathered = ("tn",)


class FalsePositives(_Count):
    """How often a yes is wrong.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5.
        name: by default `false_positives`.
    """

    name = "false_positives"
    gathered = ("fp",)


class FalseNegatives(_Count):
    """How often a no is wrong.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5.
        name: by default `false_negatives`.
    """

    name = "false_negatives"
    gathered = ("fn",)


class _OfClass(_AtThresholds):
    def __init__(
        self,
        thresholds: float | Sequence[float] | None,
        top_k: int | None,
        class_id: int | None,
        name: str | None,
    ) -> None:
        super().__init__(thresholds, 0.5 if top_k is None else _BELOW_ALL, name)
        self.top_k = None if top_k is None else _index(top_k, "top_k", 1, self.name)
        self.class_id = None if class_id is None else _index(class_id, "class_id", 0, self.name)


class Precision(_OfClass):
    """How many of the answers yes are right.

    Args:
        thresholds: one or several, each in 0 .. 1; a prediction above it is a yes. By default 0.5,
            or none with `top_k`.
        top_k: count as yes only the so many most probable classes of a sample.
        class_id: count one class alone.
        name: by default `precision`.

    Targets: of the shape of the predictions, 0 or 1.
    """

    name = "precision"
    gathered = ("tp", "fp")

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(thresholds, top_k, class_id, name)

    def result(self) -> Any:
        """The precision so far, or that of each threshold."""
        return self._first(self._ratio("tp", "fp"))


class Recall(_OfClass):
    """How many of those that are yes are found.

    Args:
        thresholds, top_k, class_id: as of `Precision`.
        name: by default `recall`.

    Targets: of the shape of the predictions, 0 or 1.
    """

    name = "recall"
    gathered = ("tp", "fn")

    def __init__(
        self,
        thresholds: float | Sequence[float] | None = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(thresholds, top_k, class_id, name)

    def result(self) -> Any:
        """The recall so far, or that of each threshold."""
        return self._first(self._ratio("tp", "fn"))


def even_thresholds(number: Any, least: int, name: str) -> list[float]:
    """So many thresholds from 0 to 1, at equal distances; 0.5 if there is one."""
    wanted = _index(number, "num_thresholds", least, name)
    if wanted == 1:
        return [0.5]
    return [i / (wanted - 1) for i in range(wanted)]


def _index(value: Any, what: str, least: int, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or not least <= number <= _MOST:
        raise ValueError(
            f"{name}: {what} must be an integer of at least {least} and at most {_MOST}, received "
            f"{value!r}"
        )
    return number


def _largest(predicted: Array, k: int) -> Array:
    """Predictions, of which all but the k largest of a row are below every threshold."""
    if k >= predicted.shape[-1]:
        return predicted
    order = np.argsort(-predicted, axis=-1, kind="stable")[..., :k]
    kept = np.full_like(predicted, _BELOW_ALL)
    np.put_along_axis(kept, order, np.take_along_axis(predicted, order, axis=-1), axis=-1)
    return kept
