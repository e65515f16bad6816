"""Gathering the rows of a batch from a data set, with the conversion from bytes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver


def gather(
    source: Array, indices: ArrayLike, *, scale: float = 1.0, out: Array | None = None
) -> Array:
    """Return source[indices] * scale, shape (n, ...), for source (M, ...) and indices (n,).

    A uint8 source gives float32; a floating-point one keeps its dtype. Every index must lie in
    0 .. M-1.
    """
    if not isinstance(source, np.ndarray):
        raise TypeError(f"source must be a NumPy array, received {type(source).__name__}")
    if source.dtype != np.uint8 and source.dtype.kind != "f":
        raise TypeError(f"source must be uint8 or floating-point, received {source.dtype}")
    if source.ndim < 1 or source.size == 0:
        raise ValueError(f"source must not be empty, received shape {source.shape}")
    rows = np.asarray(indices)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, received dtype {rows.dtype}")
    if rows.ndim != 1 or rows.size == 0:
        raise ValueError(f"indices must have shape (n,) with n > 0, received {rows.shape}")
    wrong = (rows < 0) | (rows >= source.shape[0])
    if wrong.any():
        raise ValueError(
            f"indices must lie in 0 .. {source.shape[0] - 1}, received {rows[wrong][0]}"
        )
    dtype = np.float32 if source.dtype == np.uint8 else source.dtype
    return deliver(source[rows].astype(dtype) * np.asarray(scale, dtype), out)
