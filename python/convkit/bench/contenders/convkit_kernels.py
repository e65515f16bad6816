"""convkit's kernels as the benchmark calls them: every result goes into an array that exists."""

from __future__ import annotations

from functools import partial

import numpy as np

from ... import ops
from ..shapes import Array, Calls, LayerArrays, LayerShape, empty


def convkit_calls(shape: LayerShape, arrays: LayerArrays) -> Calls:
    """What to call for each direction of this shape."""
    return _OPERATIONS[shape.operation](shape, arrays)


def _conv2d(shape: LayerShape, a: LayerArrays) -> Calls:
    activation = "relu" if shape.relu else None
    y, dx, dw, db = (empty(like.shape) for like in (a.dy, a.x, a.w, a.b))

    def backward_weights() -> tuple[Array, Array]:
        ops.conv2d_backward_weights(a.x, a.dy, shape.w_shape, padding=shape.padding, out=dw)
        ops.bias_backward(a.dy, out=db)
        return dw, db

    return {
        "forward": lambda: ops.conv2d_forward(
            a.x, a.w, a.b, padding=shape.padding, activation=activation, out=y
        ),
        "backward_input": lambda: ops.conv2d_backward_input(
            a.dy, a.w, shape.x_shape, padding=shape.padding, out=dx
        ),
        "backward_weights": backward_weights,
    }


def _dense(shape: LayerShape, a: LayerArrays) -> Calls:
    activation = "relu" if shape.relu else None
    y, dx, dw, db = (empty(like.shape) for like in (a.dy, a.x, a.w, a.b))

    def backward_weights() -> tuple[Array, Array]:
        ops.dense_backward_weights(a.x, a.dy, out=dw)
        ops.bias_backward(a.dy, out=db)
        return dw, db

    return {
        "forward": lambda: ops.dense_forward(a.x, a.w, a.b, activation=activation, out=y),
        "backward_input": lambda: ops.dense_backward_input(a.dy, a.w, out=dx),
        "backward_weights": backward_weights,
    }


def _max_pool2d(shape: LayerShape, a: LayerArrays) -> Calls:
    y, indices = ops.max_pool2d_forward(a.x, out=empty(a.dy.shape))
    dx = empty(a.x.shape)
    return {
        "forward": lambda: ops.max_pool2d_forward(a.x, out=y, indices=indices),
        "backward": lambda: ops.max_pool2d_backward(a.dy, indices, shape.x_shape, out=dx),
    }


def _batchnorm(shape: LayerShape, a: LayerArrays) -> Calls:
    activation = "relu" if shape.relu else None
    moving_mean, moving_variance = np.zeros_like(a.b), np.ones_like(a.b)
    forward = partial(
        ops.batchnorm_forward,
        a.x,
        a.gamma,
        a.b,
        moving_mean,
        moving_variance,
        activation=activation,
        out=empty(a.x.shape),
    )
    _, mean, rstd = forward()
    dx, dgamma, dbeta = (empty(like.shape) for like in (a.x, a.b, a.b))
    return {
        "forward": partial(forward, mean=mean, rstd=rstd),
        "backward": lambda: ops.batchnorm_backward(
            a.dy,
            a.x,
            a.gamma,
            a.b,
            mean,
            rstd,
            activation=activation,
            out=dx,
            dgamma=dgamma,
            dbeta=dbeta,
        ),
    }


def _relu(shape: LayerShape, a: LayerArrays) -> Calls:
    y, dx = ops.relu_forward(a.x, out=empty(a.x.shape)), empty(a.x.shape)
    return {
        "forward": lambda: ops.relu_forward(a.x, out=y),
        "backward": lambda: ops.relu_backward(a.dy, y, out=dx),
    }


_OPERATIONS = {
    "conv2d": _conv2d,
    "batchnorm": _batchnorm,
    "max_pool2d": _max_pool2d,
    "dense": _dense,
    "relu": _relu,
}
