"""Optimizers, and `schedules` of their learning rates, with Keras's names and defaults."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..core import custom, lazy
from ..core.config import serialize, unknown
from . import schedules
from .optimizer import Optimizer
from .rate import LearningRate

if TYPE_CHECKING:
    from .adam import Adam, Adamax, AdamW, Nadam
    from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
    from .muon import Muon
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

_OWNERS = {
    "adam": ("Adam", "AdamW", "Adamax", "Nadam"),
    "adaptive": ("Adadelta", "Adagrad", "Ftrl", "RMSprop"),
    "muon": ("Muon",),
    "sgd": ("SGD", "Lion"),
}
_BY_NAME = {name.lower(): name for names in _OWNERS.values() for name in names}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)


def get(identifier: str | Mapping[str, Any] | Optimizer) -> Optimizer:
    """The optimizer of that name, in capitals or not, or the object itself.

    Also takes what `serialize` returns. Raises ValueError for anything else, naming the known ones.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str) and (kind := _named(identifier)) is not None:
        made: Optimizer = kind()
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
        kind = custom.find(name) or _named(name)
        if kind is None or not issubclass(kind, Optimizer):
            raise unknown("optimizer", name, _BY_NAME)
        made: Optimizer = kind.from_config(config.get("config", {}))
        return made


def _named(name: str) -> Any:
    """The class of that name, in capitals or not, or None."""
    found = _BY_NAME.get(name.lower())
    return None if found is None else getattr(sys.modules[__name__], found)
