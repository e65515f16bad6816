"""Concatenate: several inputs side by side along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import ops
from ..core.parameters import Array, Shape
from .base import LayerOptions
from .merge import MergeLayer, listed
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Concatenate(MergeLayer):
    """Put all inputs side by side along an axis.

    Args:
        axis: any but the batch's, 0; the last one, the channels, by default.

    Input: a list of arrays (N, ...) of the same shape but for the axis. Output: that shape, with
    the sum of their sizes along the axis.

    Example:
        >>> convkit.layers.Concatenate()([x, convkit.layers.Conv2D(8, 3, padding="same")(x)])
    """

    operation = "concatenate"
    capturable = True
    shaping = MergeLayer.shaping | {"axis"}
    most_inputs = None

    def __init__(self, axis: int = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        if isinstance(axis, bool) or not isinstance(axis, int) or axis == 0:
            raise self.error(
                f"axis must be an integer other than 0, the batch's, received {axis!r}"
            )
        self.axis = axis

    def _merged_sizes(self, shapes: tuple[Shape, ...]) -> tuple[int, ...]:
        sizes = [self._sample_sizes(shape) for shape in shapes]
        at = self._sample_axis(shapes[0])
        others = {(*each[:at], *each[at + 1 :]) for each in sizes}
        if len({len(each) for each in sizes}) > 1 or len(others) > 1:
            raise self.error(
                f"inputs of shapes {listed(shapes)} do not fit: they must have the same shape but "
                f"for axis {self.axis}; make them alike, for example with a pool, or padding='same'"
            )
        return (*sizes[0][:at], sum(each[at] for each in sizes), *sizes[0][at + 1 :])

    def _sample_axis(self, shape: Shape) -> int:
        """The axis without the batch."""
        rank = len(shape)
        if self.axis % rank == 0 or not -rank < self.axis < rank:
            raise self.error(
                f"inputs of shape {shape} have no axis {self.axis} besides the batch's; axis must "
                f"be in 1 .. {rank - 1}, or counted from the end"
            )
        return self.axis % rank - 1

    def _can_be_in_place(self, shapes: tuple[Shape, ...], output_shape: Shape) -> bool:
        return len(shapes) == 1

    def forward(  # type: ignore[override]
        self, x: tuple[Array, ...], y: Array, saved: tuple[Array, ...], context: StepContext
    ) -> None:
        """y = all x, one behind the other along the axis."""
        ops.concatenate(x, self.axis, out=y)

    def backward(  # type: ignore[override]
        self,
        x: tuple[Array, ...],
        y: Array,
        dy: Array,
        dx: tuple[Array | None, ...],
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """Every dx = its part of dy."""
        begin = 0
        for one, each in zip(x, dx, strict=True):
            if each is not None:
                ops.concatenate_backward(dy, each.shape, begin, self.axis, out=each)
            begin += one.shape[self.axis]


def concatenate(inputs: Sequence[Any], axis: int = -1, **options: Unpack[LayerOptions]) -> Any:
    """`Concatenate(axis, **options)(inputs)`."""
    return Concatenate(axis, **options)(inputs)
