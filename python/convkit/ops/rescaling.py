"""A fixed factor and a fixed offset for every channel."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output


def rescaling_forward(
    x: npt.ArrayLike, scale: npt.ArrayLike, offset: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """x * scale + offset.

    Args:
        x: an array (..., C).
        scale, offset: one number for each channel, (C,).
        out: float32 array of x's shape to write into; may be x.

    Raises:
        ValueError: shapes disagree.
    """
    x = as_floats("x", x)
    factors, offsets = _of_channels("scale", scale, x), _of_channels("offset", offset, x)
    out = output("out", out, x.shape)
    _core.rescaling(x, factors, offsets, out)
    return out


def rescaling_backward(
    dy: npt.ArrayLike, scale: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy * scale; ``out`` may be dy."""
    dy = as_floats("dy", dy)
    factors = _of_channels("scale", scale, dy)
    out = output("out", out, dy.shape)
    _core.rescaling(dy, factors, None, out)
    return out


def _of_channels(name: str, value: npt.ArrayLike, x: Floats) -> Floats:
    values = as_floats(name, value, 1)
    if values.shape != x.shape[-1:]:
        raise ValueError(
            f"{name} must have one value for each channel, the last axis of {x.shape}, but its "
            f"shape is {values.shape}"
        )
    return values
