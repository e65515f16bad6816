"""Normally distributed noise, added or multiplied, without a stored array."""

from __future__ import annotations

import math

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, integer, output, real
from convkit.ops.dropout import MASK, Number, word


def gaussian_noise_forward(
    x: npt.ArrayLike,
    stddev: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """x + stddev * z, with z normally distributed, of mean 0 and standard deviation 1.

    An element's z is a pure function of (seed, step + offset, position): from the words of
    :func:`dropout_forward`'s generator by the method of Box and Muller (1958), with 23 bits each,
    so that `|z|` is at most 5.65. The same three give the same bits, on any instruction set, with
    any number of threads.

    Args:
        x: an array of any shape.
        stddev: at least 0.
        seed, step, offset: as :func:`dropout_forward`.
        out: float32 array to write into; may be x.
    """
    return _noise(x, real("stddev", stddev), False, seed, step, offset, out)


def gaussian_noise_backward(dy: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy, copied: what is added does not depend on x. ``out`` may be dy."""
    dy = as_floats("dy", dy)
    out = output("out", out, dy.shape)
    _core.copy(dy, out)
    return out


def gaussian_dropout_forward(
    x: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """x * (1 + sqrt(rate / (1 - rate)) * z), with the z of :func:`gaussian_noise_forward`.

    The factors have the mean and the variance of :func:`dropout_forward`'s (Srivastava et al.,
    2014, section 10).

    Args:
        x: an array of any shape.
        rate: in [0, 1).
        seed, step, offset: as :func:`dropout_forward`.
        out: float32 array to write into; may be x.
    """
    rate = real("rate", rate)
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"rate must be in [0, 1), but is {rate!r}")
    return _noise(x, math.sqrt(rate / (1.0 - rate)), True, seed, step, offset, out)


def gaussian_dropout_backward(
    dy: npt.ArrayLike,
    rate: float,
    *,
    seed: int | Number,
    step: int | Number = 0,
    offset: int = 0,
    out: Floats | None = None,
) -> Floats:
    """dy times the factors that :func:`gaussian_dropout_forward` drew for the same numbers."""
    return gaussian_dropout_forward(dy, rate, seed=seed, step=step, offset=offset, out=out)


def _noise(
    x: npt.ArrayLike,
    deviation: float,
    multiply: bool,
    seed: int | Number,
    step: int | Number,
    offset: int,
    out: Floats | None,
) -> Floats:
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    place = integer("offset", offset) & MASK
    words = word("seed", seed), word("step", step)
    _core.gaussian_noise(x, deviation, multiply, *words, place, out)
    return out
