"""What a plan makes of Conv2D and the batch normalisation behind it, with ReLU and a pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import ops
from ..core.parameters import Array, Parameter
from .activation import Activation
from .batchnorm import BatchNormalization
from .conv2d import Conv2D
from .pool2d import MaxPooling2D
from .run import Run, SavedArray


class ConvBatchNorm:
    """A convolution whose statistics are taken while its output is in a core's cache.

    The output is normalised, through ReLU or as it is, and where a 2 x 2 max-pooling follows only
    the maxima are written. Backward goes all the way through the normalisation some images at a
    time.
    """

    merges = False
    in_place = False
    keeps_input = True
    dx_over_x = True

    def __init__(
        self,
        layer: Conv2D,
        norm: BatchNormalization,
        *behind: Activation | MaxPooling2D,
    ) -> None:
        self.layer = layer
        self.norm = norm
        self.activation = None
        self.pooling: MaxPooling2D | None = None
        for stage in behind:
            if isinstance(stage, MaxPooling2D):
                self.pooling = stage
            else:
                self.activation = stage.activation
        stages = (layer, norm, *behind)
        self.names = tuple(dict.fromkeys(name for stage in stages for name in stage.names))
        self.keeps_output = self.pooling is not None and self.activation is not None
        self.repeats = layer.repeats and norm.repeats

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

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], run: Run) -> None:
        """y from the batch's statistics in training, else from the moving ones."""
        layer, norm = self.layer, self.norm
        arguments = (
            x,
            layer.kernel.value,
            layer.bias_value,
            norm.gamma.value,
            norm.beta.value,
            norm.moving_mean.value,
            norm.moving_variance.value,
        )
        options: dict[str, Any] = {
            **layer.geometry,
            "epsilon": norm.epsilon,
            "activation": self.activation,
            "max_pool": self.pooling is not None,
            "out": y,
            "indices": None if self.pooling is None else saved[3],
        }
        if run.training and norm.trainable:
            z, mean, rstd = saved[:3]
            ops.conv2d_batchnorm_forward(
                *arguments, momentum=norm.momentum, z=z, mean=mean, rstd=rstd, **options
            )
        else:
            ops.conv2d_batchnorm_inference(*arguments, **options)

    def backward(
        self, x: Array, y: Array, dy: Array, dx: Array | None, saved: tuple[Array, ...], run: Run
    ) -> None:
        """The gradients of the kernel, the bias, gamma, beta and the input."""
        layer, norm = self.layer, self.norm
        pooled: dict[str, Any] = {}
        if self.pooling is not None:
            pooled = {"y": y, "indices": saved[3]}
        ops.conv2d_batchnorm_backward(
            x,
            layer.kernel.value,
            saved[0],
            norm.gamma.value,
            norm.beta.value,
            saved[1],
            saved[2],
            dy,
            activation=self.activation,
            dx=dx,
            dw=layer.kernel_gradient,
            db=layer.bias_gradient,
            dgamma=norm.gamma.gradient,
            dbeta=norm.beta.gradient,
            **pooled,
            **layer.geometry,
        )

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The convolution and what is behind it."""
        whole = (input_shape[0], *self.layer.output_sizes(input_shape[1:]))
        parts = [
            self.layer.describe(input_shape, training),
            self.norm.describe(whole, training),
        ]
        if self.activation is not None:
            parts.append(self.activation)
        if self.pooling is not None:
            parts.append("max_pool2d")
        return " + ".join(parts)
