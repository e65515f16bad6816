"""Conv2DTranspose: what turns a convolution's output back into images of its input's size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, ops, regularizers
from ..core.parameters import Array, Shape
from ..ops._epilogue import Fused
from .base import LayerOptions
from .checks import not_negative, positive
from .conv2d import BaseConv2D
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Conv2DTranspose(BaseConv2D):
    """The transpose of a convolution, with a kernel that is learnt.

    It computes what a convolution of those arguments computes backward: forward the gradient of its
    input, and backward what it computes forward. (V. Dumoulin and F. Visin, "A guide to convolution
    arithmetic for deep learning", 2016.)

    Args:
        filters: the number of output channels, OC.
        kernel_size: (KH, KW), or one integer for both.
        strides: how many rows and columns an input's row and column become; or one integer.
        padding: "valid" keeps all that the kernel reaches, OH = (H - 1) * stride + KH, at least
            H * stride; "same" gives OH = H * stride.
        output_padding: rows and columns, below the strides, that say otherwise how large the
            output is: OH = (H - 1) * stride + KH + output_padding for "valid", and
            (H - 1) * stride + KH % 2 + output_padding for "same". None for the sizes above.
        data_format: None or "channels_last", the only layout there is.
        dilation_rate: distance of the kernel's elements, (rows, columns) or one integer, where the
            strides are 1. The sizes above then are those with KH = (KH - 1) * dilation + 1.
        activation: a name such as "relu", or a layer such as LeakyReLU(), applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        kernel_initializer, bias_initializer: names or objects of `convkit.initializers`.
        kernel_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or None.
        kernel_constraint, bias_constraint: names or objects of `convkit.constraints`, or None.

    Input: (N, H, W, C). Output: (N, OH, OW, OC).
    Weights: kernel (KH, KW, OC, C); bias (OC,).

    Example:
        >>> convkit.layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="relu")
    """

    operation = "conv2d_transpose"
    capturable = True
    adds_to_dx = False
    groups = 1
    shaping = BaseConv2D.shaping | {"filters", "kernel_initializer", "output_padding"}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        output_padding: int | Sequence[int] | None = None,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        kernel_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        *,
        kernel_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        bias_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            kernel_size,
            strides,
            padding,
            data_format,
            dilation_rate,
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            **options,
        )
        self.filters = positive(filters, "filters", self)
        self.output_padding = self._checked_output_padding(output_padding)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise self.error(
                f"strides and dilation_rate cannot both be more than 1, received strides "
                f"{self.strides} and dilation_rate {self.dilation_rate}; use one of them"
            )

    def _checked_output_padding(self, value: Any) -> tuple[int, int] | None:
        if value is None:
            return None
        pair = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,) * 2
        if len(pair) != 2:
            raise self.error(
                f"output_padding must be an integer, a pair of them, or None, received {value!r}"
            )
        rows, columns = (not_negative(each, "output_padding", self) for each in pair)
        if rows >= self.strides[0] or columns >= self.strides[1]:
            raise self.error(
                f"output_padding must be below the strides {self.strides}, received {value!r}"
            )
        return rows, columns

    def _plane(self, plane: Sequence[int]) -> tuple[tuple[int, int], list[tuple[int, int]]]:
        """(OH, OW) of images (H, W), and what the convolution back pads its input with."""
        sizes, pads = [], []
        for axis in (0, 1):
            stride, extra = self.strides[axis], (self.output_padding or (None, None))[axis]
            window = (self.kernel_size[axis] - 1) * self.dilation_rate[axis] + 1
            # Of (H - 1) * stride + window rows that the kernel reaches, so many are cut off; of an
            # odd number more at the end. Where it is negative, rows of zeros come behind.
            if self.padding == "valid":
                cut = -(max(stride - window, 0) if extra is None else extra)
            else:
                cut = window - stride if extra is None else window - window % 2 - extra
            before = max(cut // 2, 0)
            sizes.append((plane[axis] - 1) * stride + window - cut)
            pads.append((before, max(cut - before, 0)))
        return (sizes[0], sizes[1]), pads

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, OH, OW, OC)."""
        *plane, _ = self._image_sizes(input_shape)
        sizes, _ = self._plane(plane)
        if min(sizes) < 1:
            raise self.error(
                f"of an input {tuple(plane)} with output_padding {self.output_padding} nothing is "
                f"left; give it a larger output_padding, or none"
            )
        return (input_shape[0], *sizes, self.filters)

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (KH, KW, OC, C) and the bias (OC,)."""
        shape = (*self.kernel_size, self.filters, self._channels(input_shape))
        of_kernel = self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        self._add_kernel(shape, self.filters, *of_kernel)

    def _convolution(self, x: Array) -> dict[str, Any]:
        """The arguments of the convolution that goes from the output's size to the input's."""
        _, pads = self._plane(x.shape[1:3])
        return {"strides": self.strides, "padding": pads, "dilation": self.dilation_rate}

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """y = activation(transposed convolution of x + bias)."""
        ops.conv2d_backward_input(x, self.kernel.array, y.shape, out=y, **self._convolution(x))
        if self.bias is not None or activation is not None:
            ops.bias_forward(y, self.bias_value, activation=activation, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
        add_to_dx: bool = False,
    ) -> None:
        """The gradients of the bias, the kernel and the input, which is never added to dx."""
        assert not add_to_dx
        db, dw, geometry = self.bias_gradient, self.kernel_gradient, self._convolution(x)
        if activation is not None:
            ops.relu_backward(dy, y, out=dy)
        if db is not None:
            ops.bias_backward(dy, out=db)
        if dw is not None:  # before dx, which may take the place of x
            ops.conv2d_backward_weights(dy, x, dw.shape, out=dw, **geometry)
        if dx is not None:
            ops.conv2d_forward(dy, self.kernel.array, out=dx, **geometry)


Convolution2DTranspose = Conv2DTranspose  # Keras's second name
