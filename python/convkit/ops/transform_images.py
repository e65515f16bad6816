"""Images transformed on their way into a batch, in one pass over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import (
    Floats,
    as_array,
    as_floats,
    as_integers,
    in_c_order,
    integer,
    output,
    real,
    truth,
)
from convkit.ops._image_steps import (
    FILL_MODES,
    INTERPOLATIONS,
    Adjust,
    Affine,
    Colors,
    Erase,
    Gray,
    ImageStep,
    Resample,
    Scale,
    taps,
)
from convkit.ops.dropout import MASK, Number, word

_INTERPOLATIONS = ("nearest", "bilinear", "bicubic")  # of resize


def affine_transform(
    images: npt.ArrayLike,
    transform: npt.ArrayLike,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float | Sequence[float] = 0.0,
    *,
    size: Sequence[int] | None = None,
    indices: npt.ArrayLike | None = None,
    out: Floats | None = None,
) -> Floats:
    """Each image behind an affine transform of its own, as ``keras.ops.image.affine_transform``.

    Pixel (x, y) of an output, x along the width, is the input at (a0 x + a1 y + a2,
    b0 x + b1 y + b2), in pixels. Where that is an image whose pixels are only moved, as by flips
    and whole shifts, they are copied exactly.

    Args:
        images: uint8 or float32 (M, H, W, C), used as it lies; others become float32.
        transform: finite numbers, (n, 6), each a0, a1, a2, b0, b1, b2; or (n, 8) as Keras has it,
            where the last two must be 0.
        interpolation: "bilinear" between four pixels, or "nearest".
        fill_mode: what is around an image: "constant", "nearest" (the pixel of the border),
            "reflect" (c b a | a b c | c b a) or "wrap" (a b c | a b c | a b c).
        fill_value: the constant, a number or one a channel.
        size: (OH, OW) of the outputs, (H, W) by default.
        indices: integers in [0, M), (n,), the images that are transformed; by default all, in
            their order, n = M.
        out: float32 (n, OH, OW, C) to write into; not the memory of `images`.

    Returns:
        float32 (n, OH, OW, C). The same bits for any number of threads and instruction set.

    Raises:
        ValueError: shapes disagree, an index is out of range, a number is not finite.
        TypeError: not numbers.
    """
    source = _images(images)
    numbers = as_array("transform", transform)
    if numbers.ndim != 2 or numbers.shape[1] not in (6, 8):
        raise ValueError(
            f"transform must have shape (n, 6) or (n, 8), but its shape is {numbers.shape}"
        )
    if numbers.shape[1] == 8 and np.any(numbers[:, 6:] != 0):
        raise ValueError("transform has a perspective: its last two numbers must be 0")
    height, width = _pair("size", source.shape[1:3] if size is None else size)
    step = Affine(numbers[:, :6], height, width, interpolation, fill_mode, fill_value)  # type: ignore[arg-type]
    return transform_images(source, [step], indices=indices, out=out)


def resize(
    images: npt.ArrayLike,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    *,
    out: Floats | None = None,
) -> Floats:
    """Images (N, H, W, C) of another size, as ``keras.ops.image.resize`` with PyTorch.

    Args:
        images: uint8 or float32.
        size: (OH, OW).
        interpolation: "nearest", "bilinear" or "bicubic".
        antialias: whether pixels of smaller images are means of all that become one; without
            meaning for "nearest".
        out: float32 (N, OH, OW, C) to write into.

    Raises:
        ValueError: there is no such interpolation, or a size is not positive.
    """
    source = _images(images)
    step = resample(source.shape[1:3], _pair("size", size), interpolation, antialias)
    return transform_images(source, [step], out=out)


def resample(
    size: Sequence[int], out: Sequence[int], interpolation: str, antialias: bool
) -> Resample:
    """The step that gives images (H, W) the size `out`, as :func:`resize`."""
    if not isinstance(interpolation, str) or interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"interpolation must be one of {_INTERPOLATIONS}, but is {interpolation!r}"
        )
    smooth = truth("antialias", antialias)
    rows, columns = (
        taps(before, after, interpolation, smooth) for before, after in zip(size, out, strict=True)
    )
    return Resample(rows, columns)


def transform_images(
    images: npt.ArrayLike,
    steps: Sequence[ImageStep],
    *,
    indices: npt.ArrayLike | None = None,
    out: Floats | None = None,
) -> Floats:
    """Images through several steps, image by image in a core's cache.

    Args:
        images: uint8 or float32 (M, H, W, C).
        steps: what is done to each image in turn: ``Affine``, ``Resample``, ``Scale``, ``Adjust``,
            ``Erase``, ``Gray`` and ``Colors`` of ``convkit.ops.transform_images``, with numbers for
            each of n images.
        indices: of the n images that are wanted, integers in [0, M); by default all.
        out: float32 (n, OH, OW, C) to write into; not the memory of `images`.

    Raises:
        ValueError: a step does not fit the images, an index is out of range.
        TypeError: not numbers.
    """
    source = _images(images)
    if not isinstance(steps, list | tuple):
        raise TypeError(f"steps must be a list of steps, but is {steps!r}")
    at = None
    if indices is not None:
        at = as_array("indices", indices)
        if at.ndim != 1 or at.dtype.kind not in "iu":
            raise ValueError(
                f"indices must be integers (n,), but are {at.dtype} of shape {at.shape}"
            )
        at = as_integers(at)
    n, channels = len(source) if at is None else len(at), source.shape[3]
    native, plane = [], source.shape[1:3]
    for step in steps:
        native.append(_native(step, channels))
        if isinstance(step, Affine):
            plane = (step.height, step.width)
        elif isinstance(step, Resample):
            plane = (len(step.rows[0]), len(step.columns[0]))
    out = output("out", out, (n, *plane, channels))
    if np.may_share_memory(source, out):
        raise ValueError("out must not be the memory of images")
    _core.transform_images(source, at, native, out)
    return out


def resample_each(
    images: Sequence[npt.NDArray[Any]], steps: Sequence[Resample | None], out: Floats
) -> None:
    """Write images of different sizes, resampled to the same one, into a batch.

    Args:
        images: uint8 or float32 (H, W, C), n of them.
        steps: of each image, None where it has the size already.
        out: float32 (n, OH, OW, C); not the memory of `images`.

    Raises:
        ValueError: a step does not fit its image, or what it makes does not fit `out`.
        TypeError: an image is not of these types.
    """
    given = [
        (in_c_order(image), *(() if step is None else (_native(step, image.shape[-1]),)))
        for image, step in zip(images, steps, strict=True)
    ]
    _core.transform_each(given, out)


def uniform(
    count: int,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """`count` numbers in [0, 1), multiples of 2**-24, all equally likely.

    Number i is a pure function of (seed, step + offset, i), from the words of
    :func:`dropout_forward`'s generator.

    Args:
        count: how many, at least 1.
        seed, step, offset: as :func:`dropout_forward`.
        out: float32 (count,) to write into.
    """
    if not 1 <= integer("count", count) < 2**48:
        raise ValueError(f"count must be at least 1 and below 2**48, but is {count!r}")
    out = output("out", out, (int(count),))
    place = integer("offset", offset) & MASK
    _core.uniform(word("seed", seed), word("step", step), place, out)
    return out


def _images(images: npt.ArrayLike) -> npt.NDArray[Any]:
    array = as_array("images", images)
    if array.dtype != np.uint8:
        array = as_floats("images", array)
    if array.ndim != 4 or array.size == 0:
        raise ValueError(
            f"images must have shape (N, H, W, C) and not be empty, but their shape is "
            f"{array.shape}"
        )
    return in_c_order(array)


def _pair(name: str, value: Any) -> tuple[int, int]:
    try:
        height, width = (integer(f"every size of {name}", each) for each in value)
    except (TypeError, ValueError):
        raise ValueError(f"{name} must be two positive integers, but is {value!r}") from None
    if height < 1 or width < 1:
        raise ValueError(f"{name} must be two positive integers, but is {value!r}")
    return height, width


def _of_channels(name: str, value: Any, channels: int) -> Floats:
    numbers = as_floats(name, as_array(name, value))
    if numbers.shape not in ((), (channels,)):
        raise ValueError(
            f"{name} must be a number, or one for each of {channels} channels, but its shape is "
            f"{numbers.shape}"
        )
    return np.ascontiguousarray(numbers) if numbers.ndim else np.full(channels, numbers)


def _native(step: ImageStep, channels: int) -> tuple[Any, ...]:
    """A step as the native function takes it, which checks the shapes."""
    if isinstance(step, Affine):
        if not isinstance(step.interpolation, str) or step.interpolation not in INTERPOLATIONS:
            raise ValueError(
                f"interpolation must be one of {INTERPOLATIONS}, but is {step.interpolation!r}"
            )
        if not isinstance(step.fill_mode, str) or step.fill_mode not in FILL_MODES:
            raise ValueError(f"fill_mode must be one of {FILL_MODES}, but is {step.fill_mode!r}")
        mode = FILL_MODES.index(step.fill_mode)
        return (
            "affine",
            as_floats("transform", step.matrices, 2),
            step.height,
            step.width,
            mode,
            _of_channels("fill_value", step.fill_value, channels),
            step.interpolation == "bilinear",
        )
    if isinstance(step, Resample):
        return ("resample", *step.rows, *step.columns)
    if isinstance(step, Scale):
        return ("scale", *(as_floats("scale", each, 1) for each in step))
    if isinstance(step, Adjust):
        scale, offset = (as_floats("scale", each, 2) for each in step[:2])
        return ("adjust", scale, offset, real("low", step.low), real("high", step.high), step[4])
    if isinstance(step, Erase):
        fill = step.fill_value
        return (
            "erase",
            as_integers(as_array("boxes", step.boxes)),
            None if fill is None else _of_channels("fill_value", fill, channels),
            real("deviation", step.deviation),
            integer("seed", step.seed) & MASK,
            integer("step", step.step) & MASK,
            real("low", step.low),
            real("high", step.high),
        )
    if isinstance(step, Gray):
        return ("gray", as_array("chosen", step.chosen).astype(np.uint8))
    if isinstance(step, Colors):
        turns, saturations = (as_floats("colors", each, 1) for each in step[:2])
        bounds = (real(name, getattr(step, name)) for name in ("least", "most", "low", "high"))
        return ("colors", turns, saturations, *bounds, truth("clips", step.clips))
    raise TypeError(
        f"a step must be one of convkit.ops.transform_images, but is {type(step).__name__}"
    )
