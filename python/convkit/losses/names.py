"""Which loss a name, a function or an object stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.config import same_name, unknown
from .functions import CLASSES
from .loss import FunctionLoss, Loss, check_trainable

_ALIASES = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "kullback_leibler_divergence": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_BY_NAME: dict[str, type[Loss]] = {each.__name__: kind for each, kind in CLASSES.items()}
_BY_NAME.update({alias: _BY_NAME[name] for alias, name in _ALIASES.items()})


def get(identifier: str | Loss | type[Loss] | Callable[..., Any]) -> Loss:
    """The loss that is meant.

    Args:
        identifier: a name, such as "mean_squared_error", "MeanSquaredError" or "mse"; a function of
            this module; a class or an object of one; or a function of one's own that returns
            (losses, gradient), see `Loss`.

    Raises:
        ValueError: there is no such loss; the message names those that there are.
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if name := same_name(identifier, _BY_NAME):
        return _BY_NAME[name]()
    if callable(identifier) and not isinstance(identifier, type):
        kind = CLASSES.get(identifier) if hasattr(identifier, "__hash__") else None
        return FunctionLoss(identifier) if kind is None else kind()
    raise unknown("loss", identifier, _BY_NAME)


def for_training(identifier: Any) -> Loss:
    """As `get`; TypeError or ValueError for a loss that training cannot make small."""
    return check_trainable(get(identifier))
