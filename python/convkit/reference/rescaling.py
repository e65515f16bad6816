"""A fixed factor and a fixed offset for every channel."""

from __future__ import annotations

from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating


def rescaling_forward(
    x: ArrayLike, scale: ArrayLike, offset: ArrayLike, *, out: Array | None = None
) -> Array:
    """Return x * scale + offset for x (..., C) and scale and offset (C,)."""
    x = floating(x, "x")
    factor, shift = _of_channels(scale, "scale", x), _of_channels(offset, "offset", x)
    return deliver((x * factor + shift).astype(x.dtype), out)


def rescaling_backward(dy: ArrayLike, scale: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dx = dy * scale."""
    dy = floating(dy, "dy")
    return deliver((dy * _of_channels(scale, "scale", dy)).astype(dy.dtype), out)


def _of_channels(value: ArrayLike, name: str, x: Array) -> Array:
    values = floating(value, name, ndim=1)
    expect_shape(values, x.shape[-1:], name)
    return values
