"""The best of one ratio of counts where another one reaches a value, over many thresholds."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..core.config import as_number
from .confusion import Confusion, _index, even_thresholds

_RATIOS = {
    "precision": ("tp", "fp"),
    "recall": ("tp", "fn"),
    "sensitivity": ("tp", "fn"),
    "specificity": ("tn", "fp"),
}


class _AtConstraint(Confusion):
    """What they share.

    Attributes:
        constrained, dependent: the ratio that must reach a value, and the one that is told.
    """

    constrained: ClassVar[str]
    dependent: ClassVar[str]

    def __init__(
        self, value: Any, num_thresholds: int, class_id: int | None, name: str | None
    ) -> None:
        super().__init__(np.array(even_thresholds(num_thresholds, 1, type(self).name)), name)
        number = as_number(value)
        if number is None or not 0.0 <= number <= 1.0:
            raise ValueError(
                f"{self.name}: {self.constrained} must lie in 0 .. 1, received {value!r}"
            )
        self._least = number
        self.num_thresholds = num_thresholds
        self.class_id = None if class_id is None else _index(class_id, "class_id", 0, self.name)

    _derived = (*Confusion._derived, "_least")

    def result(self) -> float:
        """The largest so far, 0.0 where no threshold reaches the value."""
        reached = self._ratio(*_RATIOS[self.constrained]) >= self._least
        best = np.where(reached, self._ratio(*_RATIOS[self.dependent]), 0.0)
        return float(best.max())


class PrecisionAtRecall(_AtConstraint):
    """The best precision where the recall is at least a value.

    Args:
        recall: in 0 .. 1.
        num_thresholds: how many are tried.
        class_id: count one class alone.
        name: by default `precision_at_recall`.
    """

    name = "precision_at_recall"
    constrained, dependent = "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name)
        self.recall = recall


class RecallAtPrecision(_AtConstraint):
    """The best recall where the precision is at least a value.

    Args:
        precision: in 0 .. 1.
        num_thresholds: how many are tried.
        class_id: count one class alone.
        name: by default `recall_at_precision`.
    """

    name = "recall_at_precision"
    constrained, dependent = "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name)
        self.precision = precision


class SensitivityAtSpecificity(_AtConstraint):
    """The best sensitivity, or recall, where the specificity is at least a value.

    Args:
        specificity: in 0 .. 1, the share of those that are no which are found.
        num_thresholds: how many are tried.
        class_id: count one class alone.
        name: by default `sensitivity_at_specificity`.
    """

    name = "sensitivity_at_specificity"
    constrained, dependent = "specificity", "sensitivity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name)
        self.specificity = specificity


class SpecificityAtSensitivity(_AtConstraint):
    """The best specificity where the sensitivity, or recall, is at least a value.

    Args:
        sensitivity: in 0 .. 1.
        num_thresholds: how many are tried.
        class_id: count one class alone.
        name: by default `specificity_at_sensitivity`.
    """

    name = "specificity_at_sensitivity"
    constrained, dependent = "sensitivity", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name)
        self.sensitivity = sensitivity
