"""DepthwiseConv2D: every channel is convolved by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import initializers, ops, regularizers
from ..parameters import Array, Parameter, Shape
from .activation import Activation, check_activation
from .base import EpilogueLayer, Layer, LayerOptions, Run
from .checks import check_data_format, check_padding, output_plane, positive, positive_pair

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DepthwiseConv2D(EpilogueLayer):
    """Convolve every channel by itself, with one kernel or several.

    It runs as a convolution with as many groups as there are channels. Output channel
    c * depth_multiplier + m is input channel c under its kernel m.

    Args:
        kernel_size: (KH, KW), or one integer for both.
        strides: steps of the window, (rows, columns) or one integer.
        padding: "valid" for none, "same" for TensorFlow's rule, OH = ceil(H / stride).
        depth_multiplier: M, the kernels of each channel.
        data_format: None or "channels_last", the only layout there is.
        dilation_rate: distance of the kernel's elements, (rows, columns) or one integer.
        activation: a name such as "relu", applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        depthwise_initializer, bias_initializer: names or objects of `convkit.initializers`.
        depthwise_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or
            None.

    Input: (N, H, W, C). Output: (N, OH, OW, C * M).
    Weights: kernel (KH, KW, C, M); bias (C * M,).

    Example:
        >>> convkit.layers.DepthwiseConv2D(3, padding="same", activation="relu")
    """

    operation = "depthwise_conv2d"
    keeps_input = True

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        depthwise_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.kernel_size = positive_pair(kernel_size, "kernel_size", self)
        self.strides = positive_pair(strides, "strides", self)
        self.padding = check_padding(padding, self)
        self.depth_multiplier = positive(depth_multiplier, "depth_multiplier", self)
        self.dilation_rate = positive_pair(dilation_rate, "dilation_rate", self)
        self.activation = check_activation(activation, self)
        self.use_bias = bool(use_bias)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel: Parameter
        self.bias: Parameter | None = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, OH, OW, C * M)."""
        self.expect_rank(input_shape, 4, "(N, H, W, C)")
        count, height, width, channels = input_shape
        assert height is not None
        assert width is not None
        assert channels is not None
        plane = output_plane(
            (height, width),
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            self,
        )
        return (count, *plane, channels * self.depth_multiplier)

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (KH, KW, C, M) and the bias (C * M,)."""
        channels = input_shape[-1]
        assert channels is not None
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        self.kernel = self.add_parameter(
            "kernel", shape, self.depthwise_initializer, self.depthwise_regularizer
        )
        if self.use_bias:
            size = channels * self.depth_multiplier
            self.bias = self.add_parameter(
                "bias", (size,), self.bias_initializer, self.bias_regularizer
            )

    def stages(self) -> tuple[Layer, ...]:
        """The convolution, then its activation."""
        if self.activation is None:
            return (self,)
        return (self, Activation(self.activation, name=self.name))

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        run: Run,
        activation: str | None = None,
    ) -> None:
        """y = activation(convolution of each channel with its kernels + bias)."""
        bias = None if self.bias is None else self.bias.value
        w = self._grouped(self.kernel.value)
        ops.conv2d_forward(x, w, bias, activation=activation, out=y, **self._geometry(x.shape[-1]))

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        run: Run,
        activation: str | None = None,
    ) -> None:
        """The gradients of the kernel, the bias and the input."""
        ops.conv2d_backward(
            x,
            self._grouped(self.kernel.value),
            dy,
            y,
            activation=activation,
            dx=dx,
            dw=None if self.kernel.frozen else self._grouped(self.kernel.gradient),
            db=None if self.bias is None or self.bias.frozen else self.bias.gradient,
            **self._geometry(x.shape[-1]),
        )

    def _grouped(self, kernel: Array) -> Array:
        """The same memory as the weights of a convolution in groups, (KH, KW, 1, C * M)."""
        return kernel.reshape(*self.kernel_size, 1, -1)

    def _geometry(self, channels: int) -> dict[str, Any]:
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation_rate,
            "groups": channels,
        }
