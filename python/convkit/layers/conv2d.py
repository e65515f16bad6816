"""Conv2D: convolution over images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, ops, regularizers
from ..activations import Function
from ..core.parameters import Array, Shape
from ..ops._epilogue import Fused
from .base import Layer, LayerOptions
from .checks import check_data_format, check_padding, output_plane, positive, positive_pair
from .epilogue import KernelLayer, KernelOptions
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class BaseConv2D(KernelLayer):
    """What Conv2D and DepthwiseConv2D share: the window, and the ops that compute both.

    Args:
        kernel_size, strides, padding, data_format, dilation_rate: as of `Conv2D`.

    Attributes:
        groups: into how many groups the channels are cut.
    """

    groups: int

    adds_to_dx = True
    shaping = KernelLayer.shaping | {
        "data_format",
        "dilation_rate",
        "kernel_size",
        "padding",
        "strides",
    }

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int],
        padding: str,
        data_format: str | None,
        dilation_rate: int | Sequence[int],
        **options: Unpack[KernelOptions],
    ) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)
        self.kernel_size = positive_pair(kernel_size, "kernel_size", self)
        self.strides = positive_pair(strides, "strides", self)
        self.padding = check_padding(padding, self)
        self.dilation_rate = positive_pair(dilation_rate, "dilation_rate", self)

    @property
    def geometry(self) -> dict[str, Any]:
        """Strides, padding, dilation and groups, as the ops take them."""
        return {
            "strides": self.strides,
            "padding": self.padding,
            "dilation": self.dilation_rate,
            "groups": self.groups,
        }

    def _output_channels(self, channels: int) -> int:
        """OC for inputs of so many channels; ValueError if the layer cannot take them."""
        raise NotImplementedError

    def _grouped(self, kernel: Array) -> Array:
        """The kernel, or its gradient, as the ops take it: (KH, KW, C // groups, OC)."""
        return kernel

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, OH, OW, OC)."""
        *plane, channels = self._image_sizes(input_shape)
        outputs = self._output_channels(channels)
        window = [
            (size - 1) * step + 1
            for size, step in zip(self.kernel_size, self.dilation_rate, strict=True)
        ]
        sizes = output_plane(plane, window, self.strides, self.padding)
        if min(sizes) < 1:
            raise self.error(
                f"kernel_size {self.kernel_size} with dilation_rate {self.dilation_rate} is larger "
                f"than the input {tuple(plane)}; use a smaller kernel, larger images or "
                f"padding='same'"
            )
        return (input_shape[0], *sizes, outputs)

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """y = activation(convolution of x with the kernel + bias)."""
        w = self._grouped(self.kernel.array)
        ops.conv2d_forward(
            x,
            w,
            self.bias_value,
            activation=activation,
            out=y,
            z=saved[0] if saved else None,
            **self.geometry,
        )

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
        """The gradients of the kernel, the bias and the input, the last perhaps added to dx."""
        dw = self.kernel_gradient
        ops.conv2d_backward(
            x,
            self._grouped(self.kernel.array),
            dy,
            saved[0] if saved else y,
            activation=activation,
            add_to_dx=add_to_dx,
            dx=dx,
            dw=None if dw is None else self._grouped(dw),
            db=self.bias_gradient,
            **self.geometry,
        )


class Conv2D(BaseConv2D):
    """Convolution (in fact cross-correlation) with a kernel that is learnt.

    Args:
        filters: the number of output channels, OC.
        kernel_size: (KH, KW), or one integer for both.
        strides: steps of the window, (rows, columns) or one integer.
        padding: "valid" for none, "same" for TensorFlow's rule, OH = ceil(H / stride).
        data_format: None or "channels_last", the only layout there is.
        dilation_rate: distance of the kernel's elements, (rows, columns) or one integer.
        groups: into how many groups the channels are cut; each output group sees one of them.
        activation: a name such as "relu", or a layer such as LeakyReLU(), applied to the result.
        use_bias: whether to add a learnt bias to each output channel.
        kernel_initializer, bias_initializer: names or objects of `convkit.initializers`.
        kernel_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or None.
        kernel_constraint, bias_constraint: names or objects of `convkit.constraints`, or None.
        algorithm: "auto", or "direct" to do without Winograd's algorithm in this layer, forward and
            backward: slower by up to three times, and as exact where single values are much larger
            than their neighbours as elsewhere (docs/accuracy.md).

    Input: (N, H, W, C). Output: (N, OH, OW, OC).
    Weights: kernel (KH, KW, C // groups, OC); bias (OC,).

    Example:
        >>> convkit.layers.Conv2D(32, 3, padding="same", activation="relu")
    """

    operation = "conv2d"
    capturable = True
    shaping = BaseConv2D.shaping | {"filters", "groups", "kernel_initializer"}

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = (1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: int | Sequence[int] = (1, 1),
        groups: int = 1,
        activation: str | Function | Layer | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        kernel_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        *,
        kernel_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        bias_constraint: str | constraints.Constraint | dict[str, Any] | None = None,
        algorithm: str = "auto",
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
        self.groups = positive(groups, "groups", self)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        if self.filters % self.groups:
            raise self.error(
                f"filters ({self.filters}) must be a multiple of groups ({self.groups})"
            )
        if not isinstance(algorithm, str) or algorithm not in ("auto", "direct"):
            raise self.error(f"algorithm must be 'auto' or 'direct', received {algorithm!r}")
        self.algorithm = algorithm

    @property
    def geometry(self) -> dict[str, Any]:
        """As of the base class, and the algorithm."""
        return {**super().geometry, "algorithm": self.algorithm}

    def _output_channels(self, channels: int) -> int:
        """The filters."""
        if channels % self.groups:
            raise self.error(
                f"the input's channels ({channels}) must be a multiple of groups ({self.groups})"
            )
        return self.filters

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (KH, KW, C // groups, OC) and the bias (OC,)."""
        channels = self._channels(input_shape)
        shape = (*self.kernel_size, channels // self.groups, self.filters)
        of_kernel = self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        self._add_kernel(shape, self.filters, *of_kernel)

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


Convolution2D = Conv2D  # Keras's second name
