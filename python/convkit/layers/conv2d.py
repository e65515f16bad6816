"""Conv2D: convolution over images."""

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


class Conv2D(EpilogueLayer):
    """Convolution (in fact cross-correlation) with a kernel that is learnt.

    Args:
        filters: the number of output channels, OC.
        kernel_size: (KH, KW), or one integer for both.
        strides: steps of the window, (rows, columns) or one integer.
        padding: "valid" for none, "same" for TensorFlow's rule, OH = ceil(H / stride).
        data_format: None or "channels_last", the only layout there is.
        dilation_rate: distance of the kernel's elements, (rows, columns) or one integer.
        groups: into how many groups the channels are cut; each output group sees one of them.
        activation: a name such as "relu", applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        kernel_initializer, bias_initializer: names or objects of `convkit.initializers`.
        kernel_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or None.

    Input: (N, H, W, C). Output: (N, OH, OW, OC).
    Weights: kernel (KH, KW, C // groups, OC); bias (OC,).

    Attributes:
        geometry: strides, padding, dilation and groups, as the ops take them.

    Example:
        >>> convkit.layers.Conv2D(32, 3, padding="same", activation="relu")
    """

    operation = "conv2d"
    keeps_input = True

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        kernel_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.filters = positive(filters, "filters", self)
        self.kernel_size = positive_pair(kernel_size, "kernel_size", self)
        self.strides = positive_pair(strides, "strides", self)
        self.padding = check_padding(padding, self)
        self.dilation_rate = positive_pair(dilation_rate, "dilation_rate", self)
        self.groups = positive(groups, "groups", self)
        self.activation = check_activation(activation, self)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        if self.filters % self.groups:
            raise self.error(
                f"filters ({self.filters}) must be a multiple of groups ({self.groups})"
            )
        self.kernel: Parameter
        self.bias: Parameter | None = None
        self.geometry: dict[str, Any] = {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation_rate,
            "groups": self.groups,
        }

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, OH, OW, filters)."""
        self.expect_rank(input_shape, 4, "(N, H, W, C)")
        count, height, width, channels = input_shape
        assert height is not None
        assert width is not None
        assert channels is not None
        if channels % self.groups:
            raise self.error(
                f"the input's channels ({channels}) must be a multiple of groups ({self.groups})"
            )
        plane = output_plane(
            (height, width),
            self.kernel_size,
            self.strides,
            self.dilation_rate,
            self.padding,
            self,
        )
        return (count, *plane, self.filters)

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (KH, KW, C // groups, OC) and the bias (OC,)."""
        channels = input_shape[-1]
        assert channels is not None
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        self.kernel = self.add_parameter(
            "kernel", shape, self.kernel_initializer, self.kernel_regularizer
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", (self.filters,), self.bias_initializer, self.bias_regularizer
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
        """y = activation(convolution of x with the kernel + bias)."""
        bias = None if self.bias is None else self.bias.value
        ops.conv2d_forward(
            x, self.kernel.value, bias, activation=activation, out=y, **self.geometry
        )

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
            self.kernel.value,
            dy,
            y,
            activation=activation,
            dx=dx,
            dw=None if self.kernel.frozen else self.kernel.gradient,
            db=None if self.bias is None or self.bias.frozen else self.bias.gradient,
            **self.geometry,
        )

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The algorithms of the directions that run."""
        directions = ["forward", "backward_input", "backward_weights"] if training else ["forward"]
        channels = input_shape[-1] // self.groups
        names = [
            ops.conv2d_algorithm(
                input_shape,
                (*self.kernel_size, channels, self.filters),
                direction=direction,
                **self.geometry,
            )
            for direction in directions
        ]
        return f"{self.operation} {'/'.join(dict.fromkeys(names))}"
