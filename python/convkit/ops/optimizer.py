"""Parameter updates over flat arrays, in place and in one pass.

Moving averages below 1.2e-38, the smallest normal number (Adam's first moment below 1.2e-32),
become 0: those of a weight without gradient would end as denormal numbers, and slow processors
down.

What changes from one update to the next, the learning rate and the step, may be an array of one
number: a remembered call reads it anew.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_number, check_output, real, truth

_FLOAT32 = np.dtype(np.float32)
_FLOAT64 = np.dtype(np.float64)
_INT64 = np.dtype(np.int64)

Rate = float | npt.NDArray[np.float64]  # an array is of shape (1,)


def _check_like(w: Any, **arrays: Any) -> None:
    """w and every array are float32, in C order, of w's shape."""
    check_output("w", w, getattr(w, "shape", ()), _FLOAT32)
    for name, array in arrays.items():
        check_output(name, array, w.shape, _FLOAT32)


def _rate(learning_rate: Rate) -> npt.NDArray[np.float64]:
    return as_number("learning_rate", learning_rate, _FLOAT64)


def sgd_update(
    w: Floats,
    g: Floats,
    velocity: Floats | None,
    *,
    learning_rate: Rate,
    momentum: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
) -> None:
    """Stochastic gradient descent with momentum, as Keras computes it; updates w and velocity.

    w -= learning_rate * weight_decay * w; velocity = momentum * velocity - learning_rate * g;
    w += velocity, or with Nesterov w += momentum * velocity - learning_rate * g. Without momentum
    velocity may be None and w -= learning_rate * g.
    """
    if velocity is None:
        if momentum != 0.0:
            raise ValueError("momentum needs a velocity array of w's shape")
        _check_like(w, g=g)
    else:
        _check_like(w, g=g, velocity=velocity)
    numbers = (
        real("momentum", momentum),
        truth("nesterov", nesterov),
        real("weight_decay", weight_decay),
    )
    _core.sgd_update(w, g, velocity, _rate(learning_rate), *numbers)


def rmsprop_update(
    w: Floats,
    g: Floats,
    v: Floats,
    momentum_buffer: Floats | None,
    *,
    learning_rate: Rate,
    rho: float = 0.9,
    momentum: float = 0.0,
    epsilon: float = 1e-7,
    weight_decay: float = 0.0,
) -> None:
    """RMSprop (Tieleman and Hinton, 2012) as Keras computes it; updates w, v and momentum_buffer.

    w -= learning_rate * weight_decay * w; v += (g^2 - v) * (1 - rho);
    step = learning_rate * g / sqrt(v + epsilon); w -= step, or with momentum
    momentum_buffer = momentum * momentum_buffer + step and w -= momentum_buffer.
    """
    if momentum_buffer is None:
        if momentum != 0.0:
            raise ValueError("momentum needs a momentum_buffer array of w's shape")
        _check_like(w, g=g, v=v)
    else:
        _check_like(w, g=g, v=v, momentum_buffer=momentum_buffer)
    given = {"rho": rho, "momentum": momentum, "epsilon": epsilon, "weight_decay": weight_decay}
    numbers = [real(name, value) for name, value in given.items()]
    _core.rmsprop_update(w, g, v, momentum_buffer, _rate(learning_rate), *numbers)


def adam_update(
    w: Floats,
    g: Floats,
    m: Floats,
    v: Floats,
    *,
    learning_rate: Rate,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-7,
    step: int | npt.NDArray[np.int64],
    weight_decay: float = 0.0,
) -> None:
    """Adam (Kingma and Ba, 2015) as Keras computes it; updates w, m and v.

    m += (g - m) * (1 - beta_1); v += (g^2 - v) * (1 - beta_2);
    w -= learning_rate * sqrt(1 - beta_2^step) / (1 - beta_1^step) * m / (sqrt(v) + epsilon).

    Args:
        w, g, m, v: float32 arrays of one shape: parameters, gradient, first and second moment.
        step: the number of this update, from 1.
        weight_decay: AdamW's decoupled decay (Loshchilov and Hutter, 2019), applied first:
            w -= learning_rate * weight_decay * w.
    """
    _check_like(w, g=g, m=m, v=v)
    number = as_number("step", step, _INT64)
    rate = _rate(learning_rate)
    beta_1, beta_2 = real("beta_1", beta_1), real("beta_2", beta_2)
    epsilon, weight_decay = real("epsilon", epsilon), real("weight_decay", weight_decay)
    _core.adam_update(w, g, m, v, rate, beta_1, beta_2, epsilon, number, weight_decay)
