"""ZeroPadding2D: rows and columns of zeros around every image."""

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


class ZeroPadding2D(Layer):
    """Put rows and columns of zeros around every image.

    Args:
        padding: how many: one integer for all sides, (rows, columns) for both sides of each, or
            ((top, bottom), (left, right)).
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, top + H + bottom, left + W + right, C).

    Example:
        >>> convkit.layers.ZeroPadding2D(((0, 1), (0, 1)))
    """

    operation = "zero_padding2d"
    capturable = True
    shaping = Layer.shaping | {"data_format", "padding"}

    def __init__(
        self,
        padding: int | Sequence[int] | Sequence[Sequence[int]] = (1, 1),
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.padding = check_sides(padding, "padding", self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, top + H + bottom, left + W + right, C)."""
        height, width, channels = self._image_sizes(input_shape)
        rows, columns = (sum(sides) for sides in self.padding)
        return (input_shape[0], height + rows, width + columns, channels)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x with its zeros."""
        ops.zero_padding2d_forward(x, self.padding, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy without the zeros' gradients."""
        if dx is not None:
            ops.zero_padding2d_backward(dy, self.padding, out=dx)
