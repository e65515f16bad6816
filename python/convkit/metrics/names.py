"""Which metric a name, a function or an object stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from types import ModuleType
from typing import Any

from .. import losses
from ..core.config import same_name, unknown
from . import accuracy, means
from .metric import Metric

_ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "log_cosh": "log_cosh_error",
    "logcosh": "log_cosh_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_ACCURACY = ("accuracy", "acc")


@cache
def _by_name() -> dict[str, type[Metric]]:
    """The metrics that can be made without arguments, by their names."""
    # Here, because most programs ask for the accuracy alone.
    from . import at_constraint, auc, confusion, f_score, iou, of_losses, regression

    others = {
        *(iou.IoU, iou.MeanIoU, iou.OneHotIoU, iou.OneHotMeanIoU, means.MeanMetricWrapper),
        *(at_constraint.PrecisionAtRecall, at_constraint.RecallAtPrecision),
        *(at_constraint.SensitivityAtSpecificity, at_constraint.SpecificityAtSensitivity),
        *(accuracy.Accuracy, accuracy.AccuracyByShape),  # the first depends on the loss
        *(confusion.Confusion, Metric),
    }
    modules = (accuracy, at_constraint, auc, confusion, f_score, iou, means, of_losses, regression)
    kinds = [kind for module in modules for kind in _own_classes(module) if kind not in others]
    found = {_snake(kind.__name__): kind for kind in kinds}
    return {**found, **{alias: found[name] for alias, name in _ALIASES.items()}}


@cache
def _by_function() -> dict[Callable[..., Any], type[Metric]]:
    """What becomes of a function of convkit's; others are wrapped."""
    from . import of_losses, regression  # here, as above

    found = {
        vars(kind)["function"].__func__: kind
        for kind in vars(of_losses).values()
        if isinstance(kind, type) and isinstance(vars(kind).get("function"), staticmethod)
    }
    del found[losses.cosine_similarity]  # the metric has the other sign
    return {
        **found,
        accuracy.binary_accuracy: accuracy.BinaryAccuracy,
        accuracy.categorical_accuracy: accuracy.CategoricalAccuracy,
        accuracy.sparse_categorical_accuracy: accuracy.SparseCategoricalAccuracy,
        accuracy.top_k_categorical_accuracy: accuracy.TopKCategoricalAccuracy,
        accuracy.sparse_top_k_categorical_accuracy: accuracy.SparseTopKCategoricalAccuracy,
        regression.pearson_correlation: regression.PearsonCorrelation,
        regression.concordance_correlation: regression.ConcordanceCorrelation,
    }


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
    if isinstance(identifier, str) and (name := same_name(identifier, _by_name())):
        return _by_name()[name](name=identifier)
    if isinstance(identifier, losses.Loss):
        return means.MeanMetricWrapper(_values_of(identifier), identifier.name)
    if callable(identifier) and not isinstance(identifier, type):
        kind = _by_function().get(identifier)
        if kind is None:
            return means.MeanMetricWrapper(identifier)
        return kind(name=identifier.__name__)
    raise unknown("metric", identifier, [*_by_name(), *_ACCURACY])


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
