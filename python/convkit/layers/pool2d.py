"""MaxPooling2D and AveragePooling2D: the largest value, or the mean, of every window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .. import ops
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import check_data_format, check_padding, output_plane, positive_pair
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Pooling2D(Layer):
    """What both poolings share: the window and the output's shape."""

    shaping = Layer.shaping | {"data_format", "padding", "pool_size", "strides"}

    def __init__(
        self,
        pool_size: int | Sequence[int] = (2, 2),
        strides: int | Sequence[int] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.pool_size = positive_pair(pool_size, "pool_size", self)
        self.strides = (
            self.pool_size if strides is None else positive_pair(strides, "strides", self)
        )
        self.padding = check_padding(padding, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, OH, OW, C)."""
        *plane, channels = self._image_sizes(input_shape)
        sizes = output_plane(plane, self.pool_size, self.strides, self.padding)
        if min(sizes) < 1:
            raise self.error(
                f"pool_size {self.pool_size} is larger than the input {tuple(plane)}; use "
                f"a smaller window, fewer poolings, larger images or padding='same'"
            )
        return (input_shape[0], *sizes, channels)


class MaxPooling2D(_Pooling2D):
    """The largest value of every window; NaN counts as larger than any number.

    Args:
        pool_size: the window, (rows, columns) or one integer.
        strides: steps of the window; by default the window's own size.
        padding: "valid" for none, "same" for TensorFlow's rule. Padding never wins.
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, OH, OW, C).

    Example:
        >>> convkit.layers.MaxPooling2D((2, 2))
    """

    operation = "max_pool2d"
    capturable = True

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """Where in its window each maximum was."""
        shape = tuple(size for size in self.compute_output_shape(input_shape) if size is not None)
        return (SavedArray(shape, ops.max_pool2d_index_dtype(self.pool_size)),)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y and the indices of the maxima."""
        ops.max_pool2d_forward(
            x,
            self.pool_size,
            strides=self.strides,
            padding=self.padding,
            out=y,
            indices=saved[0],
        )

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dy goes to where the maxima were."""
        if dx is not None:
            ops.max_pool2d_backward(
                dy,
                saved[0],
                x.shape,
                self.pool_size,
                strides=self.strides,
                padding=self.padding,
                out=dx,
            )


class AveragePooling2D(_Pooling2D):
    """The mean of every window, padding not counted.

    Args:
        pool_size: the window, (rows, columns) or one integer.
        strides: steps of the window; by default the window's own size.
        padding: "valid" for none, "same" for TensorFlow's rule.
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, OH, OW, C).
    """

    operation = "average_pool2d"
    capturable = True

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = the mean of each window of x."""
        ops.average_pool2d_forward(
            x, self.pool_size, strides=self.strides, padding=self.padding, out=y
        )

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dy is shared out equally over each window."""
        if dx is not None:
            ops.average_pool2d_backward(
                dy,
                x.shape,
                self.pool_size,
                strides=self.strides,
                padding=self.padding,
                out=dx,
            )


# Keras's second names.
AvgPool2D = AveragePooling2D
MaxPool2D = MaxPooling2D
