"""What can be done to every image on its way into a batch, and which of it becomes one step."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from convkit.ops._gate import Floats

FILL_MODES = ("constant", "nearest", "reflect", "wrap")
INTERPOLATIONS = ("nearest", "bilinear")
_LARGEST = 3.4028234663852886e38  # of float32


class Affine(NamedTuple):
    """An affine transform of each image.

    Attributes:
        matrices: (n, 6), rows (a0, a1, a2, b0, b1, b2): output (x, y) is the input at
            (a0 x + a1 y + a2, b0 x + b1 y + b2), x along the width.
        height, width: of the outputs.
        interpolation: "nearest" or "bilinear".
        fill_mode: what is around an image: "constant", "nearest", "reflect" or "wrap".
        fill_value: the constant, one number or one a channel.
        is_within: whether all outputs lie at pixels of the image, so that nothing is filled.
        is_flip: whether all pixels stay, in another order.
    """

    matrices: npt.NDArray[np.floating[Any]]
    height: int
    width: int
    interpolation: str = "bilinear"
    fill_mode: str = "reflect"
    fill_value: float | npt.NDArray[np.floating[Any]] = 0.0
    is_within: bool = False
    is_flip: bool = False


class Resample(NamedTuple):
    """Images of another size, all alike.

    Attributes:
        rows, columns: of each axis the indices (out, taps), int32, and their weights, float32.
    """

    rows: tuple[npt.NDArray[np.int32], Floats]
    columns: tuple[npt.NDArray[np.int32], Floats]


class Scale(NamedTuple):
    """(x - mean) * scale + offset: each float32 of shape (C,), or (H * W * C,)."""

    mean: Floats
    scale: Floats
    offset: Floats


class Adjust(NamedTuple):
    """(x - mean) * scale + offset + mean, within bounds, with numbers of each image.

    Attributes:
        scale, offset: float32, (n, C).
        low, high: the bounds.
        around_mean: whether the mean is that of the image's channel, or else 0.
    """

    scale: Floats
    offset: Floats
    low: float = -_LARGEST
    high: float = _LARGEST
    around_mean: bool = False


class Erase(NamedTuple):
    """Boxes of images become a constant, or noise.

    Attributes:
        boxes: int64, (n, 4), top, bottom, left, right of each; an empty one erases nothing.
        fill_value: one float32 number a channel, or None for normally distributed numbers.
        deviation: of those, whose bounds are `low` and `high`.
        seed, step: what they are a pure function of, with the image's place in the batch.
    """

    boxes: npt.NDArray[np.int64]
    fill_value: Floats | None = None
    deviation: float = 1.0
    seed: int = 0
    step: int = 0
    low: float = -_LARGEST
    high: float = _LARGEST


class Gray(NamedTuple):
    """Some images lose their colours: each channel becomes 0.2989 red + 0.587 green + 0.114 blue.

    Attributes:
        chosen: bool, (n,), which.
    """

    chosen: npt.NDArray[np.bool_]


class Colors(NamedTuple):
    """Hues are turned, and saturations multiplied, of images of red, green and blue.

    A. R. Smith's hexcone, hue, saturation and value ("Color gamut transform pairs", 1978), of each
    pixel at (x - low) / (high - low).

    Attributes:
        turns: float32, (n,), what is added to an image's hues, in whole turns.
        saturations: float32, (n,), factors.
        least, most: the bounds of saturations.
        low, high: the range of values.
        clips: whether values stay within the range.
    """

    turns: Floats
    saturations: Floats
    least: float = -_LARGEST
    most: float = _LARGEST
    low: float = 0.0
    high: float = 1.0
    clips: bool = False


ImageStep: TypeAlias = Affine | Resample | Scale | Adjust | Erase | Gray | Colors


def product(second: npt.NDArray[Any], first: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The matrices (n, 6) of a transform `first` with a transform `second` behind it."""
    ours = np.asarray(second, np.float64).reshape(-1, 2, 3)
    theirs = np.asarray(first, np.float64).reshape(-1, 2, 3)
    made = theirs[:, :, :2] @ ours
    made[:, :, 2] += theirs[:, :, 2]
    return made.reshape(-1, 6)


def fused(steps: list[ImageStep], channels: int) -> list[ImageStep]:
    """The same steps with neighbouring affine transforms as one, so that pixels are blended once.

    Factors go behind the transforms, for a blend of scaled numbers is the scaled blend.
    """
    found: list[ImageStep] = []
    for step in steps:
        at = len(found)
        if isinstance(step, Affine | Resample):
            while (
                at and isinstance(found[at - 1], Scale) and _passes(step, found[at - 1], channels)
            ):
                at -= 1
        if isinstance(step, Affine):
            for scale in found[at:][::-1]:
                step = _before(step, scale, channels)
            before = found[at - 1] if at else None
            both = _joined(step, before) if isinstance(before, Affine) else None
            if both is not None:
                found[at - 1] = both
                continue
        found.insert(at, step)
    return found


def _passes(step: Affine | Resample, scale: Any, channels: int) -> bool:
    """Whether a step can come before factors that it follows."""
    if scale.mean.size != channels:
        return False
    has_constant = isinstance(step, Affine) and step.fill_mode == "constant" and not step.is_within
    return not has_constant or bool((scale.scale != 0.0).all())


def _before(step: Affine, scale: Any, channels: int) -> Affine:
    """The step with the constant that factors behind it make its own."""
    if step.fill_mode != "constant" or step.is_within:
        return step
    fill = np.broadcast_to(np.asarray(step.fill_value, np.float64), (channels,))
    return step._replace(fill_value=(fill - scale.offset) / scale.scale + scale.mean)


def _joined(second: Affine, first: Affine) -> Affine | None:
    """One transform for two, or None where they are not one."""
    matrices = product(second.matrices, first.matrices)
    if second.is_within:
        return first._replace(
            matrices=matrices,
            height=second.height,
            width=second.width,
            is_flip=first.is_flip and second.is_flip,
        )
    if first.is_flip:
        return second._replace(matrices=matrices)
    alike = (
        not first.is_within
        and (first.interpolation, first.fill_mode) == (second.interpolation, second.fill_mode)
        and (first.fill_mode != "constant" or np.array_equal(first.fill_value, second.fill_value))
    )
    return second._replace(matrices=matrices) if alike else None


@lru_cache(maxsize=64)
def taps(
    size: int, out: int, interpolation: str, antialias: bool
) -> tuple[npt.NDArray[np.int32], Floats]:
    """Which inputs an output of a resampled axis is the sum of, and their weights.

    Pixels are areas: output i covers i * size / out to (i + 1) * size / out. With `antialias`, a
    filter of a smaller image is as wide as the pixels that become one. The cubic filter is Keys's
    (1981), with a = -0.75, and -0.5 with `antialias`, as PyTorch's.
    """
    scale = size / out
    if interpolation == "nearest":  # rounded as PyTorch does, for some outputs lie on an edge
        place = (np.arange(out, dtype=np.float32) + np.float32(0.5)) * np.float32(scale)
        nearest = np.minimum(place.astype(np.int32), np.int32(size - 1))[:, np.newaxis]
        return nearest, np.ones(nearest.shape, np.float32)
    center = (np.arange(out) + 0.5) * scale
    reach = 1 if interpolation == "bilinear" else 2
    width = max(scale, 1.0) if antialias else 1.0
    if antialias:
        first = np.maximum((center - reach * width + 0.5).astype(np.int64), 0)
        last = np.minimum((center + reach * width + 0.5).astype(np.int64), size)
        at = first[:, np.newaxis] + np.arange(int((last - first).max()))
        distance = (at - center[:, np.newaxis] + 0.5) / width
        weights = np.where(at < last[:, np.newaxis], _filter(distance, reach, -0.5), 0.0)
        weights /= weights.sum(axis=1, keepdims=True)
    else:
        place = center - 0.5
        if reach == 1:
            place = np.maximum(place, 0.0)
        at = np.floor(place).astype(np.int64)[:, np.newaxis] + np.arange(1 - reach, 1 + reach)
        weights = _filter(at - place[:, np.newaxis], reach, -0.75)
    return np.clip(at, 0, size - 1).astype(np.int32), weights.astype(np.float32)


def _filter(distance: npt.NDArray[Any], reach: int, a: float) -> npt.NDArray[Any]:
    """The linear filter, or the cubic one."""
    x = np.abs(distance)
    if reach == 1:
        linear: npt.NDArray[Any] = np.maximum(1.0 - x, 0.0)
        return linear
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    far = (((x - 5.0) * x + 8.0) * x - 4.0) * a
    made: npt.NDArray[Any] = np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))
    return made
