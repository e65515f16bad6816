"""Zeros around images, and their removal from a gradient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, Pads, deliver, floating, nonempty, resolve_padding


def _pads(padding: Sequence[Sequence[int]]) -> Pads:
    if isinstance(padding, str):
        raise ValueError(f"padding must be ((top, bottom), (left, right)), received {padding!r}")
    return resolve_padding(padding, (1, 1), (1, 1), (1, 1))


def zero_padding2d_forward(
    x: ArrayLike, padding: Sequence[Sequence[int]], *, out: Array | None = None
) -> Array:
    """Return x (N, H, W, C) inside zeros, as many as ((top, bottom), (left, right)) says."""
    x = nonempty(floating(x, "x", ndim=4), "x")
    return deliver(np.pad(x, ((0, 0), *_pads(padding), (0, 0))), out)


def zero_padding2d_backward(
    dy: ArrayLike, padding: Sequence[Sequence[int]], *, out: Array | None = None
) -> Array:
    """Return dx, the part of dy that is not padding."""
    dy = nonempty(floating(dy, "dy", ndim=4), "dy")
    (top, bottom), (left, right) = _pads(padding)
    inside = dy[:, top : dy.shape[1] - bottom, left : dy.shape[2] - right]
    return deliver(nonempty(inside, "dy without its padding").copy(), out)
