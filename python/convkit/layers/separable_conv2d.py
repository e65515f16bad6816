"""SeparableConv2D: every channel is convolved by itself, then channels are mixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, regularizers
from ..core.parameters import Parameter, Shape
from .base import Layer, LayerOptions
from .checks import positive
from .conv2d import BaseConv2D, Conv2D
from .depthwise_conv2d import DepthwiseConv2D

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SeparableConv2D(BaseConv2D):
    """A convolution of every channel by itself, then a 1 x 1 convolution of all of them.

    It has fewer weights than a convolution, and runs as the two layers that it stands for.
    (F. Chollet, "Xception: deep learning with depthwise separable convolutions", 2017.)

    Args:
        filters: the number of output channels, OC.
        kernel_size: (KH, KW), or one integer for both.
        strides: steps of the window, (rows, columns) or one integer.
        padding: "valid" for none, "same" for TensorFlow's rule, OH = ceil(H / stride).
        data_format: None or "channels_last", the only layout there is.
        dilation_rate: distance of the kernel's elements, (rows, columns) or one integer.
        depth_multiplier: M, the kernels of each channel.
        activation: a name such as "relu", or a layer such as LeakyReLU(), applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        depthwise_initializer, pointwise_initializer, bias_initializer: names or objects of
            `convkit.initializers`.
        depthwise_regularizer, pointwise_regularizer, bias_regularizer: names or objects of
            `convkit.regularizers`, or None.
        depthwise_constraint, pointwise_constraint, bias_constraint: names or objects of
            `convkit.constraints`, or None.

    Input: (N, H, W, C). Output: (N, OH, OW, OC).
    Weights: depthwise_kernel (KH, KW, C, M); pointwise_kernel (1, 1, C * M, OC); bias (OC,).

    Example:
        >>> convkit.layers.SeparableConv2D(32, 3, padding="same", activation="relu")
    """

    operation = "separable_conv2d"
    groups = 1
    shaping = BaseConv2D.shaping | {
        "depth_multiplier",
        "depthwise_initializer",
        "filters",
        "pointwise_initializer",
    }

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        depth_multiplier: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        pointwise_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        depthwise_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        pointwise_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        *,
        depthwise_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        pointwise_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
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
        self.depth_multiplier = positive(depth_multiplier, "depth_multiplier", self)
        self.depthwise_initializer = initializers.get(depthwise_initializer)
        self.pointwise_initializer = initializers.get(pointwise_initializer)
        self.depthwise_regularizer = regularizers.get(depthwise_regularizer)
        self.pointwise_regularizer = regularizers.get(pointwise_regularizer)
        self.depthwise_constraint = constraints.get(depthwise_constraint)
        self.pointwise_constraint = constraints.get(pointwise_constraint)
        self.depthwise_kernel: Parameter
        self.pointwise_kernel: Parameter

    def _output_channels(self, channels: int) -> int:
        """The filters."""
        return self.filters

    def create_parameters(self, input_shape: Shape) -> None:
        """Both kernels and the bias."""
        channels = self._channels(input_shape)
        self.depthwise_kernel = self.add_parameter(
            "depthwise_kernel",
            (*self.kernel_size, channels, self.depth_multiplier),
            self.depthwise_initializer,
            self.depthwise_regularizer,
            self.depthwise_constraint,
        )
        self.pointwise_kernel = self.add_parameter(
            "pointwise_kernel",
            (1, 1, channels * self.depth_multiplier, self.filters),
            self.pointwise_initializer,
            self.pointwise_regularizer,
            self.pointwise_constraint,
        )
        if self.use_bias:
            of_bias = self.bias_initializer, self.bias_regularizer, self.bias_constraint
            self.bias = self.add_parameter("bias", (self.filters,), *of_bias)

    def argument_of(self, parameter: Parameter, kind: str) -> str:
        """Those of the kernels are called otherwise, as in Keras."""
        return super().argument_of(parameter, kind).replace("_kernel", "")

    def stages(self) -> tuple[Layer, ...]:
        """A depthwise and a pointwise convolution, which have this layer's parameters.

        Then its activation. What can be fused with a convolution is fused with the second.
        """
        common: LayerOptions = {"name": self.name, "trainable": self.trainable}
        depthwise = DepthwiseConv2D(
            self.kernel_size,
            self.strides,
            self.padding,
            self.depth_multiplier,
            dilation_rate=self.dilation_rate,
            use_bias=False,
            **common,
        )
        pointwise = Conv2D(self.filters, 1, use_bias=self.use_bias, **common)
        if self._parameters:
            depthwise.use_parameters(self.depthwise_kernel)
            pointwise.use_parameters(self.pointwise_kernel, self.bias)
        return (depthwise, pointwise, *super().stages()[1:])


SeparableConvolution2D = SeparableConv2D  # Keras's second name
