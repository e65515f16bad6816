"""Dense: every output sees every input of its row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import constraints, initializers, ops, regularizers
from ..activations import Function
from ..core.parameters import Array, Shape
from ..ops._epilogue import Fused, epilogue_backward
from .base import Layer, LayerOptions
from .checks import positive
from .epilogue import KernelLayer
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Dense(KernelLayer):
    """y = activation(x @ kernel + bias).

    Args:
        units: the number of outputs.
        activation: a name such as "relu" or "softmax", applied to the result.
        use_bias: whether to add a learnt bias.
        kernel_initializer, bias_initializer: names or objects of `convkit.initializers`.
        kernel_regularizer, bias_regularizer: names or objects of `convkit.regularizers`, or None.
        kernel_constraint, bias_constraint: names or objects of `convkit.constraints`, or None.

    Input: (N, ..., C). Output: (N, ..., units): the kernel is applied along the last axis. Images
    are made rows of all their values by `Flatten()`, or of a mean a channel by
    `GlobalAveragePooling2D()`. Weights: kernel (C, units); bias (units,).

    Example:
        >>> convkit.layers.Dense(10, activation="softmax")
    """

    capturable = True
    operation = "dense"
    shaping = KernelLayer.shaping | {"units", "kernel_initializer"}

    def __init__(
        self,
        units: int,
        activation: str | Function | Layer | None = None,
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
            activation=activation,
            use_bias=use_bias,
            bias_initializer=bias_initializer,
            bias_regularizer=bias_regularizer,
            bias_constraint=bias_constraint,
            **options,
        )
        self.units = positive(units, "units", self)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, ..., units)."""
        if len(self._whole_shape(input_shape)) < 2:
            raise self.error(
                f"expected inputs (N, ..., C), such as the rows (N, C) that Flatten() or "
                f"GlobalAveragePooling2D() make of images, received shape {tuple(input_shape)}"
            )
        self._sample_sizes(input_shape)
        return (*input_shape[:-1], self.units)

    def create_parameters(self, input_shape: Shape) -> None:
        """The kernel (C, units) and the bias (units,)."""
        shape = (self._channels(input_shape), self.units)
        of_kernel = self.kernel_initializer, self.kernel_regularizer, self.kernel_constraint
        self._add_kernel(shape, self.units, *of_kernel)

    def forward(
        self,
        x: Array,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        activation: Fused | None = None,
    ) -> None:
        """y = activation(x @ kernel + bias)."""
        ops.dense_forward(
            _rows(x),
            self.kernel.array,
            self.bias_value,
            activation=activation,
            out=_rows(y),
            z=_rows(saved[0]) if saved else None,
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
    ) -> None:
        """The gradients of the kernel, the bias and the input."""
        dw, db = self.kernel_gradient, self.bias_gradient
        if activation is None:
            if db is not None:
                ops.bias_backward(dy, out=db)
        elif activation != "relu":
            epilogue_backward(activation, dy, saved[0] if saved else y, out=dy)
            if db is not None:
                ops.bias_backward(dy, out=db)
        elif db is None:
            ops.relu_backward(dy, y, out=dy)
        else:
            ops.bias_relu_backward(dy, y, out=dy, db=db)
        if dw is not None:
            ops.dense_backward_weights(_rows(x), _rows(dy), out=dw)
        if dx is not None:
            ops.dense_backward_input(_rows(dy), self.kernel.array, out=_rows(dx))


def _rows(array: Array) -> Array:
    """(N, ..., C) as one row of C after the other, in the same memory."""
    return array if array.ndim == 2 else array.reshape(-1, array.shape[-1])
