"""Keras's older names for what reads images: the functions of `convkit.utils`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy
from ..data.folders import image_dataset_from_directory
from . import image

__all__ = ["image", "image_dataset_from_directory"]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)
