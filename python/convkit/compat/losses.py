"""Losses whose values are tensors, and the names of Keras 1 and 2."""

from __future__ import annotations

from typing import Any

from .. import losses
from ..core import lazy
from .adapted import extended
from .tensor import as_result

_CLASSES = lazy.classes(losses, losses.Loss)
_FUNCTIONS = {
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
LAZY = (*_CLASSES, *_FUNCTIONS)


class _Valued:
    """A loss whose value has `numpy`."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return as_result(super().__call__(*arguments, **options))  # type: ignore[misc]


def __getattr__(name: str) -> Any:
    if name in _FUNCTIONS:
        return getattr(losses, _FUNCTIONS[name])
    if name not in _CLASSES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    made = globals()[name] = extended(_CLASSES[name], _Valued)
    return made
