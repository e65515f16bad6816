"""GlobalAveragePooling2D and GlobalMaxPooling2D: one value a channel, over the whole plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import ops
from ..core.config import flag
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import check_data_format
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _GlobalPooling2D(Layer):
    """What both global poolings share: the output's shape."""

    shaping = Layer.shaping | {"data_format", "keepdims"}

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.keepdims = flag(keepdims, "keepdims", self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, C), or (N, 1, 1, C)."""
        *_, channels = self._image_sizes(input_shape)
        plane = (1, 1) if self.keepdims else ()
        return (input_shape[0], *plane, channels)


class GlobalAveragePooling2D(_GlobalPooling2D):
    """The mean of every channel.

    Args:
        data_format: None or "channels_last", the only layout there is.
        keepdims: whether the output is images of one pixel.

    Input: (N, H, W, C). Output: (N, C), or (N, 1, 1, C) with `keepdims`.
    """

    operation = "global_average_pool2d"
    adds_to_dx = True
    capturable = True

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = the mean of x over rows and columns."""
        ops.global_average_pool2d_forward(x, out=_rows(y))

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
        add_to_dx: bool = False,
    ) -> None:
        """dy is shared out equally over each plane, or what dx holds gets the share."""
        if dx is None:
            return
        if not add_to_dx:
            ops.global_average_pool2d_backward(_rows(dy), x.shape, out=dx)
            return
        n, h, w, c = x.shape
        share = dy.reshape(n, 1, 1, c)
        ops.add_backward(share, share.shape, divisor=float(h * w), out=share)
        ops.add(dx, share, out=dx)


class GlobalMaxPooling2D(_GlobalPooling2D):
    """The largest value of every channel; NaN counts as larger than any number.

    Args:
        data_format: None or "channels_last", the only layout there is.
        keepdims: whether the output is images of one pixel.

    Input: (N, H, W, C). Output: (N, C), or (N, 1, 1, C) with `keepdims`.
    """

    operation = "global_max_pool2d"

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """Where in its plane each maximum was, as h * W + w."""
        return (SavedArray((input_shape[0], input_shape[-1]), np.int32),)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y and the indices of the maxima."""
        ops.global_max_pool2d_forward(x, out=_rows(y), indices=saved[0])

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
            ops.global_max_pool2d_backward(_rows(dy), saved[0], x.shape, out=dx)


# Keras's second names.
GlobalAvgPool2D = GlobalAveragePooling2D
GlobalMaxPool2D = GlobalMaxPooling2D


def _rows(array: Array) -> Array:
    """(N, C) or (N, 1, 1, C) as the ops take it, (N, C), in the same memory."""
    return array.reshape(array.shape[0], array.shape[-1])
