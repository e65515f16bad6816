"""`tf.image`: images with other colours, and changed at random."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..core.parameters import Array
from .pictures import flip_left_right, flip_up_down, random_crop
from .random import generator
from .tensor import as_tensor

__all__ = [
    "adjust_brightness",
    "adjust_contrast",
    "adjust_gamma",
    "adjust_hue",
    "adjust_saturation",
    "grayscale_to_rgb",
    "hsv_to_rgb",
    "per_image_standardization",
    "random_brightness",
    "random_contrast",
    "random_hue",
    "random_saturation",
    "rgb_to_grayscale",
    "rgb_to_hsv",
    "stateless_random_brightness",
    "stateless_random_contrast",
    "stateless_random_crop",
    "stateless_random_flip_left_right",
    "stateless_random_flip_up_down",
    "stateless_random_hue",
    "stateless_random_saturation",
]

_GREY = np.array([0.2989, 0.587, 0.114], np.float32)  # TensorFlow's, of ITU-R BT.601


def _in_floats(image: Any, change: Callable[[Array], Array]) -> Any:
    """A change of pixels in 0 .. 1, of whatever type they are."""
    pixels = np.asarray(image)
    if pixels.dtype.kind == "f":
        return as_tensor(change(pixels).astype(pixels.dtype, copy=False))
    changed = change(pixels.astype(np.float32) / np.iinfo(pixels.dtype).max)
    top = np.iinfo(pixels.dtype).max
    return as_tensor(np.clip(np.rint(changed * top), 0, top).astype(pixels.dtype))


def adjust_brightness(image: Any, delta: Any) -> Any:
    """A number added, of pixels in 0 .. 1."""
    return _in_floats(image, lambda pixels: pixels + np.float32(delta))


def adjust_contrast(images: Any, contrast_factor: Any) -> Any:
    """Each channel's distance from its mean, multiplied."""

    def change(pixels: Array) -> Array:
        mean = pixels.mean(axis=(-3, -2), keepdims=True)
        made: Array = (pixels - mean) * np.float32(contrast_factor) + mean
        return made

    return _in_floats(images, change)


def adjust_gamma(image: Any, gamma: float = 1, gain: float = 1) -> Any:
    """gain * pixel ** gamma, of pixels in 0 .. 1."""
    return _in_floats(image, lambda pixels: np.float32(gain) * pixels ** np.float32(gamma))


def rgb_to_grayscale(images: Any, name: Any = None) -> Any:
    """Grey images, with one channel."""
    return _in_floats(images, lambda pixels: (pixels[..., :3] @ _GREY)[..., np.newaxis])


def grayscale_to_rgb(images: Any, name: Any = None) -> Any:
    """Grey images with three equal channels."""
    return as_tensor(np.repeat(np.asarray(images), 3, -1))


def rgb_to_hsv(images: Any, name: Any = None) -> Any:
    """Hue, saturation and value, all in 0 .. 1, of pixels in 0 .. 1."""
    pixels = np.asarray(images)
    value = pixels.max(-1)
    span = value - pixels.min(-1)
    safe = np.where(span == 0, 1, span)
    red, green, blue = (pixels[..., i] for i in range(3))
    hue = np.where(
        value == red,
        (green - blue) / safe,
        np.where(value == green, 2 + (blue - red) / safe, 4 + (red - green) / safe),
    )
    hue = np.where(span == 0, 0, hue / 6 % 1)
    saturation = np.where(value == 0, 0, span / np.where(value == 0, 1, value))
    return as_tensor(np.stack([hue, saturation, value], -1).astype(pixels.dtype))


def hsv_to_rgb(images: Any, name: Any = None) -> Any:
    """Colours of hue, saturation and value, all in 0 .. 1."""
    pixels = np.asarray(images)
    hue, saturation, value = (pixels[..., i : i + 1] for i in range(3))
    base = np.abs((hue * 6 + np.array([0, 4, 2])) % 6 - 3) - 1
    made = value * (1 - saturation + saturation * np.clip(base, 0, 1))
    return as_tensor(made.astype(pixels.dtype))


def _in_hsv(image: Any, change: Callable[[Array], Array]) -> Any:
    def changed(pixels: Array) -> Array:
        return np.asarray(hsv_to_rgb(change(np.asarray(rgb_to_hsv(pixels)).copy())))

    return _in_floats(image, changed)


def adjust_saturation(image: Any, saturation_factor: Any, name: Any = None) -> Any:
    """The saturation multiplied."""

    def change(hsv: Array) -> Array:
        hsv[..., 1] = np.clip(hsv[..., 1] * saturation_factor, 0, 1)
        return hsv

    return _in_hsv(image, change)


def adjust_hue(image: Any, delta: Any, name: Any = None) -> Any:
    """The hue shifted, of 1 for all colours."""

    def change(hsv: Array) -> Array:
        hsv[..., 0] = (hsv[..., 0] + delta) % 1
        return hsv

    return _in_hsv(image, change)


def per_image_standardization(image: Any) -> Any:
    """Mean 0 and deviation 1; the deviation is taken as 1 / sqrt(elements) at least."""

    def change(pixels: Array) -> Array:
        floats = pixels.astype(np.float32)
        least = 1 / np.sqrt(np.float32(floats.size))
        made: Array = (floats - floats.mean()) / max(floats.std(), least)
        return made

    pixels = np.asarray(image)
    if pixels.ndim == 3:
        return as_tensor(change(pixels))
    return as_tensor(np.stack([change(each) for each in pixels]))


# At random.


def random_brightness(image: Any, max_delta: float, seed: Any = None) -> Any:
    """A number of at most that size added."""
    return adjust_brightness(image, generator(seed).uniform(-max_delta, max_delta))


def random_contrast(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """The contrast multiplied by a factor from a range."""
    return adjust_contrast(image, generator(seed).uniform(lower, upper))


def random_hue(image: Any, max_delta: float, seed: Any = None) -> Any:
    """The hue shifted by at most so much."""
    return adjust_hue(image, generator(seed).uniform(-max_delta, max_delta))


def random_saturation(image: Any, lower: float, upper: float, seed: Any = None) -> Any:
    """The saturation multiplied by a factor from a range."""
    return adjust_saturation(image, generator(seed).uniform(lower, upper))


def stateless_random_crop(value: Any, size: Any, seed: Any, name: Any = None) -> Any:
    """A part of that size, channels included, from where the seed says."""
    return random_crop(value, size, seed)


def stateless_random_flip_left_right(image: Any, seed: Any) -> Any:
    """Left and right exchanged, or not, as the seed says."""
    return flip_left_right(image) if generator(seed).random() < 0.5 else as_tensor(image)


def stateless_random_flip_up_down(image: Any, seed: Any) -> Any:
    """Top and bottom exchanged, or not, as the seed says."""
    return flip_up_down(image) if generator(seed).random() < 0.5 else as_tensor(image)


stateless_random_brightness, stateless_random_contrast = random_brightness, random_contrast
stateless_random_hue, stateless_random_saturation = random_hue, random_saturation
