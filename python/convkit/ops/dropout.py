"""Dropout without a stored mask (Srivastava et al., 2014)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, as_number, integer, output, real

_UINT64 = np.dtype(np.uint64)
MASK = 2**64 - 1

Number = npt.NDArray[np.uint64]  # of shape (1,), read whenever the call is made or repeated


def dropout_forward(
    x: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    of_batch: bool = True,
    out: Floats | None = None,
) -> Floats:
    """Zeroes elements with probability ``rate`` and divides the others by 1 - rate.

    An element's fate is a pure function of (seed, step + offset, position): the generator is
    Philox4x32-10 (Salmon, Moraes, Dror and Shaw, 2011) with the seed as its key. The same three
    give the same mask, on any instruction set, with any number of threads.

    Args:
        x: an array of any shape.
        rate: in [0, 1).
        seed, step: integers, taken modulo 2**64, or uint64 arrays of shape (1,), which a remembered
            call reads anew.
        offset: an integer, taken modulo 2**64; a new step or offset gives a new mask.
        of_batch: whether the first axis is the batch; where several processes share that, each
            draws the numbers of its own samples, and otherwise all the same.
        out: float32 array to write into; may be x.
    """
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    place = integer("offset", offset) & MASK
    given = real("rate", rate), word("seed", seed), word("step", step), place
    _core.dropout(x, *given, of_batch, out)
    return out


def dropout_backward(
    dy: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """dy through the mask that :func:`dropout_forward` drew for the same numbers."""
    return dropout_forward(dy, rate, seed=seed, step=step, offset=offset, out=out)


def word(name: str, value: int | Number) -> Number:
    """A seed or a step as the native functions read it, modulo 2**64."""
    if not isinstance(value, np.ndarray):
        value = integer(name, value) & MASK
    return as_number(name, value, _UINT64)
