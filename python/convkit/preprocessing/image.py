"""Images from files to arrays, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy
from ..data.images import array_to_img, img_to_array, load_img, save_img, smart_resize

__all__ = ["array_to_img", "img_to_array", "load_img", "save_img", "smart_resize"]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)
