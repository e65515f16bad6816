"""Larger images, by repeated pixels or by bilinear interpolation."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, Pair, deliver, floating, nonempty, pair


def _weights(size: int, factor: int, interpolation: str) -> Array:
    """Return what each output along one axis takes of each input, (size * factor, size)."""
    places = np.arange(size * factor)
    weights = np.zeros((size * factor, size))
    if interpolation == "nearest":
        weights[places, places // factor] = 1
    elif interpolation == "bilinear":
        middles = np.clip((places + 0.5) / factor - 0.5, 0, size - 1)
        before = np.minimum(np.floor(middles).astype(np.int64), max(size - 2, 0))
        share = middles - before
        np.add.at(weights, (places, before), 1 - share)
        np.add.at(weights, (places, np.minimum(before + 1, size - 1)), share)
    else:
        raise ValueError(
            f"interpolation must be 'nearest' or 'bilinear', received {interpolation!r}"
        )
    return weights


def upsampling2d_forward(
    x: ArrayLike, size: Pair, *, interpolation: str = "nearest", out: Array | None = None
) -> Array:
    """Return x (N, H, W, C) as (N, H * size[0], W * size[1], C), with TensorFlow's half pixels."""
    x, (rows, columns) = nonempty(floating(x, "x", ndim=4), "x"), pair(size, "size")
    down = _weights(x.shape[1], rows, interpolation)
    across = _weights(x.shape[2], columns, interpolation)
    y = np.einsum("ph,qw,nhwc->npqc", down, across, x, optimize=True)
    return deliver(np.ascontiguousarray(y, x.dtype), out)


def upsampling2d_backward(
    dy: ArrayLike, size: Pair, *, interpolation: str = "nearest", out: Array | None = None
) -> Array:
    """Return dx, the sums of what each input gave to all outputs, from dy."""
    dy, (rows, columns) = nonempty(floating(dy, "dy", ndim=4), "dy"), pair(size, "size")
    if dy.shape[1] % rows or dy.shape[2] % columns:
        raise ValueError(f"dy's rows and columns must be multiples of {size}, received {dy.shape}")
    down = _weights(dy.shape[1] // rows, rows, interpolation)
    across = _weights(dy.shape[2] // columns, columns, interpolation)
    dx = np.einsum("ph,qw,npqc->nhwc", down, across, dy, optimize=True)
    return deliver(np.ascontiguousarray(dx, dy.dtype), out)
