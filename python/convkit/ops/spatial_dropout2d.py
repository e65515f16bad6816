"""Dropout of whole channels, without a stored mask (Tompson et al., 2015)."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, integer, output, real
from convkit.ops._window import image_shape
from convkit.ops.dropout import MASK, Number, word


def spatial_dropout2d_forward(
    x: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """Zeroes whole channels of images with probability ``rate``, divides the others by 1 - rate.

    Channel c of image n has the fate that :func:`dropout_forward` gives element n * C + c with the
    same numbers. (J. Tompson et al., "Efficient object localization using convolutional networks",
    2015.)

    Args:
        x: images (N, H, W, C).
        rate: in [0, 1).
        seed, step, offset: as :func:`dropout_forward`.
        out: float32 array of x's shape to write into; may be x.
    """
    x = as_floats("x", x, 4)
    image_shape("the input shape", x.shape)
    out = output("out", out, x.shape)
    place = integer("offset", offset) & MASK
    _core.spatial_dropout2d(
        x, real("rate", rate), word("seed", seed), word("step", step), place, out
    )
    return out


def spatial_dropout2d_backward(
    dy: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """dy through the mask that :func:`spatial_dropout2d_forward` drew for the same numbers."""
    return spatial_dropout2d_forward(dy, rate, seed=seed, step=step, offset=offset, out=out)
