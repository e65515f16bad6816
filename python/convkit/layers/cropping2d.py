"""Cropping2D: rows and columns at the borders of every image are cut off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import ops
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import check_data_format, check_sides
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Cropping2D(Layer):
    """Cut rows and columns off every image: the opposite of `ZeroPadding2D`.

    Args:
        cropping: how many: one integer for all sides, (rows, columns) for both sides of each, or
            ((top, bottom), (left, right)).
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, H - top - bottom, W - left - right, C).

    Example:
        >>> convkit.layers.Cropping2D(((1, 0), (2, 2)))
    """

    operation = "cropping2d"
    capturable = True
    shaping = Layer.shaping | {"data_format", "cropping"}

    def __init__(
        self,
        cropping: int | Sequence[int] | Sequence[Sequence[int]] = ((0, 0), (0, 0)),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.cropping = check_sides(cropping, "cropping", self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, H - top - bottom, W - left - right, C)."""
        height, width, channels = self._image_sizes(input_shape)
        rows, columns = (sum(sides) for sides in self.cropping)
        if rows >= height or columns >= width:
            raise self.error(
                f"cropping={self.cropping} leaves nothing of images of {height} x {width}; cut off "
                f"less"
            )
        return (input_shape[0], height - rows, width - columns, channels)

    # Both are what zeros around an image need in the other direction.

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x without its borders."""
        ops.zero_padding2d_backward(x, self.cropping, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy, and zeros where x was cut off."""
        if dx is not None:
            ops.zero_padding2d_forward(dy, self.cropping, out=dx)
