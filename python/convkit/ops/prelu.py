"""PReLU: leaky ReLU whose slope below zero is learned (He et al., 2015), with its gradients."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, Shape, as_floats, output


def prelu_forward(x: npt.ArrayLike, alpha: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x where x > 0, else alpha * x.

    Args:
        x: samples (N, ...), not empty.
        alpha: the slopes: the shape of a sample, with 1 for each axis along which all share one.
        out: float32 array of x's shape to write into; may be x.

    Raises:
        ValueError: alpha is of another shape, or shared along three separate runs of axes.
    """
    x = as_floats("x", x)
    alpha = as_floats("alpha", alpha)
    out = output("out", out, x.shape)
    _core.prelu_forward(x, alpha, out)
    return out


def prelu_backward_input(
    dy: npt.ArrayLike, x: npt.ArrayLike, alpha: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy where x > 0, else alpha * dy; ``out`` may be dy or x."""
    dy, x = as_floats("dy", dy), as_floats("x", x)
    alpha = as_floats("alpha", alpha)
    out = output("out", out, x.shape)
    _core.prelu_backward_input(dy, x, alpha, out)
    return out


def prelu_backward_alpha(
    dy: npt.ArrayLike, x: npt.ArrayLike, alpha_shape: Sequence[int], *, out: Floats | None = None
) -> Floats:
    """The sum of dy * x over all x that are not above 0 and share a slope, of alpha's shape.

    Sums over rows are of at most 256 terms, one after another in float32, and the blocks' sums are
    added up in float64; sums over neighbouring values are made in blocks and pairs.
    """
    dy, x = as_floats("dy", dy), as_floats("x", x)
    out = output("out", out, _shape_of_slopes(alpha_shape, x))
    _core.prelu_backward_alpha(dy, x, out)
    return out


def _shape_of_slopes(value: Sequence[int], x: Floats) -> Shape:
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        shape = tuple(operator.index(size) for size in value)
    except TypeError:
        raise TypeError(f"alpha_shape must be a tuple of integers, but is {value!r}") from None
    sizes = x.shape[1:]
    if (
        x.ndim < 1
        or not all(size in (1, whole) for size, whole in zip(shape, sizes, strict=False))
        or len(shape) != len(sizes)
    ):
        raise ValueError(
            f"alpha must have the sizes of a sample, or 1 where an axis is shared, but {shape} "
            f"meets x {x.shape}"
        )
    return shape
