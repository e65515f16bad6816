"""Images transformed on their way into a batch, one step after the other."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver
from .dropout import words_of
from .gaussian_noise import normal_numbers


def affine_transform(
    images: ArrayLike,
    transform: ArrayLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float | Sequence[float] = 0.0,
    *,
    size: Sequence[int] | None = None,
    indices: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Return images (n, OH, OW, C): output (x, y) is input (a0 x + a1 y + a2, b0 x + b1 y + b2).

    `transform` is (n, 6), or (n, 8) with zeros at the end. Of bytes the result is float32.
    """
    chosen = _chosen(images, indices)
    matrices = np.asarray(transform)
    if matrices.ndim != 2 or matrices.shape[1] not in (6, 8) or len(matrices) != len(chosen):
        raise ValueError(f"transform must have shape (n, 6) or (n, 8), received {matrices.shape}")
    if not np.isfinite(matrices).all() or (matrices[:, 6:] != 0).any():
        raise ValueError("transform must be finite, and have no perspective")
    height, width = chosen.shape[1:3] if size is None else size
    if height < 1 or width < 1:
        raise ValueError(f"size must be two positive integers, received {size!r}")
    made = [
        _transformed(image, matrix, (height, width), interpolation, fill_mode, fill_value)
        for image, matrix in zip(chosen, matrices, strict=True)
    ]
    return deliver(np.stack(made).astype(chosen.dtype), out)


def _chosen(images: ArrayLike, indices: ArrayLike | None) -> Array:
    """The images, floating-point."""
    array = np.asarray(images)
    if array.ndim != 4 or array.size == 0:
        raise ValueError(f"images must have shape (N, H, W, C), received {array.shape}")
    if array.dtype.kind not in "biuf":
        raise TypeError(f"images must be numbers, received dtype {array.dtype}")
    if indices is not None:
        at = np.asarray(indices)
        if at.dtype.kind not in "iu" or at.ndim != 1:
            raise ValueError(f"indices must be integers (n,), received {at.dtype} {at.shape}")
        if ((at < 0) | (at >= len(array))).any():
            raise ValueError(f"indices must lie in 0 .. {len(array) - 1}")
        array = array[at]
    chosen: Array = array if array.dtype.kind == "f" else array.astype(np.float32)
    return chosen


def _folded(at: Array, size: int, fill_mode: str) -> Array:
    """The pixels that others stand for, -1 where that is the constant."""
    if fill_mode == "constant":
        return np.where((at < 0) | (at >= size), -1, at)
    if fill_mode == "nearest":
        return np.clip(at, 0, size - 1)
    if fill_mode == "wrap":
        return at % size
    if fill_mode == "reflect":
        folded: Array = np.minimum(at % (2 * size), 2 * size - 1 - at % (2 * size))
        return folded
    raise ValueError(f"fill_mode is unknown: {fill_mode!r}")


def _transformed(
    image: Array,
    matrix: Array,
    size: tuple[int, int],
    interpolation: str,
    fill_mode: str,
    fill_value: Any,
) -> Array:
    if interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"interpolation is unknown: {interpolation!r}")
    fill = np.asarray(fill_value, image.dtype)
    if fill.shape not in ((), image.shape[2:]):
        raise ValueError(f"fill_value must be a number, or one a channel, received {fill_value!r}")
    y, x = np.mgrid[: size[0], : size[1]]
    a0, a1, a2, b0, b1, b2 = (float(each) for each in matrix[:6])
    places = (b0 * x + b1 * y + b2, a0 * x + a1 * y + a2)
    bordered = np.concatenate([image, np.broadcast_to(fill, (1, *image.shape[1:]))])
    bordered = np.concatenate(
        [bordered, np.broadcast_to(fill, (bordered.shape[0], 1, image.shape[2]))], axis=1
    )  # so that the index -1 along an axis is the constant

    def at(rows: Array, columns: Array) -> Array:
        found: Array = bordered[
            _folded(rows, image.shape[0], fill_mode), _folded(columns, image.shape[1], fill_mode)
        ]
        return found

    if interpolation == "nearest":
        return at(*(np.rint(each).astype(np.int64) for each in places))
    first = [np.floor(each).astype(np.int64) for each in places]
    far_y, far_x = (
        (each - whole)[..., np.newaxis] for each, whole in zip(places, first, strict=True)
    )
    upper = (1 - far_x) * at(first[0], first[1]) + far_x * at(first[0], first[1] + 1)
    lower = (1 - far_x) * at(first[0] + 1, first[1]) + far_x * at(first[0] + 1, first[1] + 1)
    made: Array = (1 - far_y) * upper + far_y * lower
    return made


def resize(
    images: ArrayLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    *,
    out: Array | None = None,
) -> Array:
    """Return images (N, OH, OW, C) as sums of pixels times a filter, one axis after the other."""
    x = _chosen(images, None)
    if len(size) != 2 or min(size) < 1:
        raise ValueError(f"size must be two positive integers, received {size!r}")
    rows, columns = (
        _weights(before, after, interpolation, antialias)
        for before, after in zip(x.shape[1:3], size, strict=True)
    )
    made = np.einsum("yh,xw,nhwc->nyxc", rows, columns, x.astype(np.float64))
    return deliver(made.astype(x.dtype), out)


def _weights(size: int, out: int, interpolation: str, antialias: bool) -> Array:
    """What each of `size` inputs is counted with in each output, (out, size)."""
    weights = np.zeros((out, size))
    for i in range(out):
        center = (i + 0.5) * size / out
        if interpolation == "nearest":  # in float32, as PyTorch has it
            place = np.float32(i + 0.5) * np.float32(size / out)
            weights[i, min(int(place), size - 1)] = 1.0
            continue
        if interpolation not in ("bilinear", "bicubic"):
            raise ValueError(f"interpolation is unknown: {interpolation!r}")
        cubic = interpolation == "bicubic"
        width = max(size / out, 1.0) if antialias else 1.0
        reach = (2 if cubic else 1) * width
        if antialias:
            whole = range(max(int(center - reach + 0.5), 0), min(int(center + reach + 0.5), size))
            for j in whole:
                weights[i, j] = _filter((j + 0.5 - center) / width, cubic, -0.5)
            weights[i] /= weights[i].sum()
        else:
            at = center - 0.5 if cubic else max(center - 0.5, 0.0)
            for j in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
                weights[i, min(max(j, 0), size - 1)] += _filter(j - at, cubic, -0.75)
    return weights


def _filter(distance: float, cubic: bool, a: float) -> float:
    x = abs(distance)
    if not cubic:
        return max(1.0 - x, 0.0)
    if x < 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


def transform_images(
    images: ArrayLike,
    steps: Sequence[Any],
    *,
    indices: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Return images after steps, each a tuple whose class says by its name what is done."""
    x = _chosen(images, indices)
    for step in steps:
        x = _STEPS[type(step).__name__](x, step)
    return deliver(x, out)


def _affine(x: Array, step: Any) -> Array:
    size = (step.height, step.width)
    return affine_transform(
        x, step.matrices, step.interpolation, step.fill_mode, step.fill_value, size=size
    )


def _resample(x: Array, step: Any) -> Array:
    for axis, (indices, weights) in ((1, step.rows), (2, step.columns)):
        taken = np.moveaxis(x, axis, 0)[indices]
        x = np.moveaxis(np.einsum("ot...,ot->o...", taken, weights), 0, axis)
    return x


def _scale(x: Array, step: Any) -> Array:
    shape = x.shape[1:] if step.mean.size == x[0].size != x.shape[-1] else x.shape[-1:]
    mean, scale, offset = (each.reshape(shape) for each in step)
    made: Array = ((x - mean) * scale + offset).astype(x.dtype)
    return made


def _adjust(x: Array, step: Any) -> Array:
    mean = x.mean(axis=(1, 2), keepdims=True, dtype=np.float64) if step.around_mean else 0.0
    scale, offset = (each[:, np.newaxis, np.newaxis] for each in step[:2])
    made: Array = np.clip((x - mean) * scale + offset + mean, step.low, step.high).astype(x.dtype)
    return made


def _erase(x: Array, step: Any) -> Array:
    x = x.copy()
    blocks = -(-x.shape[2] * x.shape[3] // 4)  # of random words, of a row
    for i, (top, bottom, left, right) in enumerate(step.boxes):
        if step.fill_value is not None:
            x[i, top:bottom, left:right] = step.fill_value
            continue
        for row in range(top, bottom):
            first = 4 * blocks * (i * x.shape[1] + row)
            count = (right - left) * x.shape[3]
            noise = normal_numbers(count, step.seed, step.step, first) * step.deviation
            noise = np.clip(noise, step.low, step.high)
            x[i, row, left:right] = noise.reshape(right - left, x.shape[3])
    return x


def _gray(x: Array, step: Any) -> Array:
    weights = np.array([0.2989, 0.587, 0.114], x.dtype)
    chosen = np.asarray(step.chosen)[:, np.newaxis, np.newaxis, np.newaxis]
    return np.where(chosen, (x @ weights)[..., np.newaxis], x)


def _colors(x: Array, step: Any) -> Array:
    """By the sixths of a turn, each of which has its own order of the channels."""
    turns, saturations = (np.asarray(each)[:, np.newaxis, np.newaxis] for each in step[:2])
    share = (x - step.low) / (step.high - step.low)
    red, green, blue = np.moveaxis(
        np.where(np.abs(share) < np.finfo(np.float32).eps, 0, share), -1, 0
    )
    value = np.maximum(np.maximum(red, green), blue)
    chroma = value - np.minimum(np.minimum(red, green), blue)
    width = np.where(chroma > 0, chroma, 1.0)
    hue = np.select(
        [chroma == 0, value == red, value == green],
        [0.0, (green - blue) / width, 2 + (blue - red) / width],
        4 + (red - green) / width,
    )
    hue = (hue + 6 * turns) % 6
    saturation = np.where(value > 0, chroma / np.where(value > 0, value, 1.0), 0.0)
    saturation = np.clip(saturation * saturations, step.least, step.most)
    far = hue % 1
    low, falling, rising = (value * (1 - saturation * each) for each in (1.0, far, 1.0 - far))
    orders = [
        (value, rising, low),
        (falling, value, low),
        (low, value, rising),
        (low, falling, value),
        (rising, low, value),
        (value, low, falling),
    ]
    sector = np.floor(hue).astype(int) % 6
    made = np.stack([np.choose(sector, channel) for channel in zip(*orders, strict=True)], axis=-1)
    if step.clips:
        made = np.clip(made, 0.0, 1.0)
    changed: Array = (made * (step.high - step.low) + step.low).astype(x.dtype)
    return changed


_STEPS = {
    "Adjust": _adjust,
    "Affine": _affine,
    "Colors": _colors,
    "Erase": _erase,
    "Gray": _gray,
    "Resample": _resample,
    "Scale": _scale,
}


def uniform(
    count: int, *, seed: int, step: int = 0, offset: int = 0, out: Array | None = None
) -> Array:
    """Return `count` numbers in [0, 1), float32: the upper 24 bits of words of the generator."""
    if operator.index(count) < 1:
        raise ValueError(f"count must be at least 1, received {count!r}")
    words = words_of(count, seed, step + offset) >> np.uint64(8)
    return deliver((words.astype(np.float64) / 2**24).astype(np.float32), out)
