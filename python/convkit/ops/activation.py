"""Element-wise activations and softmax, with their gradients.

In every function ``out`` may be the input itself. In the backward pass GELU, leaky ReLU, SiLU, hard
SiLU and Mish take their input x, the others their output y.
"""

from __future__ import annotations

import math

import numpy.typing as npt

from convkit import _core
from convkit.ops._gate import Floats, as_floats, output, real, truth

_Kind = _core.Activation


def _forward(
    kind: _core.Activation,
    x: npt.ArrayLike,
    out: Floats | None,
    slope: float = 0.0,
    threshold: float = 0.0,
    max_value: float = math.inf,
) -> Floats:
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    _core.activation_forward(kind, x, slope, threshold, max_value, out)
    return out


def _backward(
    kind: _core.Activation,
    dy: npt.ArrayLike,
    name: str,
    saved: npt.ArrayLike,
    out: Floats | None,
    slope: float = 0.0,
    max_value: float = math.inf,
) -> Floats:
    dy = as_floats("dy", dy)
    saved = as_floats(name, saved)
    if saved.shape != dy.shape:
        raise ValueError(f"{name} must have dy's shape {dy.shape}, but its shape is {saved.shape}")
    out = output("out", out, dy.shape)
    _core.activation_backward(kind, dy, saved, slope, 0.0, max_value, out)
    return out


def _gelu(approximate: bool) -> _core.Activation:
    return _Kind.gelu_tanh if truth("approximate", approximate) else _Kind.gelu


def relu_forward(
    x: npt.ArrayLike,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
    out: Floats | None = None,
) -> Floats:
    """x where x > threshold, but max_value at most; else negative_slope * (x - threshold).

    NaN stays NaN. Numbers as in Keras, at least 0 each; the defaults make it max(x, 0).
    """
    bound, slope, start = _bends(max_value, negative_slope, threshold)
    if (bound, slope, start) == (math.inf, 0.0, 0.0):
        return _forward(_Kind.relu, x, out)
    return _forward(_Kind.bounded_relu, x, out, slope, start, bound)


def relu_backward(
    dy: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
    out: Floats | None = None,
) -> Floats:
    """dy where 0 < y < max_value, 0 where y is max_value, else negative_slope * dy.

    The threshold changes nothing: it is at least 0, so that y is above 0 where x is above it.
    """
    bound, slope, start = _bends(max_value, negative_slope, threshold)
    if (bound, slope, start) == (math.inf, 0.0, 0.0):
        return _backward(_Kind.relu, dy, "y", y, out)
    return _backward(_Kind.bounded_relu, dy, "y", y, out, slope, bound)


def _bends(
    max_value: float | None, negative_slope: float, threshold: float
) -> tuple[float, float, float]:
    bound = math.inf if max_value is None else real("max_value", max_value)
    bends = bound, real("negative_slope", negative_slope), real("threshold", threshold)
    if not all(number >= 0.0 for number in bends):
        raise ValueError(f"ReLU's arguments must be numbers of at least 0, received {bends}")
    return bends


def sigmoid_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """1 / (1 + e^-x)."""
    return _forward(_Kind.sigmoid, x, out)


def sigmoid_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * y * (1 - y)."""
    return _backward(_Kind.sigmoid, dy, "y", y, out)


def tanh_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """The hyperbolic tangent."""
    return _forward(_Kind.tanh, x, out)


def tanh_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (1 - y^2)."""
    return _backward(_Kind.tanh, dy, "y", y, out)


def gelu_forward(
    x: npt.ArrayLike, *, approximate: bool = False, out: Floats | None = None
) -> Floats:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        approximate: the paper's form with tanh.
    """
    return _forward(_gelu(approximate), x, out)


def gelu_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    approximate: bool = False,
    out: Floats | None = None,
) -> Floats:
    """dy * (Phi(x) + x * phi(x)), or the derivative of the form with tanh."""
    return _backward(_gelu(approximate), dy, "x", x, out)


def leaky_relu_forward(
    x: npt.ArrayLike, *, negative_slope: float = 0.2, out: Floats | None = None
) -> Floats:
    """x where x > 0, else negative_slope * x."""
    return _forward(_Kind.leaky_relu, x, out, real("negative_slope", negative_slope))


def leaky_relu_backward(
    dy: npt.ArrayLike,
    x: npt.ArrayLike,
    *,
    negative_slope: float = 0.2,
    out: Floats | None = None,
) -> Floats:
    """dy where x > 0, else negative_slope * dy."""
    return _backward(_Kind.leaky_relu, dy, "x", x, out, real("negative_slope", negative_slope))


def elu_forward(x: npt.ArrayLike, *, alpha: float = 1.0, out: Floats | None = None) -> Floats:
    """x where x > 0, else alpha * (e^x - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    return _forward(_Kind.elu, x, out, real("alpha", alpha))


def elu_backward(
    dy: npt.ArrayLike, y: npt.ArrayLike, *, alpha: float = 1.0, out: Floats | None = None
) -> Floats:
    """dy where y > 0, else dy * (y + alpha)."""
    return _backward(_Kind.elu, dy, "y", y, out, real("alpha", alpha))


def silu_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x / (1 + e^-x), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    return _forward(_Kind.silu, x, out)


def silu_backward(dy: npt.ArrayLike, x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (s + x * s * (1 - s)) for s = sigmoid(x)."""
    return _backward(_Kind.silu, dy, "x", x, out)


def selu_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """1.0507 * x where x > 0, else 1.0507 * 1.6733 * (e^x - 1) (Klambauer et al., 2017).

    The numbers are Keras's, to float32's last digit.
    """
    return _forward(_Kind.selu, x, out)


def selu_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * 1.0507 where y > 0, else dy * (y + 1.7581)."""
    return _backward(_Kind.selu, dy, "y", y, out)


def softplus_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """log(1 + e^x), finite for every finite x."""
    return _forward(_Kind.softplus, x, out)


def softplus_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (1 - e^-y), which is dy * sigmoid(x)."""
    return _backward(_Kind.softplus, dy, "y", y, out)


def softsign_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x / (1 + `|x|`); 1 or -1 at infinity."""
    return _forward(_Kind.softsign, x, out)


def softsign_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (1 - `|y|`)^2."""
    return _backward(_Kind.softsign, dy, "y", y, out)


def hard_sigmoid_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """min(max(x + 3, 0), 6) / 6; NaN stays NaN."""
    return _forward(_Kind.hard_sigmoid, x, out)


def hard_sigmoid_backward(
    dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy / 6 where 0 < y < 1, else 0."""
    return _backward(_Kind.hard_sigmoid, dy, "y", y, out)


def hard_silu_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x * min(max(x + 3, 0), 6) / 6, also called hard swish (Howard et al., 2019)."""
    return _forward(_Kind.hard_silu, x, out)


def hard_silu_backward(dy: npt.ArrayLike, x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (x / 3 + 1 / 2) where -3 <= x <= 3, 0 below, dy above."""
    return _backward(_Kind.hard_silu, dy, "x", x, out)


def exponential_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """e^x; 0 where that is below the smallest normal number."""
    return _forward(_Kind.exponential, x, out)


def exponential_backward(
    dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy * y."""
    return _backward(_Kind.exponential, dy, "y", y, out)


def mish_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x * tanh(log(1 + e^x)) (Misra, 2019)."""
    return _forward(_Kind.mish, x, out)


def mish_backward(dy: npt.ArrayLike, x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """dy * (g + x * (1 - g^2) * sigmoid(x)) for g = tanh(log(1 + e^x))."""
    return _backward(_Kind.mish, dy, "x", x, out)


def _rows(name: str, array: Floats) -> Floats:
    if array.ndim < 1 or array.size == 0:
        raise ValueError(f"{name} must have shape (..., K), not empty, but is {array.shape}")
    return array.reshape(-1, array.shape[-1])


def softmax_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """e^x / sum of e^x over the last axis, computed from x less its maximum.

    The sum over many classes is made of blocks that are added up in pairs: its relative error is at
    most (520 + log2(K)) * eps / 2.
    """
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    _core.softmax_forward(_rows("x", x), _rows("out", out))
    return out


def softmax_backward(dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """y * (dy - sum of dy * y over the last axis)."""
    dy = as_floats("dy", dy)
    y = as_floats("y", y)
    if y.shape != dy.shape:
        raise ValueError(f"y must have dy's shape {dy.shape}, but its shape is {y.shape}")
    out = output("out", out, dy.shape)
    _core.softmax_backward(_rows("dy", dy), _rows("y", y), _rows("out", out))
    return out


def log_softmax_forward(x: npt.ArrayLike, *, out: Floats | None = None) -> Floats:
    """x - log of the sum of e^x over the last axis, computed from x less its maximum."""
    x = as_floats("x", x)
    out = output("out", out, x.shape)
    _core.log_softmax_forward(_rows("x", x), _rows("out", out))
    return out


def log_softmax_backward(
    dy: npt.ArrayLike, y: npt.ArrayLike, *, out: Floats | None = None
) -> Floats:
    """dy - e^y * (the sum of dy over the last axis)."""
    dy = as_floats("dy", dy)
    y = as_floats("y", y)
    if y.shape != dy.shape:
        raise ValueError(f"y must have dy's shape {dy.shape}, but its shape is {y.shape}")
    out = output("out", out, dy.shape)
    _core.log_softmax_backward(_rows("dy", dy), _rows("y", y), _rows("out", out))
    return out
