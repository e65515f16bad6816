"""What a plan makes of Conv2D and the max-pooling behind it."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..core.parameters import Array, Parameter
from .activation import Activation
from .conv2d import Conv2D
from .pool2d import MaxPooling2D
from .step_context import SavedArray, StepContext


class ConvMaxPool:
    """A convolution whose output, through ReLU or as it is, is max-pooled 2 x 2 at once.

    The convolution's whole output is never in memory, which spares most of the traffic of a step.
    """

    merges = False
    in_place = False
    keeps_input = True
    dx_over_x = True
    adds_to_dx = False
    summand = None
    recomputes = False

    def __init__(self, layer: Conv2D, *behind: Activation | MaxPooling2D) -> None:
        self.layer = layer
        self.pooling = behind[-1]
        self.activation = "relu" if len(behind) == 2 else None
        self.names = tuple(dict.fromkeys(name for s in (layer, *behind) for name in s.names))
        self.keeps_output = self.activation is not None
        self.capturable = layer.capturable

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The convolution's own."""
        return self.layer.trainable_weights

    def is_view(self, training: bool) -> bool:
        """Never: there is something to compute."""
        return False

    def output_sizes(self, input_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The pooled output."""
        return self.pooling.output_sizes(self.layer.output_sizes(input_sizes))

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """Where in its window each maximum was."""
        return (SavedArray((input_shape[0], *self.output_sizes(input_shape[1:])), np.uint8),)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y and the indices of the maxima."""
        layer = self.layer
        ops.conv2d_max_pool2d_forward(
            x,
            layer.kernel.array,
            layer.bias_value,
            activation=self.activation,
            out=y,
            indices=saved[0],
            **layer.geometry,
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
        """The gradients of the kernel, the bias and the input."""
        layer = self.layer
        ops.conv2d_max_pool2d_backward(
            x,
            layer.kernel.array,
            y,
            saved[0],
            dy,
            activation=self.activation,
            dx=dx,
            dw=layer.kernel_gradient,
            db=layer.bias_gradient,
            **layer.geometry,
        )

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The convolution and what is behind it."""
        relu = "" if self.activation is None else " + relu"
        return f"{self.layer.describe(input_shape, training)}{relu} + max_pool2d"
