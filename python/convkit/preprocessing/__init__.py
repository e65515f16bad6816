"""Keras's older names for what reads images: the functions of `convkit.utils`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..data.folders import image_dataset_from_directory
from . import image

__all__ = ["image", "image_dataset_from_directory"]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)
