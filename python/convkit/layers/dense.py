"""Dense: every output sees every input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import initializers, ops, regularizers
from ..parameters import Array, Parameter, Shape
from .activation import Activation, check_activation
from .base import EpilogueLayer, Layer, LayerOptions, Run
from .checks import positive

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Dense(EpilogueLayer):
    """y = activation(x @ kernel + bias).

    Args:
        units: the number of outputs.
        activation: a name such as "relu" or "softmax", applied to the result.
        use_bias: whether to add a learnt bias.
        kernel_initializer, bias_initializer: names or objects of `convkit.initializers`.
        kernel_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or None.

    Input: (N, C). Output: (N, units). Weights: kernel (C, units); bias (units,).

    Example:
        >>> convkit.layers.Dense(10, activation="softmax")
    """

    operation = "dense"
    keeps_input = True

    def __init__(
        self,
        units: int,
        activation: str | None = None,
        use_bias: bool = True,
        kernel_initializer: str | initializers.Initializer | dict[str, Any] = "glorot_uniform",
        bias_initializer: str | initializers.Initializer | dict[str, Any] = "zeros",
        kernel_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        bias_regularizer: str | regularizers.Regularizer | dict[str, Any] | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.units = positive(units, "units", self)
        self.activation = check_activation(activation, self)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel: Parameter
        self.bias: Parameter | None = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, units)."""
        meaning = "(N, C); put Flatten() or GlobalAveragePooling2D() before it"
        self.expect_rank(input_shape, 2, meaning)
        return (input_shape[0], self.units)

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (C, units) and the bias (units,)."""
        channels = input_shape[-1]
        assert channels is not None
        shape = (channels, self.units)
        self.kernel = self.add_parameter(
            "kernel", shape, self.kernel_initializer, self.kernel_regularizer
        )
        if self.use_bias:
            self.bias = self.add_parameter(
                "bias", (self.units,), self.bias_initializer, self.bias_regularizer
            )

    def stages(self) -> tuple[Layer, ...]:
        """The matrix product, then its activation."""
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
        """y = activation(x @ kernel + bias)."""
        bias = None if self.bias is None else self.bias.value
        ops.dense_forward(x, self.kernel.value, bias, activation=activation, out=y)

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
        kernel = self.kernel
        db = None if self.bias is None or self.bias.frozen else self.bias.gradient
        if activation is None:
            if db is not None:
                ops.bias_backward(dy, out=db)
        elif db is None:
            ops.relu_backward(dy, y, out=dy)
        else:
            ops.bias_relu_backward(dy, y, out=dy, db=db)
        if not kernel.frozen:
            ops.dense_backward_weights(x, dy, out=kernel.gradient)
        if dx is not None:
            ops.dense_backward_input(dy, kernel.value, out=dx)
