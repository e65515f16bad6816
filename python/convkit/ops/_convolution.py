"""What the operations around a convolution share: its geometry and the activations they fuse."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from convkit.ops._epilogue import Fused
from convkit.ops._gate import Floats, in_c_order, integer, output, output_of
from convkit.ops._window import IntPair, Padding, Window, four_sizes, image_shape, resolve


def geometry(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: IntPair,
    padding: Padding,
    dilation: IntPair,
    groups: int,
) -> tuple[tuple[int, int, int, int], Window]:
    """The output shape (N, OH, OW, OC) and the window; raises ValueError where shapes disagree."""
    try:
        return _remembered(x_shape, w_shape, strides, padding, dilation, groups)
    except TypeError:  # lists cannot be remembered
        return _resolved(x_shape, w_shape, strides, padding, dilation, groups)


def _resolved(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: IntPair,
    padding: Padding,
    dilation: IntPair,
    groups: int,
) -> tuple[tuple[int, int, int, int], Window]:
    n, h, w, c = image_shape("the input shape", x_shape)
    kh, kw, group_c, oc = four_sizes("the weights' shape", w_shape, "(KH, KW, C // groups, OC)")
    groups = integer("groups", groups)
    if groups < 1 or c % groups or oc % groups:
        raise ValueError(
            f"groups must divide the {c} input and the {oc} output channels, but is {groups}"
        )
    if group_c != c // groups:
        raise ValueError(
            f"the weights are for {group_c * groups} input channels, but the input has {c}: "
            f"expected weights of shape {(kh, kw, c // groups, oc)}, got {(kh, kw, group_c, oc)}"
        )
    window = resolve((h, w), (kh, kw), strides, padding, dilation)
    return (n, *window.size, oc), window


# A training step asks for the same few shapes each time: remembering them halves Python's share.
_remembered = lru_cache(maxsize=1024, typed=True)(_resolved)


def pooled_geometry(
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    strides: IntPair,
    padding: Padding,
    dilation: IntPair,
    groups: int,
) -> tuple[tuple[int, int, int, int], Window]:
    """The same with the shape (N, OH // 2, OW // 2, OC) behind a 2 x 2 max pool."""
    (n, oh, ow, oc), window = geometry(x_shape, w_shape, strides, padding, dilation, groups)
    if oh < 2 or ow < 2:
        raise ValueError(
            f"a 2 x 2 pool does not fit the convolution's output of {oh} x {ow}; use larger images "
            "or padding='same'"
        )
    return (n, oh // 2, ow // 2, oc), window


_UINT8 = np.dtype(np.uint8)


def pool_indices(
    indices: npt.NDArray[np.uint8] | None, shape: tuple[int, ...]
) -> npt.NDArray[np.uint8]:
    """Memory for the positions of a pool's maxima: what was given, checked, or a new array."""
    return output_of(_UINT8, "indices", indices, shape)


def as_pool_indices(indices: npt.NDArray[np.uint8], source: str) -> npt.NDArray[np.uint8]:
    """The positions that the op ``source`` returned, in C order; TypeError for anything else."""
    if not isinstance(indices, np.ndarray) or indices.dtype != _UINT8:
        raise TypeError(f"indices must be the uint8 array that {source} returned")
    return in_c_order(indices)


def is_relu(activation: Fused | None) -> bool:
    """Whether the fused activation is ReLU; raises ValueError for one that is not fused."""
    if activation is None:
        return False
    if isinstance(activation, str) and activation == "relu":
        return True
    raise ValueError(f"activation must be None or 'relu' here, but is {activation!r}")


def is_direct(algorithm: str) -> bool:
    """Whether a convolution does without Winograd's algorithm; ValueError for an unknown name."""
    if isinstance(algorithm, str) and algorithm in ("auto", "direct"):
        return algorithm == "direct"
    raise ValueError(f"algorithm must be 'auto' or 'direct', but is {algorithm!r}")


def check_gradients(
    x: Floats, w: Floats, dx: Floats | None, dw: Floats | None, db: Floats | None
) -> None:
    """Check those of a convolution's gradients that are wanted: shaped like x, w and (OC,)."""
    wanted = (("dx", dx, x.shape), ("dw", dw, w.shape), ("db", db, w.shape[3:]))
    for name, array, shape in wanted:
        if array is not None:
            output(name, array, shape)
