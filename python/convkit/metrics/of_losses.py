"""The means of what losses compute, without samples' weights in the model's sense or reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from .. import losses
from ..core.config import flag
from ..core.parameters import Array
from .metric import MeanOfValues


class _OfLoss(MeanOfValues):
    """The mean of a function of `convkit.losses`.

    Attributes:
        function: of targets and predictions.
    """

    function: ClassVar[Callable[..., Array]]
    _derived = ("_options",)

    def __init__(self, name: str | None = None) -> None:
        super().__init__(name)
        self._options: dict[str, Any] = {}

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The losses of the rows, (N, ...)."""
        try:
            return type(self).function(y_true, y_pred, **self._options)
        except ValueError as error:
            raise ValueError(f"metric {self.name}: {error}") from error


class MeanSquaredError(_OfLoss):
    """The mean of (y_true - y_pred)**2.

    Args:
        name: by default `mean_squared_error`.
    """

    name = "mean_squared_error"
    function = staticmethod(losses.mean_squared_error)


class MeanAbsoluteError(_OfLoss):
    """The mean of `|y_true - y_pred|`.

    Args:
        name: by default `mean_absolute_error`.
    """

    name = "mean_absolute_error"
    function = staticmethod(losses.mean_absolute_error)


class MeanAbsolutePercentageError(_OfLoss):
    """100 times the mean of `|y_true - y_pred|` / max(`|y_true|`, 1e-7).

    Args:
        name: by default `mean_absolute_percentage_error`.
    """

    name = "mean_absolute_percentage_error"
    function = staticmethod(losses.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(_OfLoss):
    """The mean of (log(1 + y_true) - log(1 + y_pred))**2, both at least 1e-7.

    Args:
        name: by default `mean_squared_logarithmic_error`.
    """

    name = "mean_squared_logarithmic_error"
    function = staticmethod(losses.mean_squared_logarithmic_error)


class LogCoshError(_OfLoss):
    """The mean of log(cosh(y_pred - y_true)).

    Args:
        name: by default `logcosh`.
    """

    name = "logcosh"
    function = staticmethod(losses.log_cosh)


class CosineSimilarity(_OfLoss):
    """The mean of the cosines of the angles between targets and predictions.

    Args:
        name: by default `cosine_similarity`.
        axis: along which the vectors lie.
    """

    name = "cosine_similarity"
    function = staticmethod(losses.cosine_similarity)

    def __init__(self, name: str | None = None, *, axis: int = -1) -> None:
        super().__init__(name)
        self.axis = axis
        self._options = {"axis": axis}

    def values(self, y_true: Array, y_pred: Array) -> Any:
        """The cosines."""
        return -super().values(y_true, y_pred)


class KLDivergence(_OfLoss):
    """The mean of the sums of y_true * log(y_true / y_pred), both clipped to [1e-7, 1].

    Args:
        name: by default `kl_divergence`.
    """

    name = "kl_divergence"
    function = staticmethod(losses.kl_divergence)


class Poisson(_OfLoss):
    """The mean of y_pred - y_true * log(y_pred + 1e-7).

    Args:
        name: by default `poisson`.
    """

    name = "poisson"
    function = staticmethod(losses.poisson)


class Hinge(_OfLoss):
    """The mean of max(1 - y_true * y_pred, 0), of targets -1 or 1, or 0 or 1.

    Args:
        name: by default `hinge`.
    """

    name = "hinge"
    function = staticmethod(losses.hinge)


class SquaredHinge(_OfLoss):
    """The mean of max(1 - y_true * y_pred, 0)**2, of targets -1 or 1, or 0 or 1.

    Args:
        name: by default `squared_hinge`.
    """

    name = "squared_hinge"
    function = staticmethod(losses.squared_hinge)


class CategoricalHinge(_OfLoss):
    """The mean of max(0, 1 + the largest output of a wrong class - that of the right one).

    Args:
        name: by default `categorical_hinge`.
    """

    name = "categorical_hinge"
    function = staticmethod(losses.categorical_hinge)


class BinaryCrossentropy(_OfLoss):
    """The mean cross-entropy of yes-or-no questions.

    Args:
        name: by default `binary_crossentropy`.
        from_logits: whether predictions are before the sigmoid.
        label_smoothing: the share by which targets move towards 1/2.
    """

    name = "binary_crossentropy"
    function = staticmethod(losses.binary_crossentropy)

    def __init__(
        self, name: str | None = None, *, from_logits: bool = False, label_smoothing: float = 0
    ) -> None:
        super().__init__(name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.label_smoothing = label_smoothing
        self._options = {"from_logits": self.from_logits, "label_smoothing": label_smoothing}


class CategoricalCrossentropy(_OfLoss):
    """The mean cross-entropy of one-hot labels.

    Args:
        name: by default `categorical_crossentropy`.
        from_logits: whether predictions are before the softmax.
        label_smoothing: the share of each target that is spread over all classes.
        axis: where the classes are.
    """

    name = "categorical_crossentropy"
    function = staticmethod(losses.categorical_crossentropy)

    def __init__(
        self,
        name: str | None = None,
        *,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.label_smoothing, self.axis = label_smoothing, axis
        self._options = {
            "from_logits": self.from_logits,
            "label_smoothing": label_smoothing,
            "axis": axis,
        }


class SparseCategoricalCrossentropy(_OfLoss):
    """The mean cross-entropy of integer labels.

    Args:
        name: by default `sparse_categorical_crossentropy`.
        from_logits: whether predictions are before the softmax.
        ignore_class: a label whose cross-entropy is taken for 0; None for none.
        axis: where the classes are.
    """

    name = "sparse_categorical_crossentropy"
    function = staticmethod(losses.sparse_categorical_crossentropy)

    def __init__(
        self,
        name: str | None = None,
        *,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(name)
        self.from_logits = flag(from_logits, "from_logits", self)
        self.ignore_class, self.axis = ignore_class, axis
        self._options = {
            "from_logits": self.from_logits,
            "ignore_class": ignore_class,
            "axis": axis,
        }
