"""Optimizers, and `schedules` of their learning rates, with Keras's names and defaults."""

from __future__ import annotations

from . import schedules
from .optimizer import SGD, Adam, AdamW, Optimizer, RMSprop, get

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]


def __dir__() -> list[str]:
    return __all__
