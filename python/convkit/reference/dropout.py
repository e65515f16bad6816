"""Dropout whose mask is a pure function of (seed, offset, element): nothing is stored or advanced.

The bits are Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
1, 2, 3", 2011), checked against the known answers that come with Random123. The backward pass makes
the same mask again from the same seed and offset.
"""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, floating

_LOW = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)


def _philox4x32(counter: tuple[Array, Array, Array, Array], key: tuple[int, int]) -> Array:
    """Return ten rounds of Philox over counters of shape (B,), uint64 below 2**32: shape (B, 4)."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        product0, product1 = c0 * np.uint64(_MULTIPLIERS[0]), c2 * np.uint64(_MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (product1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            product1 & np.uint64(_LOW),
            (product0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            product0 & np.uint64(_LOW),
        )
        k0, k1 = (k0 + _KEY_STEPS[0]) & _LOW, (k1 + _KEY_STEPS[1]) & _LOW
    return np.stack([c0, c1, c2, c3], axis=-1)


def words_of(count: int, seed: int, offset: int, first: int = 0) -> Array:
    """Return `count` random words, uint64 below 2**32, from element `first` on, a multiple of 4.

    Element i is word i % 4 of the block with counter (i // 4, offset) and key seed.
    """
    seed, offset = operator.index(seed) % 2**64, operator.index(offset) % 2**64
    blocks = np.arange(-(-count // 4), dtype=np.uint64) + np.uint64(first // 4)
    counter = (
        blocks & np.uint64(_LOW),
        blocks >> np.uint64(32),
        np.full_like(blocks, offset & _LOW),
        np.full_like(blocks, offset >> 32),
    )
    return _philox4x32(counter, (seed & _LOW, seed >> 32)).reshape(-1)[:count]


def check_rate(rate: float) -> None:
    """ValueError unless it is a share that leaves something."""
    if not 0 <= rate < 1:
        raise ValueError(f"rate must be at least 0 and below 1, received {rate!r}")


def scaled_mask(count: int, rate: float, seed: int, offset: int) -> Array:
    """Return `count` factors, 0 or float32(1 / (1 - rate)), as float32.

    Element i uses the top 24 bits of word i of `words_of`.
    """
    check_rate(rate)
    words = words_of(count, seed, offset)
    kept = (words >> np.uint64(8)) >= math.floor(rate * 2**24)
    return np.asarray(np.where(kept, 1 / (1 - rate), 0), np.float32)


def dropout_forward(
    x: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    of_batch: bool = True,
    out: Array | None = None,
) -> Array:
    """Return x with a fraction `rate` of its elements set to 0 and the others times 1 / (1 - rate).

    `seed`, and the sum of `step` and the layer's `offset`, are taken modulo 2**64. Dropped elements
    are 0 even where x is NaN. Here there is one process, and `of_batch` has no part in it.
    """
    x = floating(x, "x")
    factors = scaled_mask(x.size, rate, seed, step + offset).reshape(x.shape)
    return deliver(np.where(factors > 0, x, np.zeros((), x.dtype)) * factors, out)


def dropout_backward(
    dy: ArrayLike,
    rate: float,
    *,
    seed: int,
    step: int = 0,
    offset: int = 0,
    out: Array | None = None,
) -> Array:
    """Return dx: dy through the mask of the forward pass with the same numbers."""
    return dropout_forward(floating(dy, "dy"), rate, seed=seed, step=step, offset=offset, out=out)
