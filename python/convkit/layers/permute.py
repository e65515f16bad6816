"""Permute: the axes of every sample in another order."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import ops
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import MOST_SIZES
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Permute(Layer):
    """Put the axes of every sample in another order.

    Args:
        dims: the axes in their new order, each of 1, 2, ... once; the batch is 0 and stays.

    Input: (N, ...) with as many sizes behind N as `dims` has. Output: axis i is axis `dims[i - 1]`
    of the input.

    Example:
        >>> convkit.layers.Permute((2, 1, 3))  # images lying on their side
    """

    operation = "permute"
    capturable = True
    shaping = Layer.shaping | {"dims"}

    def __init__(self, dims: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        try:
            order = () if isinstance(dims, str | bytes) else tuple(map(operator.index, dims))
        except TypeError:
            order = ()
        if not order or sorted(order) != list(range(1, len(order) + 1)):
            raise self.error(
                f"dims must name each axis behind the batch once, counted from 1, such as "
                f"(2, 1, 3), received {dims!r}"
            )
        if len(order) > MOST_SIZES:
            raise self.error(f"dims may name at most {MOST_SIZES} axes, received {len(order)}")
        self.dims = order

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's sizes in the order of `dims`."""
        rank = len(self.dims) + 1
        self.expect_rank(input_shape, rank, f"for dims={self.dims}")
        return (input_shape[0], *(input_shape[axis] for axis in self.dims))

    def is_view(self, training: bool) -> bool:
        """Whether every axis stays where it is."""
        return self.dims == tuple(range(1, len(self.dims) + 1))

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x with its axes in that order."""
        ops.permute(x, (0, *self.dims), out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy with its axes in their old order."""
        if dx is not None:
            axes = (0, *self.dims)
            ops.permute(dy, tuple(map(axes.index, range(len(axes)))), out=dx)
