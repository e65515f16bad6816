"""Which metric a name, a function or an object stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from .. import losses
from ..core.config import same_name, unknown
from . import accuracy, at_constraint, auc, confusion, f_score, iou, means, of_losses, regression
from .metric import Metric

_MODULES = (accuracy, at_constraint, auc, confusion, f_score, iou, means, of_losses, regression)
# What cannot be made without arguments, or is not public.
_OTHERS = {
    *(iou.IoU, iou.MeanIoU, iou.OneHotIoU, iou.OneHotMeanIoU, means.MeanMetricWrapper),
    *(at_constraint.PrecisionAtRecall, at_constraint.RecallAtPrecision),
    *(at_constraint.SensitivityAtSpecificity, at_constraint.SpecificityAtSensitivity),
    *(accuracy.AccuracyByShape, confusion.Confusion, Metric),
}
_ALIASES: dict[str, type[Metric]] = {
    "bce": of_losses.BinaryCrossentropy,
    "kld": of_losses.KLDivergence,
    "log_cosh": of_losses.LogCoshError,
    "logcosh": of_losses.LogCoshError,
    "mae": of_losses.MeanAbsoluteError,
    "mape": of_losses.MeanAbsolutePercentageError,
    "mse": of_losses.MeanSquaredError,
    "msle": of_losses.MeanSquaredLogarithmicError,
}
_ACCURACY = ("accuracy", "acc")


def _known() -> dict[str, type[Metric]]:
    kinds = [kind for module in _MODULES for kind in _own_classes(module) if kind not in _OTHERS]
    found = {_snake(kind.__name__): kind for kind in kinds}
    del found["accuracy"]  # which depends on the loss
    return {**found, **_ALIASES}


def _own_classes(module: ModuleType) -> list[type[Metric]]:
    """The public metrics that a module defines."""
    return [
        kind
        for name, kind in vars(module).items()
        if isinstance(kind, type)
        and issubclass(kind, Metric)
        and kind.__module__ == module.__name__
        and not name.startswith("_")
    ]


def _snake(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.replace("KLD", "KlD"))
    return words.lower()


_BY_NAME = _known()
# What becomes of a function of convkit's; others are wrapped.
_CLASSES: dict[Callable[..., Any], type[Metric]] = {
    **{
        vars(kind)["function"].__func__: kind
        for kind in vars(of_losses).values()
        if isinstance(kind, type) and isinstance(vars(kind).get("function"), staticmethod)
    },
    accuracy.binary_accuracy: accuracy.BinaryAccuracy,
    accuracy.categorical_accuracy: accuracy.CategoricalAccuracy,
    accuracy.sparse_categorical_accuracy: accuracy.SparseCategoricalAccuracy,
    accuracy.top_k_categorical_accuracy: accuracy.TopKCategoricalAccuracy,
    accuracy.sparse_top_k_categorical_accuracy: accuracy.SparseTopKCategoricalAccuracy,
    regression.pearson_correlation: regression.PearsonCorrelation,
    regression.concordance_correlation: regression.ConcordanceCorrelation,
}
del _CLASSES[losses.cosine_similarity]  # the metric has the other sign


def get(identifier: Any, loss: losses.Loss | None = None) -> Metric:
    """The metric that is meant.

    Args:
        identifier: a name, such as "mean_squared_error", "MeanSquaredError" or "mse", which the
            metric keeps as its own; a class or an object of one; or a function of arrays (y_true,
            y_pred) that gives numbers of samples, or one for a batch.
        loss: "accuracy" and "acc" mean the accuracy that fits it; without a cross-entropy, the one
            that fits the model's output.

    Raises:
        ValueError: there is no such metric; the message names those that there are.
    """
    if isinstance(identifier, Metric):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Metric):
        return identifier()
    if isinstance(identifier, str) and identifier.lower() in _ACCURACY:
        if isinstance(loss, losses.SparseCategoricalCrossentropy):
            return accuracy.SparseCategoricalAccuracy(name=identifier)
        if isinstance(loss, losses.CategoricalCrossentropy | losses.CategoricalFocalCrossentropy):
            return accuracy.CategoricalAccuracy(name=identifier)
        return accuracy.AccuracyByShape(name=identifier)
    if name := same_name(identifier, _BY_NAME):
        return _BY_NAME[name](name=identifier)
    if isinstance(identifier, losses.Loss):
        return means.MeanMetricWrapper(_values_of(identifier), identifier.name)
    if callable(identifier) and not isinstance(identifier, type):
        kind = _CLASSES.get(identifier)
        if kind is None:
            return means.MeanMetricWrapper(identifier)
        return kind(name=identifier.__name__)
    raise unknown("metric", identifier, [*_BY_NAME, *_ACCURACY])


def _values_of(loss: losses.Loss) -> Callable[..., Any]:
    """The function of arrays that gives a loss's values."""

    def values(y_true: Any, y_pred: Any) -> Any:
        return loss(y_true, y_pred)

    return values


def get_all(identifiers: Any, loss: losses.Loss | None) -> list[Metric]:
    """The metrics of a list (or a single one); ValueError if one is called "loss"."""
    if identifiers is None:
        return []
    several = isinstance(identifiers, Sequence) and not isinstance(identifiers, str)
    made = [get(each, loss) for each in (identifiers if several else [identifiers])]
    if any(metric.name == "loss" for metric in made):
        raise ValueError(
            f"no metric may be called 'loss', which is the model's: {[m.name for m in made]}"
        )
    return made
