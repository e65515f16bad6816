"""Optimizers, and `schedules` of their learning rates, with Keras's names and defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import schedules
from .optimizer import SGD, Adam, AdamW, Optimizer, RMSprop, get

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "get", "schedules"]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)
