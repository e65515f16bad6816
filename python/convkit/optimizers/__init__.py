"""Optimizers, and `schedules` of their learning rates, with Keras's names and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy
from ..core.config import serialize
from . import schedules
from .names import deserialize, get
from .optimizer import Optimizer
from .rate import LearningRate

if TYPE_CHECKING:
    from .adam import Adam, Adamax, AdamW, Nadam
    from .adaptive import Adadelta, Adagrad, Ftrl, RMSprop
    from .lookahead import Lookahead
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
    "Lookahead",
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
    "lookahead": ("Lookahead",),
    "muon": ("Muon",),
    "sgd": ("SGD", "Lion"),
}

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, _OWNERS)
