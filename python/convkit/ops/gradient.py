"""What optimizers do to gradients before an update, and to parameters after it, in place.

Sums are taken over pieces of fixed size and added in double precision, in order, so that the bits
do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_number, check_output, int64, real, truth

_FLOAT32 = np.dtype(np.float32)
_INT64 = np.dtype(np.int64)
_FLOAT64 = np.dtype(np.float64)


def _check(name: str, array: Any) -> None:
    check_output(name, array, getattr(array, "shape", ()), _FLOAT32)


def clip_by_value(g: Floats, *, limit: float) -> None:
    """Bring every number of g between -limit and limit; NaN stays NaN."""
    _check("g", g)
    _core.clip_by_value(g, real("limit", limit))


def sum_of_squares(g: Floats, squares: npt.NDArray[np.float64], *, add: bool = False) -> None:
    """Write the sum of g's squares into `squares`, float64 (1,), or add it to what is there."""
    _check("g", g)
    check_output("squares", squares, (1,), _FLOAT64)
    _core.sum_of_squares(g, squares, truth("add", add))


def clip_by_norm(g: Floats, squares: npt.NDArray[np.float64], *, max_norm: float) -> None:
    """Scale g down so that a norm is at most `max_norm`.

    Args:
        g: one array of those that the norm is of.
        squares: float64 (1,), the norm's square, from `sum_of_squares`. Where it is infinite or
            NaN, all of g becomes NaN.
        max_norm: a norm up to this leaves g alone.
    """
    _check("g", g)
    _core.clip_by_norm(g, as_number("squares", squares, _FLOAT64), real("max_norm", max_norm))


def accumulate(total: Floats, g: Floats, *, factor: float = 1.0) -> None:
    """total = (total + g) * factor, for arrays of one shape."""
    _check("total", total)
    check_output("g", g, total.shape, _FLOAT32)
    _core.accumulate(total, g, real("factor", factor))


def moving_average(
    average: Floats,
    w: Floats,
    *,
    momentum: float = 0.99,
    step: int | npt.NDArray[np.int64],
    overwrite_every: int = 0,
) -> None:
    """average = momentum * average + (1 - momentum) * w; at step 1, average = w.

    Args:
        average, w: float32 arrays of one shape.
        step: counts from 1; an array (1,) is read again by a replayed call.
        overwrite_every: where `step` is a multiple of it, w becomes the average; 0 for never.
    """
    _check("average", average)
    check_output("w", w, average.shape, _FLOAT32)
    number = as_number("step", step, _INT64)
    every = int64("overwrite_every", overwrite_every)
    _core.moving_average(average, w, real("momentum", momentum), number, every)


def lookahead(
    slow: Floats,
    w: Floats,
    *,
    step_size: float | npt.NDArray[np.float64] = 0.5,
    step: int | npt.NDArray[np.int64],
    sync_period: int = 6,
) -> None:
    """Where `step` is a multiple of `sync_period`, slow += step_size * (w - slow); then w = slow.

    Args:
        slow, w: float32 arrays of one shape.
        step_size, step: numbers; an array (1,) is read again by a replayed call.
        sync_period: of at least 1.
    """
    _check("slow", slow)
    check_output("w", w, slow.shape, _FLOAT32)
    share, number = as_number("step_size", step_size, _FLOAT64), as_number("step", step, _INT64)
    _core.lookahead(slow, w, share, number, int64("sync_period", sync_period))
