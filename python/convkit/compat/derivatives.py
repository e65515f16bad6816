"""The derivatives of NumPy's functions that are of one element each, and what moves elements."""

from __future__ import annotations

from typing import Any

import numpy as np

# The derivative by each argument, from the arguments and the result.
SLOPES: dict[Any, tuple[Any, ...]] = {
    np.add: (lambda a, b, y: 1.0, lambda a, b, y: 1.0),
    np.subtract: (lambda a, b, y: 1.0, lambda a, b, y: -1.0),
    np.multiply: (lambda a, b, y: b, lambda a, b, y: a),
    np.true_divide: (lambda a, b, y: 1.0 / b, lambda a, b, y: -y / b),
    np.power: (
        lambda a, b, y: b * np.power(a, np.subtract(b, 1)),
        lambda a, b, y: y * np.log(np.where(np.greater(a, 0), a, 1)),
    ),
    np.maximum: (lambda a, b, y: np.greater_equal(a, b), lambda a, b, y: np.greater(b, a)),
    np.minimum: (lambda a, b, y: np.less_equal(a, b), lambda a, b, y: np.less(b, a)),
    np.negative: (lambda a, y: -1.0,),
    np.square: (lambda a, y: 2.0 * a,),
    np.sqrt: (lambda a, y: 0.5 / y,),
    np.exp: (lambda a, y: y,),
    np.expm1: (lambda a, y: y + 1.0,),
    np.log: (lambda a, y: 1.0 / a,),
    np.log1p: (lambda a, y: 1.0 / (1.0 + a),),
    np.absolute: (lambda a, y: np.sign(a),),
    np.tanh: (lambda a, y: 1.0 - y * y,),
    np.sin: (lambda a, y: np.cos(a),),
    np.cos: (lambda a, y: -np.sin(a),),
}
MATMUL = (
    lambda g, a, b: g @ np.swapaxes(b, -1, -2),
    lambda g, a, b: np.swapaxes(a, -1, -2) @ g,
)
# What is the same around almost every place.
STEPS = {np.sign, np.floor, np.ceil, np.rint, np.floor_divide, np.trunc}
CONSTANTS = {
    *(np.argmax, np.argmin, np.argsort, np.ndim, np.ones_like, np.round, np.shape, np.size),
    *(np.zeros_like, np.argwhere, np.all, np.any, np.result_type),
}
# What puts elements into other places, and repeats them or leaves some out.
PLACES = {
    *(np.broadcast_to, np.expand_dims, np.flip, np.moveaxis, np.ravel, np.repeat, np.reshape),
    *(np.squeeze, np.swapaxes, np.take, np.take_along_axis, np.tile, np.transpose),
}
