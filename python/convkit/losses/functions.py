"""Losses as functions of arrays: the loss of every row, without weights and reduction.

Each takes targets and predictions (N, ..., K), or one row (K,), as arrays or nested lists, and
returns float32 (N, ...). `compile` takes one for the loss of its name, with the defaults.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.parameters import Array
from ..ops._gate import as_array, as_floats
from . import crossentropy, margins, overlap, regression
from .loss import Loss


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of (y_true - y_pred)**2 over the last axis."""
    return _by_row(regression.MeanSquaredError(), y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of `|y_true - y_pred|` over the last axis."""
    return _by_row(regression.MeanAbsoluteError(), y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """100 times the mean of `|y_true - y_pred|` / max(`|y_true|`, 1e-7) over the last axis."""
    return _by_row(regression.MeanAbsolutePercentageError(), y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of (log(1 + y_true) - log(1 + y_pred))**2 over the last axis, both at least 1e-7."""
    return _by_row(regression.MeanSquaredLogarithmicError(), y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Array:
    """The mean of (y_true - y_pred)**2 / 2 over the last axis, a straight line beyond delta."""
    return _by_row(regression.Huber(delta), y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of log(cosh(y_pred - y_true)) over the last axis."""
    return _by_row(regression.LogCosh(), y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of y_pred - y_true * log(y_pred + 1e-7) over the last axis."""
    return _by_row(regression.Poisson(), y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The sum of y_true * log(y_true / y_pred) over the last axis, both clipped to [1e-7, 1]."""
    return _by_row(regression.KLDivergence(), y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """Less the cosine of the angle between y_true and y_pred along an axis."""
    return _by_row(regression.CosineSimilarity(), y_true, y_pred, axis)


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of max(1 - y_true * y_pred, 0) over the last axis.

    Where all targets are 0 or 1, 0 is taken for -1.
    """
    return _by_row(margins.Hinge(), y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The mean of max(1 - y_true * y_pred, 0)**2 over the last axis; targets as of `hinge`."""
    return _by_row(margins.SquaredHinge(), y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """max(0, 1 + the largest output of a wrong class - the output of the right class)."""
    return _by_row(margins.CategoricalHinge(), y_true, y_pred)


def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The mean of -t * log(p) - (1 - t) * log(1 - p) along an axis."""
    loss = crossentropy.BinaryCrossentropy(from_logits, label_smoothing)
    return _by_row(loss, y_true, y_pred, axis)


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The binary cross-entropy times (t * (1 - p) + (1 - t) * p)**gamma, meant along an axis."""
    loss = crossentropy.BinaryFocalCrossentropy(
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing
    )
    return _by_row(loss, y_true, y_pred, axis)


def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """-sum(t * log(p)) along an axis, of one-hot labels or other distributions t."""
    loss = crossentropy.CategoricalCrossentropy(from_logits, label_smoothing)
    return _by_row(loss, y_true, y_pred, axis)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """The cross-entropy of each class times alpha * (1 - p)**gamma, summed along an axis."""
    loss = crossentropy.CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing)
    return _by_row(loss, y_true, y_pred, axis)


def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """-log of the probability of the right class, of integer labels (N, ...) or (N, ..., 1).

    Rows with the label `ignore_class` have the loss 0.
    """
    loss = crossentropy.SparseCategoricalCrossentropy(from_logits, ignore_class)
    labels, predicted = as_array("y_true", y_true), as_floats("y_pred", y_pred)
    check_axis(predicted, axis)
    if labels.ndim == predicted.ndim and labels.shape[axis] == 1:
        labels = np.squeeze(labels, axis=axis)
    if predicted.ndim == 1:
        row: Array = _values(loss, labels[None], predicted[None])[0]
        return row
    return _values(loss, labels, np.moveaxis(predicted, axis, -1))


def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float) -> Array:
    """(1 - p**q) / q for the probability p of the right class, of integer labels."""
    return _values(
        overlap.CategoricalGeneralizedCrossEntropy(q), y_true, as_floats("y_pred", y_pred)
    )


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: Any = None) -> Array:
    """1 - 2 * sum(y_true * y_pred) / (sum(y_true) + sum(y_pred)), of some axes or all."""
    return _of_regions(overlap.Dice(axis=axis), y_true, y_pred)


def tversky(
    y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Array:
    """1 - c / (c + alpha * a + beta * b), of some axes or all; see the class."""
    return _of_regions(overlap.Tversky(alpha, beta, axis=axis), y_true, y_pred)


def _by_row(loss: Loss, y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """The losses along an axis, of targets that have it as well."""
    true, predicted = as_array("y_true", y_true), as_floats("y_pred", y_pred)
    check_axis(predicted, axis)
    if predicted.ndim == true.ndim - 1 and true.shape[-1] == 1:
        true = true[..., 0]
    if predicted.ndim == 1 and true.ndim == 1:
        row: Array = _values(loss, true[None], predicted[None])[0]
        return row
    if true.ndim == predicted.ndim:
        true = np.moveaxis(true, axis, -1)
    return _values(loss, true, np.moveaxis(predicted, axis, -1))


def check_axis(values: Array, axis: Any, name: str = "y_pred") -> None:
    """ValueError unless an array has an axis of that number."""
    inside = isinstance(axis, int) and -values.ndim <= axis < values.ndim
    if not inside or isinstance(axis, bool):
        raise ValueError(f"{name} of shape {values.shape} has no axis {axis!r}")


def _of_regions(loss: overlap.Tversky, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    predicted = as_floats("y_pred", y_pred)
    if loss.axis is not None:
        for axis in [loss.axis] if isinstance(loss.axis, int) else loss.axis:
            check_axis(predicted, axis)
    return _values(loss, y_true, predicted)


def _values(loss: Loss, y_true: ArrayLike, y_pred: Array) -> Array:
    predicted = np.ascontiguousarray(y_pred)
    if predicted.ndim == 0:
        raise ValueError(f"{loss.name}: y_pred must have shape (N, ..., K), received ()")
    targets = loss.prepare(y_true, predicted.shape[1:])
    if len(targets) != len(predicted):
        raise ValueError(
            f"{loss.name}: y_true has {len(targets)} samples, y_pred has {len(predicted)}"
        )
    return np.asarray(loss.call(targets, predicted), np.float32)


# What `compile` makes of a function.
CLASSES: dict[Callable[..., Array], type[Loss]] = {
    mean_squared_error: regression.MeanSquaredError,
    mean_absolute_error: regression.MeanAbsoluteError,
    mean_absolute_percentage_error: regression.MeanAbsolutePercentageError,
    mean_squared_logarithmic_error: regression.MeanSquaredLogarithmicError,
    huber: regression.Huber,
    log_cosh: regression.LogCosh,
    poisson: regression.Poisson,
    kl_divergence: regression.KLDivergence,
    cosine_similarity: regression.CosineSimilarity,
    hinge: margins.Hinge,
    squared_hinge: margins.SquaredHinge,
    categorical_hinge: margins.CategoricalHinge,
    binary_crossentropy: crossentropy.BinaryCrossentropy,
    binary_focal_crossentropy: crossentropy.BinaryFocalCrossentropy,
    categorical_crossentropy: crossentropy.CategoricalCrossentropy,
    categorical_focal_crossentropy: crossentropy.CategoricalFocalCrossentropy,
    sparse_categorical_crossentropy: crossentropy.SparseCategoricalCrossentropy,
    categorical_generalized_cross_entropy: overlap.CategoricalGeneralizedCrossEntropy,
    dice: overlap.Dice,
    tversky: overlap.Tversky,
}
