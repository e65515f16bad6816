"""Zeros around images, and their removal from a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output
from convkit.ops._window import Pads, image_shape, resolve


def zero_padding2d_forward(
    x: npt.ArrayLike, padding: Sequence[Sequence[int]], *, out: Floats | None = None
) -> Floats:
    """x (N, H, W, C) with zeros around each image.

    Args:
        x: the images.
        padding: ((top, bottom), (left, right)), rows and columns of zeros.
        out: float32 (N, top + H + bottom, left + W + right, C) to write into.

    Raises:
        ValueError: the padding is not two pairs of integers of at least 0, or shapes disagree.
    """
    x = as_floats("x", x, 4)
    n, h, w, c = image_shape("the input shape", x.shape)
    top, bottom, left, right = pads = _pads(padding)
    out = output("out", out, (n, top + h + bottom, left + w + right, c))
    _core.zero_padding2d_forward(x, pads, out)
    return out


def zero_padding2d_backward(
    dy: npt.ArrayLike, padding: Sequence[Sequence[int]], *, out: Floats | None = None
) -> Floats:
    """The gradient with respect to the input: dy without its padding.

    Raises:
        ValueError: as :func:`zero_padding2d_forward`, or nothing is left of dy.
    """
    dy = as_floats("dy", dy, 4)
    n, h, w, c = image_shape("dy's shape", dy.shape)
    top, bottom, left, right = pads = _pads(padding)
    if top + bottom >= h or left + right >= w:
        raise ValueError(f"dy of {h} x {w} holds nothing inside a padding of {padding!r}")
    out = output("out", out, (n, h - top - bottom, w - left - right, c))
    _core.zero_padding2d_backward(dy, pads, out)
    return out


def _pads(padding: Sequence[Sequence[int]]) -> Pads:
    if isinstance(padding, str):
        raise ValueError(f"padding must be ((top, bottom), (left, right)), but is {padding!r}")
    return resolve((1, 1), (1, 1), 1, padding).pads
