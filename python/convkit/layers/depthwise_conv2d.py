"""DepthwiseConv2D: every channel is convolved by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, regularizers
from ..activations import Function
from ..core.parameters import Array, Parameter, Shape
from .base import Layer, LayerOptions
from .checks import positive
from .conv2d import BaseConv2D

if TYPE_CHECKING:
    from typing_extensions import Unpack


class DepthwiseConv2D(BaseConv2D):
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
        activation: a name such as "relu", or a layer such as LeakyReLU(), applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        depthwise_initializer, bias_initializer: names or objects of `convkit.initializers`.
        depthwise_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or
            None.
        depthwise_constraint, bias_constraint: names or objects of `convkit.constraints`, or None.

    Input: (N, H, W, C). Output: (N, OH, OW, C * M).
    Weights: kernel (KH, KW, C, M); bias (C * M,).

    Example:
        >>> convkit.layers.DepthwiseConv2D(3, padding="same", activation="relu")
    """

    capturable = True
    operation = "depthwise_conv2d"
    shaping = BaseConv2D.shaping | {"depth_multiplier", "depthwise_initializer"}

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        activation: str | Function | Layer | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        depthwise_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        *,
        depthwise_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
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
        self.groups = 1  # until it is built
        self.depth_multiplier = positive(depth_multiplier, "depth_multiplier", self)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)

    def _output_channels(self, channels: int) -> int:
        """C * M."""
        return channels * self.depth_multiplier

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (KH, KW, C, M) and the bias (C * M,)."""
        channels = self._channels(input_shape)
        self.groups = channels
        shape = (*self.kernel_size, channels, self.depth_multiplier)
        outputs = self._output_channels(channels)
        self._add_kernel(
            shape,
            outputs,
            self.depthwise_initializer,
            self.depthwise_regularizer,
            self.depthwise_constraint,
        )

    def use_parameters(self, kernel: Parameter, bias: Parameter | None = None) -> None:
        """As of the base class, with as many groups as the kernel has channels."""
        super().use_parameters(kernel, bias)
        self.groups = kernel.shape[2]

    def argument_of(self, parameter: Parameter, kind: str) -> str:
        """The kernel's are called otherwise, as in Keras."""
        return super().argument_of(parameter, kind).replace("kernel", "depthwise")

    def _grouped(self, kernel: Array) -> Array:
        """The same memory as the weights of a convolution in groups, (KH, KW, 1, C * M)."""
        return kernel.reshape(*self.kernel_size, 1, -1)
