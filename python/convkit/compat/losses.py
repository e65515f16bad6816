"""Losses whose values are tensors, those that a script defines, and the names of Keras 1 and 2."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import numpy as np

from .. import losses
from ..core import lazy
from ..losses import crossentropy  # not its classes: those of these names are made here
from ..losses.functions import CLASSES
from ..losses.loss import FunctionLoss
from ..losses.targets import values_like_output
from ..ops._gate import as_weights
from .adapted import extended
from .recorded import derived, loss_of
from .tensor import as_result, as_tensor, is_recorded, standing

_CLASSES = lazy.classes(losses, losses.Loss)
_OWN = {function.__name__: function for function in CLASSES}
_FUNCTIONS = {
    **{name: name for name in _OWN},
    "KLD": "kl_divergence",
    "MAE": "mean_absolute_error",
    "MAPE": "mean_absolute_percentage_error",
    "MSE": "mean_squared_error",
    "MSLE": "mean_squared_logarithmic_error",
    "cosine": "cosine_similarity",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "logcosh": "log_cosh",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
__all__ = ["Loss", "Reduction"]
LAZY = (*_CLASSES, *_FUNCTIONS)


class Reduction:
    """What becomes of the losses of a batch's samples."""

    AUTO = SUM_OVER_BATCH_SIZE = "sum_over_batch_size"
    NONE, SUM = "none", "sum"


class _OfBatches(losses.Loss):
    """A loss whose one number for a batch is, as in Keras, that of each of its samples."""

    def _reduce(self, values: Any, count: int, sample_weight: Any) -> tuple[Any, Any]:
        if values.ndim or sample_weight is None:
            return super()._reduce(values, count, sample_weight)
        rows, shares = super()._reduce(np.broadcast_to(values, count), count, sample_weight)
        return rows, shares.sum()


class Loss(_OfBatches):
    """A loss of a script's own, which defines `call` of tensors; its gradient is derived."""

    left_out_of_files = True

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        """The derivatives of the sum of what `call` returns."""
        return derived(self.call, self.name, y_true, y_pred)[1]

    def _evaluate(self, y_true: Any, y_pred: Any) -> tuple[Any, Any]:
        return derived(self.call, self.name, y_true, y_pred, later=True)

    def _losses(self, targets: Any, predicted: Any, weights: Any) -> Any:
        return self._reduce(
            np.asarray(self._evaluate(targets, predicted)[0]), len(predicted), weights
        )[0]


class _Scripted(_OfBatches, FunctionLoss):
    """A loss that is a function of a script's."""

    left_out_of_files = True


class _Valued:
    """A loss whose value has `numpy`."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        y_pred = standing(y_pred)
        if is_recorded(y_pred):
            rows = loss_of(any_targets(self), y_true, y_pred)
            weights = as_weights(sample_weight, y_pred.shape[:-1])
            shares: Any = 1.0
            if weights is not None:
                shares = weights.reshape(weights.shape + (1,) * (rows.ndim - weights.ndim))
                rows = rows * shares
            reduction = self.reduction  # type: ignore[attr-defined]
            if reduction in (None, "none"):
                return rows
            if reduction == "mean_with_sample_weight":
                return rows.sum() / np.broadcast_to(shares, rows.shape).sum()
            return rows.sum() if reduction == "sum" else rows.mean()
        return as_result(super().__call__(y_true, y_pred, sample_weight))  # type: ignore[misc]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        made = _function(_OWN[_FUNCTIONS[name]])
        globals().update(
            {each: made for each, known in _FUNCTIONS.items() if known == made.__name__}
        )
        return made
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = extended(_CLASSES[name], _Valued)
    return made


def _function(own: Callable[..., Any]) -> Callable[..., Any]:
    """One of convkit's functions, which may also be a part of a script's loss."""
    signature = inspect.signature(own)

    @wraps(own)
    def compute(*arguments: Any, **options: Any) -> Any:
        given = dict(signature.bind(*map(standing, arguments), **options).arguments)
        if not is_recorded(given["y_pred"]):
            return as_tensor(own(*arguments, **options))
        y_true, y_pred = given.pop("y_true"), given.pop("y_pred")
        return loss_of(any_targets(CLASSES[own](**given)), y_true, y_pred)

    return compute


def any_targets(loss: Any) -> Any:
    """The same loss, which takes targets outside of 0 .. 1, too, as noisy labels of scripts are."""
    if isinstance(loss, crossentropy.BinaryCrossentropy | crossentropy.BinaryFocalCrossentropy):
        loss.prepare = partial(values_like_output, name=loss.name)  # type: ignore[method-assign]
    return loss


def for_training(loss: Any) -> Any:
    """What `compile` of convkit takes for the losses of a script: of its functions, with gradients.

    Raises:
        ValueError: there is no such loss; the message names those that there are.
    """
    if isinstance(loss, dict):
        return {name: for_training(each) for name, each in loss.items()}
    if isinstance(loss, list | tuple):
        return [for_training(each) for each in loss]
    if loss is None:
        return None
    known = getattr(loss, "__wrapped__", loss)
    if known in _OWN.values() or not callable(loss) or isinstance(loss, type | losses.Loss):
        return any_targets(losses.get(known))
    name = getattr(loss, "__name__", type(loss).__name__)
    return _Scripted(partial(derived, loss, name, later=True), name)
