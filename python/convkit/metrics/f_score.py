"""F-scores: means of precision and recall."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.config import as_number
from ..core.parameters import Array
from .metric import Metric, plain, shaped

_AVERAGES = (None, "micro", "macro", "weighted")
_EPSILON = 1e-7  # as Keras adds it to what is divided by
_NO_ANSWER = 1e-9  # the largest output of a sample, below which it says nothing


class FBetaScore(Metric):
    """(1 + beta**2) * precision * recall / (beta**2 * precision + recall), of each class.

    Args:
        average: what becomes of the classes' scores: None leaves them as they are, "macro" takes
            their mean, "weighted" one by the classes' sizes; "micro" counts all classes as one.
        beta: above 0; recall counts beta times as much as precision.
        threshold: a prediction above it, in 0 .. 1, is a yes; by default the largest of a sample.
        name: by default `fbeta_score`.

    Targets and predictions: (N, K), targets one-hot or several 1s.
    """

    name = "fbeta_score"
    gathered = ("true_positives", "false_positives", "false_negatives", "sizes")

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name)
        if not isinstance(average, str | None) or average not in _AVERAGES:
            raise ValueError(
                f"{self.name}: average must be one of {[*_AVERAGES]}, received {average!r}"
            )
        size = as_number(beta)
        if size is None or not size > 0.0:
            raise ValueError(f"{self.name}: beta must be a number above 0, received {beta!r}")
        bound = None if threshold is None else as_number(threshold)
        if threshold is not None and (bound is None or not 0.0 < bound <= 1.0):
            raise ValueError(
                f"{self.name}: threshold must be above 0 and at most 1, received {threshold!r}"
            )
        self.average, self.beta, self.threshold = average, size, bound

    def gather(self, y_true: Array, y_pred: Array, weights: Array | None) -> None:
        """Count in the arrays of a batch that is not empty."""
        true = shaped(y_true, y_pred, self).astype(np.float64)
        if true.ndim != 2:
            raise ValueError(f"{self.name} needs outputs (N, K), received {y_pred.shape}")
        if self.threshold is None:
            largest = y_pred.max(axis=-1, keepdims=True)
            said = (y_pred >= largest) & (np.abs(y_pred) > _NO_ANSWER)
        else:
            said = y_pred > np.float32(self.threshold)
        axis = None if self.average == "micro" else 0
        factors = 1.0 if weights is None else weights.reshape(len(true), 1)

        def total(values: Array) -> Any:
            return (values * factors).sum(axis=axis)

        self._add(
            true_positives=total(said * true),
            false_positives=total(said * (1.0 - true)),
            false_negatives=total(~said * true),
            sizes=total(true),
        )

    def result(self) -> Any:
        """The score so far, or those of the classes."""
        right = np.asarray(self.__dict__["true_positives"])
        precision = right / (right + self.__dict__["false_positives"] + _EPSILON)
        recall = right / (right + self.__dict__["false_negatives"] + _EPSILON)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + _EPSILON) * (1.0 + square)
        if self.average == "weighted":
            sizes = np.asarray(self.__dict__["sizes"])
            score = (score * sizes / (sizes.sum() + _EPSILON)).sum()
        elif self.average is not None:
            score = score.mean()
        return plain(score)


class F1Score(FBetaScore):
    """2 * precision * recall / (precision + recall), of each class.

    Args:
        average, threshold: as of `FBetaScore`.
        name: by default `f1_score`.

    Targets and predictions: (N, K), targets one-hot or several 1s.
    """

    name = "f1_score"

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name)
