"""One step of SGD, RMSprop and Adam over a parameter array, in place, with Keras 3's formulas."""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, expect_shape, floating


def _state(value: Array, name: str, shape: tuple[int, ...] | None = None) -> Array:
    if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
        raise TypeError(f"{name} is updated in place and must be a floating-point NumPy array")
    if shape is not None:
        expect_shape(value, shape, name)
    return value


def sgd_update(
    w: Array,
    g: ArrayLike,
    velocity: Array | None,
    *,
    learning_rate: float,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Update w (any shape) and velocity (same shape) from the gradient g.

    velocity = momentum * velocity - learning_rate * g; w += velocity, or with Nesterov's form
    w += momentum * velocity - learning_rate * g (Sutskever et al., 2013). Without momentum,
    w -= learning_rate * g and velocity may be None. Weight decay comes first:
    w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    if momentum != 0 and velocity is None:
        raise ValueError("velocity must be an array when momentum is not 0, received None")
    if velocity is not None:
        _state(velocity, "velocity", w.shape)
    w -= learning_rate * weight_decay * w
    if momentum == 0 or velocity is None:
        w -= learning_rate * g
        return
    velocity[...] = momentum * velocity - learning_rate * g
    w += momentum * velocity - learning_rate * g if nesterov else velocity


def rmsprop_update(
    w: Array,
    g: ArrayLike,
    v: Array,
    momentum_buffer: Array | None,
    *,
    learning_rate: float,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """Update w, v and momentum_buffer (any shape, all equal) from the gradient g.

    T. Tieleman and G. Hinton, lecture 6.5 of "Neural networks for machine learning", 2012, as Keras
    3 writes it: v = rho * v + (1 - rho) * g**2, step = learning_rate * g / sqrt(v + epsilon),
    w -= step. With momentum, momentum_buffer = momentum * momentum_buffer + step is taken instead.
    Weight decay comes first: w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    v = _state(v, "v", w.shape)
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    if momentum != 0 and momentum_buffer is None:
        raise ValueError("momentum_buffer must be an array when momentum is not 0, received None")
    w -= learning_rate * weight_decay * w
    v[...] = rho * v + (1 - rho) * g * g
    step = learning_rate * g / np.sqrt(v + epsilon)
    if momentum_buffer is not None:
        _state(momentum_buffer, "momentum_buffer", w.shape)
        momentum_buffer[...] = momentum * momentum_buffer + step
        step = momentum_buffer
    w -= step


def adam_update(
    w: Array,
    g: ArrayLike,
    m: Array,
    v: Array,
    *,
    learning_rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int,
    weight_decay: float = 0.0,
) -> None:
    """Update w, m and v (any shape, all equal) from the gradient g; `step` counts from 1.

    Kingma and Ba, "Adam", 2014, in the form at the end of its section 2, so that epsilon is the
    paper's "epsilon hat": alpha = learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step),
    w -= alpha * m / (sqrt(v) + epsilon). Weight decay is decoupled (Loshchilov and Hutter, "AdamW",
    2017) and comes first: w -= learning_rate * weight_decay * w.
    """
    w = _state(w, "w")
    m, v = _state(m, "m", w.shape), _state(v, "v", w.shape)
    g = floating(g, "g")
    expect_shape(g, w.shape, "g")
    if operator.index(step) < 1:
        raise ValueError(f"step counts from 1, received {step!r}")
    w -= learning_rate * weight_decay * w
    alpha = learning_rate * math.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    m += (g - m) * (1 - beta_1)
    v += (g * g - v) * (1 - beta_2)
    w -= alpha * m / (np.sqrt(v) + epsilon)
