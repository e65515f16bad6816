"""A batch's rows from a data set."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_array, as_integers, output, real


def gather(
    source: npt.NDArray[Any],
    indices: npt.ArrayLike,
    *,
    scale: float = 1.0,
    out: Floats | None = None,
) -> Floats:
    """``source[indices] * scale`` as float32, in one pass over the rows.

    Args:
        source: uint8 or float32 in C order, (M, ...).
        indices: integers in [0, M), (n,).
        scale: a factor, for example 1 / 255 for pixels.
        out: float32 (n, ...) to write into.

    Raises:
        TypeError: source is of another type or not C-contiguous.
        ValueError: an index is out of range.
    """
    if not isinstance(source, np.ndarray) or source.ndim < 1:
        raise TypeError("source must be an array of rows, (M, ...)")
    at = as_array("indices", indices)
    if at.ndim != 1 or at.dtype.kind not in "iu":
        raise ValueError(f"indices must be integers (n,), but are {at.dtype} of shape {at.shape}")
    out = output("out", out, (at.shape[0], *source.shape[1:]))
    _core.gather(source, as_integers(at), real("scale", scale), out)
    return out
