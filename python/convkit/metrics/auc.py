"""The area under a curve of two ratios of counts, as the threshold moves from 1 to 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.config import as_number, flag
from ..core.parameters import Array
from .confusion import Confusion, _index, count, even_thresholds
from .metric import divided

_CURVES = ("ROC", "PR", "PRGAIN")
_METHODS = ("interpolation", "majoring", "minoring")
_EPSILON = 1e-7  # how far the first and the last threshold lie outside of 0 .. 1


class AUC(Confusion):
    """The area under a curve, from sums over thresholds.

    Args:
        num_thresholds: how many, at equal distances in 0 .. 1; at least 2.
        curve: "ROC" (recall over the rate of false alarms), "PR" (precision over recall) or
            "PRGAIN" (gains of both; P. Flach and M. Kull, 2015).
        summation_method: "interpolation" (trapezia; under a PR curve as J. Davis and M. Goadrich,
            2006), or "minoring" or "majoring", of the lower or the higher end of each step.
        name: by default `auc`.
        thresholds: those to take instead, in 0 .. 1; 0 and 1 are added.
        multi_label: whether every output is a question of its own, whose areas are meant.
        num_labels: their number, which need not be given.
        label_weights: of the labels, in the mean of their areas, or of their answers.
        from_logits: whether predictions are before the sigmoid.

    Targets: of the shape of the predictions, 0 or 1.
    """

    name = "auc"
    gathered = ("tp", "fp", "tn", "fn")

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        *,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        title = name if isinstance(name, str) else type(self).name
        if thresholds is None:
            inner = even_thresholds(num_thresholds, 2, title)[1:-1]
        else:
            inner = sorted(_numbers(thresholds, "thresholds", title))
            num_thresholds = len(inner) + 2
        super().__init__(np.array([-_EPSILON, *inner, 1.0 + _EPSILON]), name)
        self.num_thresholds, self.thresholds = num_thresholds, thresholds
        self.curve = _one_of(curve, _CURVES, "curve", title)
        self.summation_method = _one_of(summation_method, _METHODS, "summation_method", title)
        self.multi_label = flag(multi_label, "multi_label", self)
        if num_labels is not None:
            num_labels = _index(num_labels, "num_labels", 0, title)
        if num_labels and not self.multi_label:
            raise ValueError(f"{title}: num_labels is needed only with multi_label=True")
        self.num_labels = num_labels
        self.label_weights = None
        if label_weights is not None:
            self.label_weights = _numbers(label_weights, "label_weights", title)
        self.from_logits = flag(from_logits, "from_logits", self)

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        if self.from_logits:
            y_pred = ops.sigmoid_forward(y_pred)
        true, predicted, factors = self._answers(y_true, y_pred, weights)
        predicted = np.where(np.isnan(predicted), predicted, np.clip(predicted, 0.0, 1.0))
        if not self.multi_label:
            if self.label_weights is not None:
                own = np.broadcast_to(np.array(self.label_weights), predicted.shape)
                factors = own if factors is None else factors * own
            self._add(**count(true, predicted, self.thresholds_used, factors))
            return
        if predicted.ndim != 2 or self.num_labels not in (None, predicted.shape[1]):
            raise ValueError(
                f"metric {self.name}: multi_label needs outputs (N, {self.num_labels or 'K'}), "
                f"received {y_pred.shape}"
            )
        by_label = [
            count(true[:, i], predicted[:, i], self.thresholds_used, None if f is None else f[:, i])
            for i, f in enumerate([factors] * predicted.shape[1])
        ]
        self._add(**{name: np.stack([c[name] for c in by_label], axis=1) for name in self.gathered})

    def result(self) -> float:
        """The area so far, or the labels' mean area."""
        steps = self._steps()
        if not self.multi_label:
            return float(steps.sum())
        areas = steps.sum(axis=0)
        if self.label_weights is None:
            return float(areas.mean())
        weights = np.array(self.label_weights)
        return float(divided((areas * weights).sum(), weights.sum()))

    def _state(self, name: str) -> Array:
        value = np.asarray(self.__dict__[name])
        return value if value.ndim else super()._state(name)

    def _steps(self) -> Array:
        """The areas between neighbouring thresholds."""
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            return self._interpolated()
        recall = self._ratio("tp", "fn")
        if self.curve == "ROC":
            x, y = self._ratio("fp", "tn"), recall
        elif self.curve == "PR":
            x, y = recall, self._ratio("tp", "fp")
        else:
            x, y = self._gains()
        low, high = y[:-1], y[1:]
        heights = {
            "interpolation": (low + high) / 2.0,
            "minoring": np.minimum(low, high),
            "majoring": np.maximum(low, high),
        }[self.summation_method]
        steps: Array = (x[:-1] - x[1:]) * heights
        return steps

    def _gains(self) -> tuple[Array, Array]:
        tp, fp, tn, fn = (self._state(name) for name in self.gathered)
        scale = divided(tp + fn, tn + fp)
        recall = np.where(tp == 0.0, 0.0, 1.0 - scale * divided(fn, tp))
        precision = np.where(tp == 0.0, 1.0, 1.0 - scale * divided(fp, tp))
        return np.maximum(recall, 0.0), precision

    def _interpolated(self) -> Array:
        """Under a PR curve: between two thresholds false answers grow linearly with right ones."""
        tp, fn = self._state("tp"), self._state("fn")
        positive = tp + self._state("fp")
        dtp, dp = tp[:-1] - tp[1:], positive[:-1] - positive[1:]
        slope = divided(dtp, np.maximum(dp, 0.0))
        intercept = tp[1:] - slope * positive[1:]
        both = (positive[:-1] > 0.0) & (positive[1:] > 0.0)
        ratio = np.where(both, divided(positive[:-1], np.maximum(positive[1:], 0.0)), 1.0)
        return divided(slope * (dtp + intercept * np.log(ratio)), np.maximum(tp[1:] + fn[1:], 0.0))


def _numbers(values: Any, what: str, title: str) -> list[float]:
    several = isinstance(values, list | tuple) or (
        isinstance(values, np.ndarray) and values.ndim == 1
    )
    numbers = [as_number(each) for each in values] if several else [None]
    if None in numbers:
        raise ValueError(f"{title}: {what} must be a list of numbers, received {values!r}")
    return [number for number in numbers if number is not None]


def _one_of(value: Any, names: Sequence[str], what: str, title: str) -> str:
    for name in names:
        if isinstance(value, str) and value.lower() == name.lower():
            return name
    raise ValueError(f"{title}: {what} must be one of {[*names]}, received {value!r}")
