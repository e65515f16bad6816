"""UpSampling2D: every pixel several times, or bilinear interpolation between pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import ops
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import check_data_format, positive_pair
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class UpSampling2D(Layer):
    """Make images larger by whole factors.

    Args:
        size: how many rows, and how many columns, become of one; an integer or a pair.
        data_format: None or "channels_last", the only layout there is.
        interpolation: "nearest" repeats rows and columns; "bilinear" interpolates between the
            middles of pixels, as `tf.image.resize` does.

    Input: (N, H, W, C). Output: (N, H * size[0], W * size[1], C).

    Example:
        >>> convkit.layers.UpSampling2D(2, interpolation="bilinear")
    """

    operation = "upsampling2d"
    capturable = True
    shaping = Layer.shaping | {"data_format", "size"}

    def __init__(
        self,
        size: int | Sequence[int] = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.size = positive_pair(size, "size", self)
        if not isinstance(interpolation, str) or interpolation.lower() not in (
            "nearest",
            "bilinear",
        ):
            raise self.error(
                f"interpolation must be 'nearest' or 'bilinear', received {interpolation!r}"
            )
        self.interpolation = interpolation.lower()

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, H * size[0], W * size[1], C)."""
        height, width, channels = self._image_sizes(input_shape)
        rows, columns = self.size
        return (input_shape[0], height * rows, width * columns, channels)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = the larger images."""
        ops.upsampling2d_forward(x, self.size, interpolation=self.interpolation, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = what each pixel gave to all others, summed."""
        if dx is not None:
            ops.upsampling2d_backward(dy, self.size, interpolation=self.interpolation, out=dx)

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """How pixels are filled in."""
        return f"{self.operation} {self.interpolation}"
