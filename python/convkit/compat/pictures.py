"""`tf.image`: images from bytes, resized and turned over."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.parameters import Array
from .random import generator
from .tensor import Tensor, as_tensor, dtype_of

__all__ = [
    "ResizeMethod",
    "central_crop",
    "convert_image_dtype",
    "crop_to_bounding_box",
    "decode_and_crop_jpeg",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "flip_left_right",
    "flip_up_down",
    "pad_to_bounding_box",
    "random_crop",
    "random_flip_left_right",
    "random_flip_up_down",
    "resize",
    "resize_image_with_crop_or_pad",
    "resize_images",
    "resize_with_crop_or_pad",
    "resize_with_pad",
    "rot90",
    "transpose",
]


class ResizeMethod:
    """The names of interpolations."""

    AREA, BICUBIC, BILINEAR, GAUSSIAN = "area", "bicubic", "bilinear", "gaussian"
    LANCZOS3, LANCZOS5, MITCHELLCUBIC = "lanczos3", "lanczos5", "mitchellcubic"
    NEAREST_NEIGHBOR = "nearest"


_OF_TF1 = {0: "bilinear", 1: "nearest", 2: "bicubic", 3: "area"}


# From and to bytes.


def decode_image(
    contents: Any,
    channels: Any = 0,
    dtype: Any = np.uint8,
    name: Any = None,
    expand_animations: Any = True,
    **options: Any,
) -> Any:
    """The pixels of an image file, (height, width, channels).

    Args:
        contents: the file's bytes.
        channels: 1 grey, 3 colours, 4 with transparency; 0 as they are in the file.
    """
    from ..data.pictures import in_mode, opened

    data = contents.numpy() if isinstance(contents, Tensor) else contents
    image = opened(io.BytesIO(data), "the image", formats=None)
    modes = {1: "grayscale", 3: "rgb", 4: "rgba"}
    kept = {"L": 1, "RGB": 3, "RGBA": 4}
    wanted = int(channels or 0) or kept.get(image.mode, 3)
    pixels = np.asarray(in_mode(image, modes[wanted]), np.uint8)
    pixels = pixels[..., np.newaxis] if pixels.ndim == 2 else pixels
    return convert_image_dtype(pixels, dtype)


decode_bmp = decode_gif = decode_jpeg = decode_png = decode_image


def decode_and_crop_jpeg(contents: Any, crop_window: Any, channels: Any = 0) -> Any:
    """A part of an image file: [top, left, height, width]."""
    return crop_to_bounding_box(decode_image(contents, channels), *np.ravel(crop_window).tolist())


def _encoded(image: Any, kind: str, **options: Any) -> Any:
    from ..utils import array_to_img

    file = io.BytesIO()
    array_to_img(np.asarray(image), scale=False).save(file, kind, **options)
    return as_tensor(file.getvalue())


def encode_jpeg(image: Any, format: str = "", quality: int = 95, **options: Any) -> Any:
    """The bytes of a JPEG file."""
    return _encoded(image, "jpeg", quality=quality)


def encode_png(image: Any, compression: int = -1, name: Any = None) -> Any:
    """The bytes of a PNG file."""
    return _encoded(image, "png")


def convert_image_dtype(image: Any, dtype: Any, saturate: bool = False, name: Any = None) -> Any:
    """Pixels of another type: integers span their whole range, floats 0 .. 1."""
    pixels, kind = np.asarray(image), dtype_of(dtype)
    if pixels.dtype == kind:
        return as_tensor(pixels)
    if pixels.dtype.kind in "iu" and kind.kind == "f":
        return as_tensor((pixels / np.iinfo(pixels.dtype).max).astype(kind))
    if pixels.dtype.kind == "f" and kind.kind in "iu":
        top = np.iinfo(kind).max
        return as_tensor(np.clip(pixels * (top + 0.5), 0, top).astype(kind))
    return as_tensor(pixels.astype(kind))


# Sizes.


def _each(images: Any, function: Callable[[Array], Array]) -> Any:
    """A function of one image, applied to one or to several."""
    pixels = np.asarray(images)
    if pixels.ndim == 3:
        return as_tensor(function(pixels))
    return as_tensor(np.stack([function(each) for each in pixels]))


def resize(
    images: Any,
    size: Any,
    method: Any = "bilinear",
    preserve_aspect_ratio: bool = False,
    antialias: bool = False,
    name: Any = None,
) -> Any:
    """Images of another size, (height, width); float32, but of the same type by "nearest"."""
    from ..data.resize import check_interpolation
    from ..data.resize import resize as scaled

    method = check_interpolation(_OF_TF1.get(method, method))
    height, width = (int(each) for each in np.ravel(size))
    if preserve_aspect_ratio:
        rows, columns = np.shape(images)[-3:-1]
        factor = min(height / rows, width / columns)
        height, width = round(rows * factor), round(columns * factor)
    kept = np.asarray(images).dtype if method == "nearest" else np.dtype(np.float32)
    return _each(images, lambda image: scaled(image, (height, width), method).astype(kept))


def resize_images(images: Any, size: Any, method: Any = 0, *ignored: Any, **options: Any) -> Any:
    """As `resize`."""
    return resize(images, size, method)


def resize_with_crop_or_pad(image: Any, target_height: int, target_width: int) -> Any:
    """The middle part of that size, with zeros around it where the image is smaller."""

    def fit(pixels: Array) -> Array:
        for axis, target in ((0, int(target_height)), (1, int(target_width))):
            more = target - pixels.shape[axis]
            if more < 0:
                start = -more // 2
                pixels = np.take(pixels, range(start, start + target), axis)
            else:
                around = [(0, 0)] * 3
                around[axis] = (more // 2, more - more // 2)
                pixels = np.pad(pixels, around)
        return pixels

    return _each(image, fit)


resize_image_with_crop_or_pad = resize_with_crop_or_pad


def resize_with_pad(
    image: Any,
    target_height: int,
    target_width: int,
    method: Any = "bilinear",
    antialias: bool = False,
) -> Any:
    """The whole image within that size, with zeros around it."""
    inner = resize(image, (target_height, target_width), method, preserve_aspect_ratio=True)
    return resize_with_crop_or_pad(inner, target_height, target_width)


def central_crop(image: Any, central_fraction: float) -> Any:
    """The middle part, a share of height and width."""

    def crop(pixels: Array) -> Array:
        top, left = (int((each - each * central_fraction) / 2) for each in pixels.shape[:2])
        return pixels[top : pixels.shape[0] - top, left : pixels.shape[1] - left]

    return _each(image, crop)


def crop_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """The part of that size from a place on."""
    rows = slice(int(offset_height), int(offset_height) + int(target_height))
    columns = slice(int(offset_width), int(offset_width) + int(target_width))
    return _each(image, lambda pixels: pixels[rows, columns])


def pad_to_bounding_box(
    image: Any, offset_height: int, offset_width: int, target_height: int, target_width: int
) -> Any:
    """The image at a place in zeros of that size."""

    def pad(pixels: Array) -> Array:
        made = np.zeros((int(target_height), int(target_width), pixels.shape[2]), pixels.dtype)
        top, left = int(offset_height), int(offset_width)
        made[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
        return made

    return _each(image, pad)


def random_crop(value: Any, size: Any, seed: Any = None, name: Any = None) -> Any:
    """A part of that size, channels included, from anywhere."""
    pixels, sizes = np.asarray(value), [int(each) for each in np.ravel(size)]
    places = [
        generator(seed).integers(0, have - want + 1)
        for have, want in zip(pixels.shape, sizes, strict=True)
    ]
    part = tuple(slice(at, at + want) for at, want in zip(places, sizes, strict=True))
    return as_tensor(pixels[part])


# Turning.


def flip_left_right(image: Any) -> Any:
    """Left and right exchanged."""
    return as_tensor(np.flip(np.asarray(image), -2))


def flip_up_down(image: Any) -> Any:
    """Top and bottom exchanged."""
    return as_tensor(np.flip(np.asarray(image), -3))


def rot90(image: Any, k: int = 1, name: Any = None) -> Any:
    """Turned to the left by so many right angles."""
    pixels = np.asarray(image)
    return as_tensor(np.rot90(pixels, int(k), (pixels.ndim - 3, pixels.ndim - 2)))


def transpose(image: Any, name: Any = None) -> Any:
    """Rows and columns exchanged."""
    return as_tensor(np.swapaxes(np.asarray(image), -3, -2))


def random_flip_left_right(image: Any, seed: Any = None) -> Any:
    """Left and right exchanged, or not."""
    return flip_left_right(image) if generator(seed).random() < 0.5 else as_tensor(image)


def random_flip_up_down(image: Any, seed: Any = None) -> Any:
    """Top and bottom exchanged, or not."""
    return flip_up_down(image) if generator(seed).random() < 0.5 else as_tensor(image)
