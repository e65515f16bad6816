"""Single images: from files to Pillow's pictures and arrays, and back."""

from __future__ import annotations

import io
import os
from typing import Any

import numpy as np

from ..core.config import flag
from ..core.files import open_regular
from ..core.parameters import Array
from ..core.warn import warn
from .arguments import choice, path_of, real_array, size_of, text_of
from .pictures import check_mode, in_mode, opened, pillow
from .resize import check_interpolation, crop_to, resize

_RESAMPLING = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def load_img(
    path: Any,
    color_mode: str = "rgb",
    target_size: tuple[int, int] | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """Read an image as a picture of Pillow, which `img_to_array` makes an array of.

    Args:
        path: of the file, or an `io.BytesIO`.
        color_mode: "rgb", "rgba" or "grayscale".
        target_size: (height, width); by default the image's own.
        interpolation: of Pillow, which smooths what it makes smaller: "nearest", "bilinear",
            "bicubic", "hamming", "box" or "lanczos".
        keep_aspect_ratio: whether the middle part of the target's shape is taken, instead of
            stretching the image.

    Raises:
        ValueError: a wrong argument; or the file is empty, damaged, no image, or has more pixels
            than Pillow's limit; the message names it.
        OSError: it cannot be opened.
        ImportError: Pillow is missing; the message says how to install it.
    """
    check_mode(color_mode)
    choice(interpolation, _RESAMPLING, "interpolation")
    size = None if target_size is None else size_of(target_size, "target_size")
    if isinstance(path, io.BytesIO):
        file, name = path, "the image"
    else:
        name = path_of(path, "path")
        with open_regular(name) as handle:
            file = io.BytesIO(handle.read())
    image = opened(file, name, formats=None)
    try:
        image = in_mode(image, color_mode)
        image.load()
    except Exception as error:  # whatever the decoders of damaged files raise
        raise ValueError(f"{name}: it is damaged or truncated: {error}") from error
    if size is None or image.size == size[::-1]:
        return image
    resample = pillow().Resampling[interpolation.upper()]
    height, width = size
    box = None
    if flag(keep_aspect_ratio, "keep_aspect_ratio", "load_img"):
        rows = min(image.height, image.width * height // width)
        columns = min(image.width, image.height * width // height)
        top, left = (image.height - rows) // 2, (image.width - columns) // 2
        box = (left, top, left + columns, top + rows)
    return image.resize((width, height), resample, box=box)


def img_to_array(img: Any, data_format: str | None = None, dtype: Any = None) -> Array:
    """The pixels of a picture of Pillow, (H, W, C).

    Args:
        img: the picture, or an array (H, W) or (H, W, C).
        data_format: "channels_last", or "channels_first" for (C, H, W).
        dtype: float32 by default.

    Raises:
        ValueError: it has another number of axes.
    """
    first = _is_channels_first(data_format)
    pixels = real_array(img, "img", np.float32 if dtype is None else dtype)
    if pixels.ndim == 2:
        pixels = pixels[..., np.newaxis]
    if pixels.ndim != 3:
        raise ValueError(f"an image must have 2 or 3 axes, received shape {pixels.shape}")
    return pixels.transpose(2, 0, 1) if first else pixels


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: Any = None
) -> Any:
    """Make a picture of Pillow of an array.

    Args:
        x: (H, W, C) with 1, 3 or 4 channels.
        data_format: "channels_last", or "channels_first" for (C, H, W).
        scale: whether the least value becomes 0 and the greatest 255; otherwise they are pixels.
        dtype: to compute in, float32 by default.

    Raises:
        ValueError: the array is no image.
        ImportError: Pillow is missing; the message says how to install it.
    """
    library = pillow()
    pixels = real_array(x, "x", np.float32 if dtype is None else dtype)
    if pixels.ndim != 3 or not pixels.size:
        raise ValueError(f"array_to_img takes one image, (H, W, C), received shape {pixels.shape}")
    if _is_channels_first(data_format):
        pixels = pixels.transpose(1, 2, 0)
    if flag(scale, "scale", "array_to_img"):
        pixels = pixels - pixels.min()
        greatest = pixels.max()
        pixels = (pixels / greatest if greatest else pixels) * 255
    channels = pixels.shape[2]
    if channels not in (1, 3, 4):
        raise ValueError(f"an image has 1, 3 or 4 channels, received {channels}")
    if channels == 1:
        pixels = pixels[..., 0]
        if pixels.max() > 255:
            return library.fromarray(pixels.astype(np.int32))
    return library.fromarray(pixels.astype(np.uint8))


def save_img(
    path: Any,
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image file.

    Args:
        path: of the file, or an open one, which needs `file_format`.
        x, data_format, scale: as of `array_to_img`.
        file_format: by default what the name of the file ends with.
        kwargs: for Pillow's `save`, such as `quality=95`.
    """
    if not hasattr(path, "write"):
        path = path_of(path, "path")
        file_format = os.path.splitext(path)[1][1:] if file_format is None else file_format
    file_format = text_of(file_format, "file_format").lower()
    file_format = {"jpg": "jpeg"}.get(file_format, file_format)
    library = pillow()
    library.init()
    if file_format.upper() not in library.SAVE:
        raise ValueError(f"Pillow writes no files of the format {file_format!r}")
    image = array_to_img(x, data_format, scale)
    if image.mode == "RGBA" and file_format == "jpeg":
        warn("JPEG has no transparency: the image is written without it")
        image = image.convert("RGB")
    image.save(path, format=file_format, **kwargs)


def smart_resize(
    x: Any,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    data_format: str = "channels_last",
) -> Array:
    """The middle part of images that has the shape of a size, resized to it.

    Args:
        x: (H, W, C) or (N, H, W, C).
        size: (height, width).
        interpolation: as of `image_dataset_from_directory`.
        data_format: "channels_last" alone.

    Returns:
        float32.
    """
    if _is_channels_first(data_format):
        raise ValueError('data_format must be "channels_last"; move the axis by numpy.moveaxis')
    images, method = real_array(x, "x"), check_interpolation(interpolation)
    size = size_of(size, "size")
    if images.ndim not in (3, 4):
        raise ValueError(
            f"smart_resize takes (H, W, C) or (N, H, W, C), received shape {images.shape}"
        )
    several = images if images.ndim == 4 else images[np.newaxis]
    resized = np.stack([resize(crop_to(image, size), size, method) for image in several])
    return resized if images.ndim == 4 else resized[0]


def _is_channels_first(data_format: str | None) -> bool:
    choice(data_format, (None, "channels_last", "channels_first"), "data_format")
    return data_format == "channels_first"
