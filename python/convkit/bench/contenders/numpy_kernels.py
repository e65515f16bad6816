"""The NumPy contender's layers as the benchmark of single kernels calls them.

`backward_weights` of a convolution uses the matrix that its forward pass built, as it does in a
training step, so that im2col is counted once.
"""

from __future__ import annotations

import numpy as np

from ..shapes import Calls, LayerArrays, LayerShape
from .numpy_conv2d import Conv2D
from .numpy_layers import BatchNorm, Dense, MaxPool2D, ReLU


def numpy_calls(shape: LayerShape, arrays: LayerArrays) -> Calls:
    """What to call for each direction of this shape."""
    x_shape, w, b = shape.x_shape, arrays.w, arrays.b
    if shape.operation == "conv2d":
        conv = Conv2D(x_shape, w, b, padding=shape.padding, relu=shape.relu)
        return _with_weights(conv, arrays)
    if shape.operation == "dense":
        return _with_weights(Dense(x_shape, w, b, relu=shape.relu), arrays)
    if shape.operation == "batchnorm":
        return _without_weights(_batchnorm(shape, arrays), arrays)
    layer = MaxPool2D(x_shape) if shape.operation == "max_pool2d" else ReLU(x_shape)
    return _without_weights(layer, arrays)


def _batchnorm(shape: LayerShape, arrays: LayerArrays) -> BatchNorm:
    return BatchNorm(
        shape.x_shape,
        arrays.gamma,
        arrays.b,
        moving_mean=np.zeros_like(arrays.b),
        moving_variance=np.ones_like(arrays.b),
        relu=shape.relu,
    )


def _with_weights(layer: Conv2D | Dense, arrays: LayerArrays) -> Calls:
    layer.forward(arrays.x)  # the gradients need what it keeps, whichever is measured first
    return {
        "forward": lambda: layer.forward(arrays.x),
        "backward_input": lambda: layer.backward_input(arrays.dy),
        "backward_weights": lambda: layer.backward_weights(arrays.dy),
    }


def _without_weights(layer: MaxPool2D | BatchNorm | ReLU, arrays: LayerArrays) -> Calls:
    # These may work in place, so they get copies of their own.
    x, dy = arrays.x.copy(), arrays.dy.copy()
    layer.forward(x)
    return {"forward": lambda: layer.forward(x), "backward": lambda: layer.backward(dy)}
