"""Keras's older names for what reads images: the functions of `convkit.utils`."""

from __future__ import annotations

from ..data.folders import image_dataset_from_directory
from . import image

__all__ = ["image", "image_dataset_from_directory"]


def __dir__() -> list[str]:
    return __all__
