"""What optimizers do to gradients before an update, and to parameters after it, in place."""

from __future__ import annotations

import operator

import numpy as np

from ._arguments import Array, expect_shape


def _floats(value: Array, name: str, shape: tuple[int, ...] | None = None) -> None:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise TypeError(f"{name} must be a floating-point NumPy array")
    if shape is not None:
        expect_shape(value, shape, name)


def clip_by_value(g: Array, *, limit: float) -> None:
    """Bring every number of g (any shape) between -limit and limit."""
    _floats(g, "g")
    np.clip(g, -limit, limit, out=g)


def sum_of_squares(g: Array, squares: Array, *, add: bool = False) -> None:
    """Write the sum of the squares of g (any shape) into `squares` (1,), or add it."""
    _floats(g, "g")
    _floats(squares, "squares", (1,))
    squares[0] = np.square(g, dtype=np.float64).sum() + (squares[0] if add else 0.0)


def clip_by_norm(g: Array, squares: Array, *, max_norm: float) -> None:
    """Scale g (any shape) by max_norm over the root of `squares` (1,), where that is below 1.

    R. Pascanu, T. Mikolov and Y. Bengio, "On the difficulty of training recurrent neural networks",
    2013, algorithm 1. A norm that is no finite number makes all of g NaN.
    """
    _floats(g, "g")
    norm = float(np.sqrt(np.asarray(squares).reshape(())))
    if not norm <= max_norm:
        g *= max_norm / norm if np.isfinite(norm) else np.nan


def accumulate(total: Array, g: Array, *, factor: float = 1.0) -> None:
    """total = (total + g) * factor (any shape, both equal)."""
    _floats(total, "total")
    _floats(g, "g", total.shape)
    total[...] = (total + g) * factor


def moving_average(
    average: Array, w: Array, *, momentum: float = 0.99, step: int, overwrite_every: int = 0
) -> None:
    """average = momentum * average + (1 - momentum) * w (any shape, both equal); w at step 1.

    B. Polyak and A. Juditsky, "Acceleration of stochastic approximation by averaging", 1992, with
    weights that decay. Where `step` is a multiple of `overwrite_every`, w becomes the average.
    """
    _floats(average, "average")
    _floats(w, "w", average.shape)
    if operator.index(step) < 1:
        raise ValueError(f"step counts from 1, received {step!r}")
    average[...] = w if step == 1 else momentum * average + (1 - momentum) * w
    if overwrite_every and step % overwrite_every == 0:
        w[...] = average


def lookahead(
    slow: Array, w: Array, *, step_size: float = 0.5, step: int, sync_period: int = 6
) -> None:
    """Where `step` is a multiple of `sync_period`, slow += step_size * (w - slow); then w = slow.

    Any shape, both equal. M. Zhang, J. Lucas, G. Hinton and J. Ba, "Lookahead optimizer: k steps
    forward, 1 step back", 2019, algorithm 1.
    """
    _floats(slow, "slow")
    _floats(w, "w", slow.shape)
    if operator.index(sync_period) < 1:
        raise ValueError(f"sync_period must be at least 1, received {sync_period!r}")
    if step % sync_period == 0:
        slow += step_size * (w - slow)
        w[...] = slow
