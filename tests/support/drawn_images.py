"""Problems drawn at random of images that are transformed on their way into a batch.

Pixels are whole numbers, matrices and factors multiples of a quarter: coordinates, the weights of
pixels and what they sum to are exact in float32, whatever is around an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from compare import EPS, Array, float64
from convkit import ops, reference
from convkit.ops._image_steps import (
    FILL_MODES,
    INTERPOLATIONS,
    Adjust,
    Affine,
    Colors,
    Erase,
    Gray,
    Scale,
)
from drawn import LARGEST, Draw, Outputs, Problem, exactly, near

Shape = tuple[int, int, int, int]


def _images(draw: Draw, shape: Shape) -> Array:
    return (
        draw.indices(*shape, below=256, dtype=np.uint8) if draw.often(0.3) else draw.whole(*shape)
    )


def _size(draw: Draw, plane: tuple[int, int]) -> tuple[int, int]:
    """That of the outputs, which is often that of the images."""
    return plane if draw.often(0.5) else (draw.number(1, 14), draw.number(1, 14))


def _matrices(draw: Draw, count: int) -> Array:
    """Exact ones: moved images, or turned and zoomed ones."""
    moves = draw.often(0.4)
    linear = draw.among((1, -1), count, 2) if moves else draw.whole(count, 4, low=-9, high=9) / 4
    shifts = draw.whole(count, 2, low=-30, high=30) / (1 if moves else 4)
    found = np.zeros((count, 6), np.float32)
    found[:, [0, 4] if moves else [0, 1, 3, 4]] = linear
    found[:, [2, 5]] = shifts
    return found


def affine_transforms(draw: Draw) -> Problem:
    """Images behind an affine transform of each."""
    shape = draw.shape()
    x, count = _images(draw, shape), draw.number(1, 4)
    at = draw.indices(count, below=shape[0]) if draw.often(0.5) else None
    count = shape[0] if at is None else count
    size, interpolation = _size(draw, shape[1:3]), draw.one_of(INTERPOLATIONS)
    exact = interpolation == "nearest" or draw.often(0.7)
    matrices = _matrices(draw, count)
    if not exact:
        matrices = matrices + draw.normal(count, 6) / 3
    fill: Any = draw.whole(shape[3]) if draw.often(0.5) else float(draw.number(-LARGEST, LARGEST))
    mode = draw.one_of(FILL_MODES)
    options: dict[str, Any] = {"size": size, "indices": at}
    given = (interpolation, mode, fill)
    wanted = reference.affine_transform(float64(x), matrices, *given, **options)

    def run(out: Outputs) -> Sequence[Array]:
        y = out((count, *size, shape[3]))
        return (ops.affine_transform(x, matrices, *given, **options, out=y),)

    def check(actual: Sequence[Array]) -> None:
        # Coordinates are rounded by some units of the largest, and a pixel differs from the next by
        # no more than all pixels from each other, along both axes.
        furthest = float((np.abs(matrices) @ np.tile([size[1], size[0], 1], 2)).max())
        spread = float(max(x.max(), np.max(fill)) - min(x.min(), np.min(fill)))
        near(actual[0], wanted, 4 * EPS * furthest * max(spread, 1.0))

    text = f"affine {x.dtype} {shape} to {count} of {size}, {interpolation}, {mode}, exact {exact}"
    return Problem(text, run, exactly(wanted) if exact else check)


def resizes(draw: Draw) -> Problem:
    """Images of another size; and numbers in 0 .. 1."""
    shape = draw.shape()
    x, size = draw.whole(*shape), (draw.number(1, 30), draw.number(1, 14))
    kind, antialias = draw.one_of(("nearest", "bilinear", "bicubic")), draw.often(0.5)
    numbers = {
        "seed": draw.number(0, 2**64 - 1),
        "step": draw.number(0, 2**40),
        "offset": draw.number(0, 2**40),
    }
    wanted = reference.resize(float64(x), size, kind, antialias)
    count = draw.number(1, 5000 if draw.often(0.1) else 70)
    uniform = reference.uniform(count, **numbers)

    def run(out: Outputs) -> Sequence[Array]:
        y = out((shape[0], *size, shape[3]))
        return (
            ops.resize(x, size, kind, antialias, out=y),
            ops.uniform(count, out=out((count,)), **numbers),
        )

    def check(actual: Sequence[Array]) -> None:
        near(actual[0], wanted, 0 if kind == "nearest" else 32 * EPS * LARGEST, "resized")
        exactly(uniform)(actual[1:])

    return Problem(f"{shape} resized to {size}, {kind}, {antialias}; {count} numbers", run, check)


def _scale(draw: Draw, shape: Shape) -> Scale:
    """Factors of channels, or of every position."""
    size = shape[3] if draw.often(0.7) else shape[1] * shape[2] * shape[3]
    return Scale(draw.whole(size), draw.among((0.5, 1, 2, -1), size), draw.whole(size))


def _adjust(draw: Draw, shape: Shape) -> Adjust:
    scale, offset = draw.among((0.5, 1, 2, -1), shape[0], shape[3]), draw.whole(shape[0], shape[3])
    if draw.often(0.5):
        return Adjust(scale, offset)
    return Adjust(scale, offset, float(draw.number(-9, 0)), float(draw.number(0, 9)))


def _boxes(draw: Draw, shape: Shape) -> Array:
    ends = [np.sort(draw.indices(shape[0], 2, below=size + 1), axis=1) for size in shape[1:3]]
    return np.concatenate(ends, axis=1)


def _erase(draw: Draw, shape: Shape) -> Erase:
    return Erase(_boxes(draw, shape), draw.whole(shape[3]))


def _colors(draw: Draw, shape: Shape) -> Gray | Colors:
    """Of images of three channels; by whole sixths of a turn, of which some are none."""
    if draw.often(0.3):
        return Gray(draw.indices(shape[0], below=2) > 0)
    turns = draw.whole(shape[0], low=-9, high=9) / np.float32(6)
    bounds = (0.0, float(draw.number(1, 3)))
    low = float(draw.number(-9, 0))
    span = {"low": low, "high": low + 2.0 ** draw.number(0, 8), "clips": draw.often(0.5)}
    return Colors(turns.astype(np.float32), draw.among((0, 0.5, 1, 2), shape[0]), *bounds, **span)


def _move(draw: Draw, shape: Shape) -> Affine:
    size, fill = _size(draw, shape[1:3]), float(draw.number(-LARGEST, LARGEST))
    kind, mode = draw.one_of(INTERPOLATIONS), draw.one_of(FILL_MODES)
    return Affine(_matrices(draw, shape[0]), *size, kind, mode, fill)


def image_steps(draw: Draw) -> Problem:
    """Images through some steps, of which the last may be noise, or about the means of images."""
    return _through_steps(draw, draw.shape(), draw.one_of(("exact", "noise", "mean")))


def colors(draw: Draw) -> Problem:
    """Images of red, green and blue through some steps, of which the last mixes their channels."""
    return _through_steps(draw, (*draw.shape()[:3], 3), "colors")


def _through_steps(draw: Draw, shape: Shape, last: str) -> Problem:
    x, at = _images(draw, shape), draw.indices(draw.number(1, 5), below=shape[0])
    steps: list[Any] = []
    sizes: Shape = (len(at), *shape[1:])
    moved = False  # once: the weights of pixels would need more and more bits
    for _ in range(draw.number(1, 3)):
        made = draw.one_of((_scale, _adjust, _erase) if moved else (_scale, _adjust, _erase, _move))
        step = made(draw, sizes)
        if isinstance(step, Affine):
            moved, sizes = True, (len(at), step.height, step.width, shape[3])
        steps.append(step)
    if last == "noise":
        numbers = draw.number(0, 2**64 - 1), draw.number(0, 2**40)
        steps.append(Erase(_boxes(draw, sizes), None, 0.5, *numbers, -1.0, 0.75))
    elif last == "mean":
        steps.append(_adjust(draw, sizes)._replace(around_mean=True))
    elif last == "colors":
        steps.append(_colors(draw, sizes))
    wanted = reference.transform_images(float64(x), steps, indices=at)

    def run(out: Outputs) -> Sequence[Array]:
        return (ops.transform_images(x, steps, indices=at, out=out(sizes)),)

    def check(actual: Sequence[Array]) -> None:
        # Pixels are below 256 times four, and what is added to them below four times three.
        near(actual[0], wanted, 16 * EPS * (8.0 if last == "noise" else 8 * 256.0))

    names = [type(step).__name__ for step in steps]
    text = f"{x.dtype} {shape} through {', '.join(names)}, {last}"
    return Problem(text, run, exactly(wanted) if last == "exact" else check)


KINDS = (affine_transforms, affine_transforms, resizes, image_steps, image_steps, colors)
