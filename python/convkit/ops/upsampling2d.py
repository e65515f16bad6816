"""Larger images, by repeated pixels or by bilinear interpolation."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output
from convkit.ops._window import IntPair, image_shape, pair


def upsampling2d_forward(
    x: npt.ArrayLike,
    size: IntPair,
    *,
    interpolation: str = "nearest",
    out: Floats | None = None,
) -> Floats:
    """x (N, H, W, C) with every row and every column `size` times.

    Args:
        x: the images.
        size: how many rows, and how many columns, become of one; an integer or a pair.
        interpolation: "nearest" repeats them. "bilinear" interpolates between the middles of
            pixels, and goes on beyond the outermost ones as it is there: TensorFlow's
            ``tf.image.resize``, PyTorch's ``align_corners=False``.
        out: float32 (N, H * size[0], W * size[1], C) to write into; must not overlap x.

    Raises:
        ValueError: an argument is out of range, or shapes disagree.
    """
    x = as_floats("x", x, 4)
    n, h, w, c = image_shape("the input shape", x.shape)
    rows, columns = sizes = pair("size", size)
    bilinear = _is_bilinear(interpolation)
    out = output("out", out, (n, h * rows, w * columns, c))
    _core.upsampling2d_forward(x, sizes, bilinear, out)
    return out


def upsampling2d_backward(
    dy: npt.ArrayLike,
    size: IntPair,
    *,
    interpolation: str = "nearest",
    out: Floats | None = None,
) -> Floats:
    """The gradient with respect to the input, (N, OH / size[0], OW / size[1], C), from dy.

    It is the adjoint of :func:`upsampling2d_forward`, with the same weights. Rows are summed first,
    then columns, each from the first to the last; sums of more than 512 are made of blocks that
    are added up in pairs.

    Raises:
        ValueError: as :func:`upsampling2d_forward`, or dy's sizes are no multiples of `size`.
    """
    dy = as_floats("dy", dy, 4)
    n, oh, ow, c = image_shape("dy's shape", dy.shape)
    rows, columns = sizes = pair("size", size)
    bilinear = _is_bilinear(interpolation)
    if oh % rows or ow % columns:
        raise ValueError(f"dy of {oh} x {ow} is no image that was made {rows} x {columns} as large")
    out = output("out", out, (n, oh // rows, ow // columns, c))
    _core.upsampling2d_backward(dy, sizes, bilinear, out)
    return out


def _is_bilinear(interpolation: str) -> bool:
    if not isinstance(interpolation, str) or interpolation not in ("nearest", "bilinear"):
        raise ValueError(f"interpolation must be 'nearest' or 'bilinear', but is {interpolation!r}")
    return interpolation == "bilinear"
