"""Normally distributed noise that is a pure function of (seed, offset, element).

The words are those of `dropout`'s generator, the normal numbers Box and Muller's ("A note on the
generation of random normal deviates", 1958).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, floating
from .dropout import check_rate, words_of


def normal_numbers(count: int, seed: int, offset: int, first: int = 0) -> Array:
    """Return `count` numbers, float64, of mean 0 and standard deviation 1.

    Of the words a, b, c, d of a block come four: the cosine's and the sine's of (a, b), then those
    of (c, d). Only the upper 23 bits of each count.
    """
    parts = words_of(-(-count // 2) * 2, seed, offset, first).reshape(-1, 2) >> np.uint64(9)
    share = parts.astype(np.float64) / 2**23
    radius = np.sqrt(-2 * np.log(1 - share[:, 0]))
    angle = 2 * np.pi * (share[:, 1] - 0.5)
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)
    return np.asarray(pairs.reshape(-1)[:count])


def gaussian_noise_forward(
    x: ArrayLike,
    stddev: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return x + stddev * z, z normal; `seed` and `step` + `offset` are taken modulo 2**64."""
    x = floating(x, "x")
    if not 0 <= stddev < math.inf:
        raise ValueError(f"stddev must be at least 0, received {stddev!r}")
    noise = stddev * normal_numbers(x.size, seed, step + offset).reshape(x.shape)
    return deliver((x + noise).astype(x.dtype), out)


def gaussian_noise_backward(dy: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dx = dy."""
    return deliver(floating(dy, "dy").copy(), out)


def gaussian_dropout_forward(
    x: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return x * (1 + sqrt(rate / (1 - rate)) * z), z normal."""
    x = floating(x, "x")
    check_rate(rate)
    noise = math.sqrt(rate / (1 - rate)) * normal_numbers(x.size, seed, step + offset).reshape(
        x.shape
    )
    return deliver((x * (1 + noise)).astype(x.dtype), out)


def gaussian_dropout_backward(
    dy: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return dx: dy times the factors of the forward pass with the same numbers."""
    dy = floating(dy, "dy")
    return gaussian_dropout_forward(dy, rate, seed=seed, step=step, offset=offset, out=out)
