"""Optimizers, and `schedules` of their learning rates, with Keras's names and defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..core import custom
from ..core.config import serialize, unknown
from . import schedules
from .adam import Adam, Adamax, AdamW, Nadam
from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
from .muon import Muon
from .optimizer import Optimizer
from .rate import LearningRate
from .sgd import SGD, Lion

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Ftrl",
    "LearningRate",
    "Lion",
    "Muon",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_CLASSES: tuple[Callable[..., Optimizer], ...] = (
    *(Adadelta, Adagrad, Adam, Adamax, AdamW, Ftrl, Lion, Muon, Nadam, RMSprop, SGD),
)
_BY_NAME: dict[str, Any] = {each.__name__.lower(): each for each in _CLASSES}


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)


def get(identifier: str | Mapping[str, Any] | Optimizer) -> Optimizer:
    """The optimizer of that name, in capitals or not, or the object itself.

    Also takes what `serialize` returns. Raises ValueError for anything else, naming the known ones.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str) and identifier.lower() in _BY_NAME:
        made: Optimizer = _BY_NAME[identifier.lower()]()
        return made
    raise unknown("optimizer", identifier, _BY_NAME)


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` described, made anew.

    Args:
        config: its class_name and config.
        custom_objects: classes of your own by their names, besides those that are registered.

    Raises:
        ValueError: there is no such class.
    """
    with custom.custom_object_scope(custom_objects):
        name = str(config.get("class_name")) if isinstance(config, Mapping) else repr(config)
        kind = custom.find(name) or _BY_NAME.get(name.lower())
        if kind is None or not issubclass(kind, Optimizer):
            raise unknown("optimizer", name, _BY_NAME)
        made: Optimizer = kind.from_config(config.get("config", {}))
        return made
