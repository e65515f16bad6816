"""Images of another size, by the interpolations of Keras's data sets of images.

Without antialiasing, as Keras resizes: pixel centres lie at half coordinates, and what lies outside
the image does not count. Every interpolation is separable: an output row is a weighted sum of a few
input rows, its taps, and so is a column. The kernels of "bicubic" (Keys, "Cubic convolution
interpolation for digital image processing", 1981, a = -0.5), "lanczos3", "lanczos5", "gaussian" and
"mitchellcubic" (Mitchell and Netravali, "Reconstruction filters in computer graphics", 1988) are
those of TensorFlow and JAX; PyTorch's bicubic has a = -0.75.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..ops._image_steps import Resample
from ..ops.transform_images import resample_each
from .arguments import choice


def _keys(x: Array) -> Array:
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))


def _mitchell(x: Array) -> Array:
    near = ((7.0 / 6.0 * x - 2.0) * x) * x + 8.0 / 9.0
    far = ((-7.0 / 18.0 * x + 2.0) * x - 10.0 / 3.0) * x + 16.0 / 9.0
    return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))


def _lanczos(radius: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x < radius, np.sinc(x) * np.sinc(x / radius), 0.0)


def _gaussian(x: Array) -> Array:
    return np.where(x < 1.5, np.exp(-2.0 * x * x), 0.0)  # of sigma 0.5


# The kernels of distances, and how far they reach.
_KERNELS: dict[str, tuple[Callable[[Array], Array], float]] = {
    "bicubic": (_keys, 2.0),
    "gaussian": (_gaussian, 1.5),
    "lanczos3": (_lanczos(3.0), 3.0),
    "lanczos5": (_lanczos(5.0), 5.0),
    "mitchellcubic": (_mitchell, 2.0),
}
INTERPOLATIONS = ("bilinear", "nearest", "area", *_KERNELS)
_SMOOTHING = ("gaussian", "mitchellcubic")  # they change an image that has the size already


def check_interpolation(name: Any) -> str:
    """The name in lower case; ValueError if there is no such interpolation."""
    found: str = choice(
        name.lower() if isinstance(name, str) else name, INTERPOLATIONS, "interpolation"
    )
    return found


def resize(
    image: Array,
    size: tuple[int, int],
    interpolation: str = "bilinear",
    out: Array | None = None,
) -> Array:
    """An image of another size.

    Args:
        image: (H, W, C), of any real type.
        size: (height, width).
        interpolation: one of `INTERPOLATIONS`.
        out: float32 (height, width, C) to write into.

    Returns:
        float32 (height, width, C).
    """
    if out is None:
        out = np.empty((*size, image.shape[2]), np.float32)
    resize_each([image], size, interpolation, out[np.newaxis])
    return out


def resize_each(
    images: Sequence[Array], size: tuple[int, int], interpolation: str, out: Array
) -> None:
    """Write images of different sizes into float32 `out`, (n, height, width, C), as `resize`."""
    real = [each if each.dtype == np.uint8 else each.astype(np.float32) for each in images]
    resample_each(real, [_step(each.shape[:2], size, interpolation) for each in images], out)


@lru_cache(maxsize=4096)
def _step(before: tuple[int, int], after: tuple[int, int], interpolation: str) -> Resample | None:
    """What gives an image of a size another one; None where nothing changes."""
    if before == after and interpolation not in _SMOOTHING:
        return None
    rows, columns = (_taps(*sizes, interpolation) for sizes in zip(before, after, strict=True))
    return Resample(rows, columns)


@lru_cache(maxsize=4096)
def _taps(before: int, after: int, interpolation: str) -> tuple[Array, Array]:
    """Of each output place the input places and their weights, both (after, K)."""
    scale = before / after
    outputs = np.arange(after)
    centres = (outputs + 0.5) * scale
    if interpolation == "nearest":  # rounded as TensorFlow does, for some lie on an edge
        rounded = (outputs + 0.5).astype(np.float32) * np.float32(scale)
        places = np.minimum(np.floor(rounded), before - 1)[np.newaxis]
        weights = np.ones_like(places)
    elif interpolation == "bilinear":
        x = np.maximum(centres - 0.5, 0.0)
        low = np.minimum(np.floor(x), before - 1)
        places = np.stack([low, np.minimum(low + 1, before - 1)])
        weights = np.stack([1.0 - (x - low), x - low])
    elif interpolation == "area":
        places = np.floor(outputs * scale) + np.arange(math.ceil(scale) + 1)[:, np.newaxis]
        covered = np.minimum(places + 1, (outputs + 1) * scale) - np.maximum(
            places, outputs * scale
        )
        weights = np.maximum(covered, 0.0)
    else:
        kernel, radius = _KERNELS[interpolation]
        taps = np.arange(math.ceil(2 * radius) + 1)[:, np.newaxis]
        places = np.ceil(centres - 0.5 - radius) + taps
        weights = kernel(np.abs(places + 0.5 - centres))
    weights = np.where((places >= 0) & (places < before), weights, 0.0)
    weights = (weights / weights.sum(axis=0)).astype(np.float32)
    used = (weights != 0.0).any(axis=1)
    places = np.clip(places, 0, before - 1)[used]
    return np.ascontiguousarray(places.T, np.int32), np.ascontiguousarray(weights[used].T)


def crop_to(image: Array, size: tuple[int, int]) -> Array:
    """The largest part in the middle of an image that has the shape of that size."""
    height, width = image.shape[:2]
    rows = max(min(height, int(width * size[0] / size[1])), 1)
    columns = max(min(width, int(height * size[1] / size[0])), 1)
    top, left = int((height - rows) / 2), int((width - columns) / 2)
    return image[top : top + rows, left : left + columns]


def pad_to(image: Array, size: tuple[int, int]) -> Array:
    """An image in the middle of the smallest black one around it of that size's shape."""
    height, width = image.shape[:2]
    top = int((max(height, int(width * size[0] / size[1])) - height) / 2)
    left = int((max(width, int(height * size[1] / size[0])) - width) / 2)
    return np.pad(image, ((top, top), (left, left), (0, 0)))
