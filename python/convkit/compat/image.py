"""`keras.preprocessing`: image generators, and images from files."""

from __future__ import annotations

from typing import Any

from . import file_iterators, generator, iterators, transforms
from .file_iterators import DataFrameIterator, DirectoryIterator
from .generator import ImageDataGenerator
from .iterators import Iterator, NumpyArrayIterator

_OWN = ("array_to_img", "img_to_array", "save_img")
LAZY = (*_OWN, *transforms.__all__, "smart_resize")
__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "image_dataset_from_directory",
    "list_pictures",
    "load_img",
]
_ = (file_iterators, generator, iterators)


def __getattr__(name: str) -> Any:
    if name in transforms.__all__:
        return getattr(transforms, name)
    if name == "smart_resize":
        from ..preprocessing import image

        return image.smart_resize
    if name in _OWN:
        from .. import utils

        return getattr(utils, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_img(
    path: Any,
    grayscale: bool = False,
    color_mode: str = "rgb",
    target_size: Any = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """The image of a file, as Pillow's."""
    from ..utils import load_img as load

    if grayscale:
        color_mode = "grayscale"
    size = (target_size, target_size) if isinstance(target_size, int) else target_size
    return load(
        path,
        color_mode=color_mode,
        target_size=None if size is None else tuple(size[:2]),
        interpolation=interpolation,
        keep_aspect_ratio=keep_aspect_ratio,
    )


def image_dataset_from_directory(*arguments: Any, **options: Any) -> Any:
    """The images of a folder as a `tf.data.Dataset` of batches."""
    from ..utils import image_dataset_from_directory as make
    from .data import dressed

    made = make(*arguments, **options)
    return tuple(map(dressed, made)) if isinstance(made, tuple | list) else dressed(made)


def list_pictures(directory: Any, ext: Any = iterators.FORMATS) -> list[str]:
    """The paths of the images below a folder."""
    import os

    endings = (ext,) if isinstance(ext, str) else tuple(ext)
    return [
        os.path.join(root, each)
        for root, _, files in os.walk(directory)
        for each in sorted(files)
        if each.lower().endswith(endings)
    ]
