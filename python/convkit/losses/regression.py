"""Losses of numbers, of their differences, ratios and angles."""

from __future__ import annotations

from ..core.config import real
from .loss import RowLoss
from .targets import checked_axis


class MeanSquaredError(RowLoss):
    """The mean of (y_true - y_pred)**2 over the last axis.

    Args:
        reduction: as of `Loss`.
        name: by default `mean_squared_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_squared_error"
    kind = "squared_error"
    capturable = True


class MeanAbsoluteError(RowLoss):
    """The mean of `|y_true - y_pred|` over the last axis.

    Args:
        reduction: as of `Loss`.
        name: by default `mean_absolute_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_absolute_error"
    kind = "absolute_error"
    capturable = True


class MeanAbsolutePercentageError(RowLoss):
    """100 times the mean of `|y_true - y_pred|` / max(`|y_true|`, 1e-7) over the last axis.

    Args:
        reduction: as of `Loss`.
        name: by default `mean_absolute_percentage_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_absolute_percentage_error"
    kind = "absolute_percentage_error"
    capturable = True


class MeanSquaredLogarithmicError(RowLoss):
    """The mean of (log(1 + y_true) - log(1 + y_pred))**2 over the last axis, both at least 1e-7.

    Args:
        reduction: as of `Loss`.
        name: by default `mean_squared_logarithmic_error`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "mean_squared_logarithmic_error"
    kind = "squared_logarithmic_error"
    capturable = True


class Huber(RowLoss):
    """The mean of (y_true - y_pred)**2 / 2 over the last axis, but a straight line beyond delta.

    For a difference d larger than delta it is delta * (`|d|` - delta / 2) (P. Huber, "Robust
    estimation of a location parameter", 1964).

    Args:
        delta: above 0.
        reduction: as of `Loss`.
        name: by default `huber_loss`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "huber_loss"
    kind = "huber"
    capturable = True

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.delta = real(delta, "delta", self)
        if not self.delta > 0.0:
            raise ValueError(f"{self.name}: delta must be above 0, received {delta!r}")
        self.options["delta"] = self.delta


class LogCosh(RowLoss):
    """The mean of log(cosh(y_pred - y_true)) over the last axis.

    It is d**2 / 2 for small differences d, and `|d|` - log 2 for large ones.

    Args:
        reduction: as of `Loss`.
        name: by default `log_cosh`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "log_cosh"
    kind = "log_cosh"
    capturable = True


class Poisson(RowLoss):
    """The mean of y_pred - y_true * log(y_pred + 1e-7) over the last axis, of counts and rates.

    Args:
        reduction: as of `Loss`.
        name: by default `poisson`.

    Targets: of the shape of the predictions; (N,) is taken for (N, 1).
    """

    name = "poisson"
    kind = "poisson"
    capturable = True


class KLDivergence(RowLoss):
    """The sum of y_true * log(y_true / y_pred) over the last axis, both clipped to [1e-7, 1].

    The Kullback-Leibler divergence of a distribution of classes from another one.

    Args:
        reduction: as of `Loss`.
        name: by default `kl_divergence`.

    Targets: of the shape of the predictions, (N, ..., K).
    """

    name = "kl_divergence"
    kind = "kl_divergence"
    capturable = True


class CosineSimilarity(RowLoss):
    """Less the cosine of the angle between y_true and y_pred: -1 where they point the same way.

    Args:
        axis: -1, along which the vectors lie.
        reduction: as of `Loss`.
        name: by default `cosine_similarity`.

    Targets: of the shape of the predictions, (N, ..., K).
    """

    name = "cosine_similarity"
    kind = "cosine_similarity"
    capturable = True

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
    ) -> None:
        super().__init__(reduction, name)
        self.axis = checked_axis(axis, self.name)
