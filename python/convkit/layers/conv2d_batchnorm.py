"""What a plan makes of a convolution and its batch normalisation, and of what is behind them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.parameters import Array, Parameter
from ..ops._epilogue import Fused
from .activation import Activation
from .batchnorm import BatchNormalization
from .conv2d import BaseConv2D
from .merge import Add
from .pool2d import MaxPooling2D
from .step_context import SavedArray, StepContext


class ConvBatchNorm:
    """A convolution whose statistics are taken while its output is in a core's cache.

    The output is normalised, through an activation or as it is, and where a 2 x 2 max-pooling
    follows only the maxima are written; with that the activation is ReLU, if any. Backward goes all
    the way through the normalisation some images at a time. The derivative of an activation other
    than ReLU goes over the gradient that it is multiplied with.
    """

    merges = False
    in_place = False
    keeps_input = True
    dx_over_x = True
    adds_to_dx = True
    summand: int | None = None

    def __init__(
        self,
        layer: BaseConv2D,
        norm: BatchNormalization,
        *behind: Activation | MaxPooling2D,
    ) -> None:
        self.layer = layer
        self.norm = norm
        self.behind: Activation | None = None
        self.pooling: MaxPooling2D | None = None
        for stage in behind:
            if isinstance(stage, MaxPooling2D):
                self.pooling = stage
            else:
                self.behind = stage
        stages = (layer, norm, *behind)
        self.names = tuple(dict.fromkeys(name for stage in stages for name in stage.names))
        self.keeps_output = self.pooling is not None and self.behind is not None
        self.recomputes = self.pooling is None
        self.capturable = layer.capturable and norm.capturable

    @property
    def activation(self) -> Fused | None:
        """What is applied to the normalised output, as the ops take it."""
        return None if self.behind is None else self.behind.epilogue

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The convolution's and the normalisation's."""
        return [*self.layer.trainable_weights, *self.norm.trainable_weights]

    def is_view(self, training: bool) -> bool:
        """Never: there is something to compute."""
        return False

    def output_sizes(self, input_sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The normalised output, pooled where there is a pooling."""
        sizes = self.layer.output_sizes(input_sizes)
        return sizes if self.pooling is None else self.pooling.output_sizes(sizes)

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The convolution's output, the batch's statistics and the indices of the maxima."""
        n, sizes = input_shape[0], input_shape[1:]
        whole = (n, *self.layer.output_sizes(sizes))
        arrays = (SavedArray(whole), *self.norm.saved_arrays(whole))
        if self.pooling is None:
            return arrays
        return (*arrays, SavedArray((n, *self.output_sizes(sizes)), np.uint8))

    def forward(self, x: Any, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y from the batch's statistics in training, else from the moving ones."""
        self._forward(x, None, y, saved, context)

    def _forward(
        self,
        x: Array,
        residual: Array | None,
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        layer, norm = self.layer, self.norm
        arguments = (
            x,
            layer._grouped(layer.kernel.array),
            layer.bias_value,
            norm.gamma.array,
            norm.beta.array,
            norm.moving_mean.array,
            norm.moving_variance.array,
        )
        options: dict[str, Any] = {
            **layer.geometry,
            "epsilon": norm.epsilon,
            "residual": residual,
            "activation": self.activation,
            "out": y,
            "max_pool": self.pooling is not None,
            "indices": None if self.pooling is None else saved[3],
        }
        if context.training and norm.trainable:
            z, mean, rstd = saved[:3]
            ops.conv2d_batchnorm_forward(
                *arguments, momentum=norm.momentum, z=z, mean=mean, rstd=rstd, **options
            )
        else:
            ops.conv2d_batchnorm_inference(*arguments, **options)

    def backward(
        self,
        x: Any,
        y: Array,
        dy: Array,
        dx: Any,
        saved: tuple[Array, ...],
        context: StepContext,
        add_to_dx: bool = False,
    ) -> None:
        """The gradients of the kernel, the bias, gamma, beta and the input."""
        more: dict[str, Array] = {}
        if self.pooling is not None:
            more = {"y": y, "indices": saved[3]}
        elif self.activation not in (None, "relu"):
            more = {"dresidual": dy}
        self._backward(x, dy, saved, dx=dx, add_to_dx=add_to_dx, **more)

    def _backward(self, x: Array, dy: Array, saved: tuple[Array, ...], **options: Any) -> None:
        layer, norm = self.layer, self.norm
        dw = layer.kernel_gradient
        ops.conv2d_batchnorm_backward(
            x,
            layer._grouped(layer.kernel.array),
            saved[0],
            norm.gamma.array,
            norm.beta.array,
            saved[1],
            saved[2],
            dy,
            activation=self.activation,
            dw=None if dw is None else layer._grouped(dw),
            db=layer.bias_gradient,
            dgamma=norm.gamma.gradient,
            dbeta=norm.beta.gradient,
            **options,
            **layer.geometry,
        )

    def recompute(self, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y once more, bit for bit, in training and where there is no pooling."""
        norm = self.norm
        ops.batchnorm_apply(
            saved[0],
            norm.gamma.array,
            norm.beta.array,
            *saved[1:3],
            activation=self.activation,
            out=y,
        )

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The convolution and what is behind it."""
        whole = (input_shape[0], *self.layer.output_sizes(input_shape[1:]))
        parts = [
            self.layer.describe(input_shape, training),
            self.norm.describe(whole, training),
        ]
        if self.behind is not None:
            parts.append(self.behind.describe(whole, training))
        if self.pooling is not None:
            parts.append("max_pool2d")
        return " + ".join(parts)


class ConvBatchNormAdd(ConvBatchNorm):
    """The same with what is added to the normalised output, before ReLU if there is one.

    Its inputs are the convolution's and the other summand. The sum and ReLU are part of the pass
    that normalises; backward, the pass that takes the sums of the gradient writes ReLU's, which is
    also the other summand's, over the gradient that it reads.
    """

    merges = True
    summand = 1

    def __init__(
        self, layer: BaseConv2D, norm: BatchNormalization, add: Add, *behind: Activation
    ) -> None:
        super().__init__(layer, norm, *behind)
        names = (*layer.names, *norm.names, *add.names, *self.names)
        self.names = tuple(dict.fromkeys(names))
        self.keeps_output = self.behind is not None
        self.recomputes = False

    def output_sizes(self, input_sizes: Any) -> tuple[int, ...]:
        """The sum's."""
        return super().output_sizes(input_sizes[0])

    def saved_arrays(self, input_shape: Any) -> tuple[SavedArray, ...]:
        """The convolution's output and the batch's statistics."""
        return super().saved_arrays(input_shape[0])

    def forward(self, x: Any, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y, which may be the other summand."""
        self._forward(x[0], x[1], y, saved, context)

    def backward(
        self,
        x: Any,
        y: Array,
        dy: Array,
        dx: Any,
        saved: tuple[Array, ...],
        context: StepContext,
        add_to_dx: bool = False,
    ) -> None:
        """The gradients; the other summand's is in dy's place."""
        options = {"dx": dx[0], "add_to_dx": add_to_dx}
        if self.activation is not None:
            options |= {"y": y, "dresidual": dy}
        self._backward(x[0], dy, saved, **options)

    def describe(self, input_shape: Any, training: bool) -> str:
        """The convolution, the normalisation and the sum."""
        text = super().describe(input_shape[0], training)
        if self.activation is None:
            return f"{text} + add"
        return f"{text.removesuffix('relu')}add + relu"
