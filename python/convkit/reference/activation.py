"""Activations and their gradients, element by element; softmax works along the last axis.

A backward function takes x where the derivative is no simple function of the output (GELU, leaky
ReLU, SiLU, hard SiLU, Mish) and y elsewhere. `out` may be one of the inputs.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from ._arguments import Array, deliver, expect_shape, floating

_erfc = np.vectorize(math.erfc, otypes=[np.float64])
_GELU_SCALE = math.sqrt(2 / math.pi)
_GELU_CUBIC = 0.044715
# Keras's numbers of SELU.
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


def _gradient_and(dy: ArrayLike, other: ArrayLike, name: str) -> tuple[Array, Array]:
    gradient, array = floating(dy, "dy"), floating(other, name)
    expect_shape(gradient, array.shape, "dy")
    return gradient, array


def relu_forward(
    x: ArrayLike,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Return min(x, max_value) where x > threshold, else negative_slope * (x - threshold).

    NaN stays NaN. The numbers are Keras's, at least 0 each; the defaults make it max(x, 0).
    """
    x = floating(x, "x")
    passed = x if max_value is None else np.minimum(x, max_value)
    # Without a slope -inf becomes 0, too.
    below = negative_slope * (x - threshold) if negative_slope else np.where(np.isnan(x), x, 0)
    return deliver(np.where(x > threshold, passed, below).astype(x.dtype), out)


def relu_backward(
    dy: ArrayLike,
    y: ArrayLike,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Return dy where 0 < y < max_value, 0 where y is max_value, else negative_slope * dy.

    The derivative at 0 is taken as the slope. The threshold changes nothing: it is at least 0, so
    that y tells which x were above it.
    """
    dy, y = _gradient_and(dy, y, "y")
    none = np.zeros((), dy.dtype)
    dx = np.where(y > 0, dy, negative_slope * dy if negative_slope else none)
    return deliver(dx if max_value is None else np.where(y < max_value, dx, none), out)


def sigmoid_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return 1 / (1 + exp(-x)), written with `exp(-abs(x))` so that nothing overflows."""
    x = floating(x, "x")
    small = np.exp(-np.abs(x))
    return deliver(np.where(x >= 0, 1 / (1 + small), small / (1 + small)), out)


def sigmoid_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * y * (1 - y)."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy * y * (1 - y), out)


def tanh_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return tanh(x)."""
    return deliver(np.tanh(floating(x, "x")), out)


def tanh_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * (1 - y**2), as (1 - y) * (1 + y) to keep the digits near y = 1."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy * (1 - y) * (1 + y), out)


def softmax_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return exp(x) / sum(exp(x)) along the last axis, shifted by the maximum."""
    x = floating(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must have a last axis that is not empty, received {x.shape}")
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return deliver(powers / powers.sum(axis=-1, keepdims=True), out)


def softmax_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return y * (dy - sum(dy * y)) along the last axis."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(y * (dy - (dy * y).sum(axis=-1, keepdims=True)), out)


def _normal_cdf(x: Array) -> Array:
    # erfc keeps its digits where erf is close to -1 and 1 + erf would cancel.
    return np.asarray(0.5 * _erfc(-x.astype(np.float64) / math.sqrt(2)), x.dtype)


def gelu_forward(x: ArrayLike, *, approximate: bool = False, out: Array | None = None) -> Array:
    """Return x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    With `approximate`, Phi(x) is replaced by (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3))) / 2.
    """
    x = floating(x, "x")
    if approximate:
        phi = 0.5 * (1 + np.tanh(_GELU_SCALE * (x + _GELU_CUBIC * x**3)))
    else:
        phi = _normal_cdf(x)
    return deliver(x * phi, out)


def gelu_backward(
    dy: ArrayLike, x: ArrayLike, *, approximate: bool = False, out: Array | None = None
) -> Array:
    """Return dy * (Phi(x) + x * Phi'(x)), or the derivative of the tanh formula."""
    dy, x = _gradient_and(dy, x, "x")
    if approximate:
        t = np.tanh(_GELU_SCALE * (x + _GELU_CUBIC * x**3))
        inner = _GELU_SCALE * (1 + 3 * _GELU_CUBIC * x**2)
        slope = 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner
    else:
        slope = _normal_cdf(x) + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
    return deliver((dy * slope).astype(np.result_type(dy, x)), out)


def leaky_relu_forward(
    x: ArrayLike, *, negative_slope: float = 0.2, out: Array | None = None
) -> Array:
    """Return x where x > 0, else negative_slope * x."""
    x = floating(x, "x")
    return deliver(np.where(x > 0, x, negative_slope * x), out)


def leaky_relu_backward(
    dy: ArrayLike, x: ArrayLike, *, negative_slope: float = 0.2, out: Array | None = None
) -> Array:
    """Return dy where x > 0, else negative_slope * dy."""
    dy, x = _gradient_and(dy, x, "x")
    return deliver(np.where(x > 0, dy, negative_slope * dy), out)


def elu_forward(x: ArrayLike, *, alpha: float = 1.0, out: Array | None = None) -> Array:
    """Return x where x > 0, else alpha * (exp(x) - 1) (Clevert et al., 2015)."""
    x = floating(x, "x")
    return deliver(np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), out)


def elu_backward(
    dy: ArrayLike, y: ArrayLike, *, alpha: float = 1.0, out: Array | None = None
) -> Array:
    """Return dy where y > 0, else dy * (y + alpha), since alpha * exp(x) = y + alpha."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(np.where(y > 0, dy, dy * (y + alpha)), out)


def _gated(x: Array, gate: Array) -> Array:
    """x * gate, with the limit 0 where the gate has vanished and x is infinite."""
    return np.where(gate > 0, x, 0) * gate


def silu_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    x = floating(x, "x")
    return deliver(_gated(x, sigmoid_forward(x)), out)


def silu_backward(dy: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * (s + x * s * (1 - s)) for s = sigmoid(x), where 1 - s = sigmoid(-x)."""
    dy, x = _gradient_and(dy, x, "x")
    s = sigmoid_forward(x)
    return deliver(dy * (s + _gated(x, s * sigmoid_forward(-x))), out)


def selu_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return scale * elu(x, alpha) (Klambauer et al., 2017)."""
    x = floating(x, "x")
    return deliver(_SELU_SCALE * elu_forward(x, alpha=_SELU_ALPHA), out)


def selu_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * scale where y > 0, else dy * (y + scale * alpha)."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(np.where(y > 0, dy * _SELU_SCALE, dy * (y + _SELU_SCALE * _SELU_ALPHA)), out)


def softplus_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return log(1 + exp(x)), as max(x, 0) + log(1 + exp(-abs(x)))."""
    x = floating(x, "x")
    return deliver(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))), out)


def softplus_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * sigmoid(x), which is dy * (1 - exp(-y))."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy * -np.expm1(-y), out)


def softsign_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x / (1 + abs(x)), 1 or -1 at infinity."""
    x = floating(x, "x")
    size = np.minimum(np.abs(x), np.finfo(x.dtype).max)
    return deliver(np.sign(x) * size / (1 + size), out)


def softsign_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * (1 - abs(y))**2."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy * (1 - np.abs(y)) ** 2, out)


def hard_sigmoid_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return min(max(x + 3, 0), 6) / 6; NaN stays NaN."""
    return deliver(np.clip(floating(x, "x") + 3, 0, 6) / 6, out)


def hard_sigmoid_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy / 6 where 0 < y < 1, else 0."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(np.where((y > 0) & (y < 1), dy / 6, np.zeros((), dy.dtype)), out)


def hard_silu_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x * hard_sigmoid(x), also called hard swish (Howard et al., 2019)."""
    x = floating(x, "x")
    return deliver(_gated(x, hard_sigmoid_forward(x)), out)


def hard_silu_backward(dy: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * (x / 3 + 1 / 2) where -3 <= x <= 3; below that dy * 0, above dy."""
    dy, x = _gradient_and(dy, x, "x")
    slope = np.where(x > 3, 1, np.where(x < -3, 0, x / 3 + 0.5))
    return deliver((dy * slope).astype(np.result_type(dy, x)), out)


def exponential_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return exp(x)."""
    return deliver(np.exp(floating(x, "x")), out)


def exponential_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * y."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy * y, out)


def mish_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x * tanh(softplus(x)) (Misra, "Mish", 2019)."""
    x = floating(x, "x")
    return deliver(_gated(x, np.tanh(softplus_forward(x))), out)


def mish_backward(dy: ArrayLike, x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy * (g + x * (1 - g**2) * sigmoid(x)) for g = tanh(softplus(x))."""
    dy, x = _gradient_and(dy, x, "x")
    gate = np.tanh(softplus_forward(x))
    return deliver(dy * (gate + _gated(x, (1 - gate) * (1 + gate) * sigmoid_forward(x))), out)


def log_softmax_forward(x: ArrayLike, *, out: Array | None = None) -> Array:
    """Return x - log(sum(exp(x))) along the last axis, shifted by the maximum."""
    x = floating(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must have a last axis that is not empty, received {x.shape}")
    shifted = x - x.max(axis=-1, keepdims=True)
    return deliver(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)), out)


def log_softmax_backward(dy: ArrayLike, y: ArrayLike, *, out: Array | None = None) -> Array:
    """Return dy - exp(y) * sum(dy) along the last axis."""
    dy, y = _gradient_and(dy, y, "y")
    return deliver(dy - np.exp(y) * dy.sum(axis=-1, keepdims=True), out)
