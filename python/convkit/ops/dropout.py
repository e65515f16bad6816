"""Dropout without a stored mask (Srivastava et al., 2014)."""

from __future__ import annotations

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output

_MASK = 2**64 - 1


def dropout_forward(
    x: npt.ArrayLike, rate: float, *, seed: int, offset: int = 0, out: Floats | None = None
) -> Floats:
    """Zeroes elements with probability ``rate`` and divides the others by 1 - rate.

    An element's fate is a pure function of (seed, offset, position): the generator is
    Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011) with the seed as its key. The same three
    give the same mask, on any instruction set, with any number of threads.

    Args:
        x: an array of any shape.
        rate: in [0, 1).
        seed, offset: integers, taken modulo 2**64; a new offset gives a new mask.
        out: float32 array to write into; may be x.
    """
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    _core.dropout(x, rate, seed & _MASK, offset & _MASK, out)
    return out


def dropout_backward(
    dy: npt.ArrayLike, rate: float, *, seed: int, offset: int = 0, out: Floats | None = None
) -> Floats:
    """dy through the mask that :func:`dropout_forward` drew for this rate, seed and offset."""
    return dropout_forward(dy, rate, seed=seed, offset=offset, out=out)
