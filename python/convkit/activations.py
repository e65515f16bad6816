"""Activations as functions of arrays, with Keras's names, arguments and defaults.

Each takes an array of any shape and returns a new one, float32, computed by `convkit.ops`. A layer
takes one in the place of its name, `Dense(10, activation=activations.relu)`, and keeps the name:
with other arguments than the defaults, an activation is a layer of its own, such as
`layers.ReLU(max_value=6)`. Each function is given and saved by its own name, or by one of `swish`,
`hard_swish` and `celu`, which are `silu`, `hard_silu` and, without arguments, `elu`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from . import ops
from .core import lazy
from .core.config import same_name, suggestion
from .core.parameters import Array
from .ops._gate import as_floats, real

Function: TypeAlias = Callable[..., Array]

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


def linear(x: ArrayLike) -> Array:
    """x itself, as a new float32 array."""
    y: Array = as_floats("x", x).copy()
    return y


def relu(
    x: ArrayLike,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Array:
    """x where x > threshold, but max_value at most; else negative_slope * (x - threshold).

    Raises:
        ValueError: one of the numbers is below 0.
    """
    return ops.relu_forward(
        x, max_value=max_value, negative_slope=negative_slope, threshold=threshold
    )


def leaky_relu(x: ArrayLike, negative_slope: float = 0.2) -> Array:
    """x where x > 0, else negative_slope * x."""
    return ops.leaky_relu_forward(x, negative_slope=negative_slope)


def relu6(x: ArrayLike) -> Array:
    """max(x, 0), but 6 at most."""
    return ops.relu_forward(x, max_value=6.0)


def softmax(x: ArrayLike, axis: int = -1) -> Array:
    """e^x / sum of e^x along an axis.

    Raises:
        ValueError: x has no such axis, or is empty.
    """
    return _along(ops.softmax_forward, x, axis)


def log_softmax(x: ArrayLike, axis: int = -1) -> Array:
    """x - log of the sum of e^x along an axis.

    Raises:
        ValueError: x has no such axis, or is empty.
    """
    return _along(ops.log_softmax_forward, x, axis)


def elu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha * (e^x - 1) (Clevert, Unterthiner and Hochreiter, 2016)."""
    return ops.elu_forward(x, alpha=alpha)


def celu(x: ArrayLike, alpha: float = 1.0) -> Array:
    """x where x > 0, else alpha * (e^(x / alpha) - 1) (Barron, 2017); `elu` where alpha is 1.

    Raises:
        ValueError: alpha is not above 0.
    """
    alpha = real("alpha", alpha)
    if not alpha > 0.0:
        raise ValueError(f"alpha must be above 0, but is {alpha}")
    y = ops.elu_forward(as_floats("x", x) / np.float32(alpha))
    y *= np.float32(alpha)
    return y


def selu(x: ArrayLike) -> Array:
    """1.0507 * elu(x, 1.6733) (Klambauer et al., 2017)."""
    return ops.selu_forward(x)


def softplus(x: ArrayLike) -> Array:
    """log(1 + e^x)."""
    return ops.softplus_forward(x)


def softsign(x: ArrayLike) -> Array:
    """x / (1 + `|x|`)."""
    return ops.softsign_forward(x)


def silu(x: ArrayLike) -> Array:
    """x * sigmoid(x), also called swish (Elfwing, Uchibe and Doya, 2018)."""
    return ops.silu_forward(x)


def gelu(x: ArrayLike, approximate: bool = False) -> Array:
    """x * Phi(x), Phi the normal distribution function (Hendrycks and Gimpel, 2016).

    Args:
        x: an array.
        approximate: the paper's form with tanh.
    """
    return ops.gelu_forward(x, approximate=approximate)


def tanh(x: ArrayLike) -> Array:
    """The hyperbolic tangent."""
    return ops.tanh_forward(x)


def sigmoid(x: ArrayLike) -> Array:
    """1 / (1 + e^-x)."""
    return ops.sigmoid_forward(x)


def exponential(x: ArrayLike) -> Array:
    """e^x."""
    return ops.exponential_forward(x)


def hard_sigmoid(x: ArrayLike) -> Array:
    """min(max(x + 3, 0), 6) / 6."""
    return ops.hard_sigmoid_forward(x)


def hard_silu(x: ArrayLike) -> Array:
    """x * hard_sigmoid(x), also called hard swish (Howard et al., 2019)."""
    return ops.hard_silu_forward(x)


def mish(x: ArrayLike) -> Array:
    """x * tanh(log(1 + e^x)) (Misra, 2019)."""
    return ops.mish_forward(x)


# Keras's second names.
swish = silu
hard_swish = hard_silu

ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "celu": "elu"}
_BY_NAME: dict[str, Function] = {
    function.__name__: function
    for function in (
        *(linear, relu, softmax, sigmoid, tanh, gelu, leaky_relu, elu, relu6, silu, selu),
        *(softplus, softsign, hard_sigmoid, hard_silu, exponential, mish, log_softmax),
    )
}
NAMES = tuple(_BY_NAME)


def get(identifier: str | Function | None) -> Function:
    """The function of that name, or the function itself; `linear` for None.

    Raises:
        ValueError: there is no such activation; the message names those that there are.
    """
    return _BY_NAME[name_of(identifier)]


def serialize(activation: Function) -> str:
    """The name of a function of this module.

    Raises:
        ValueError: it is none.
    """
    return name_of(activation)


def deserialize(config: str) -> Function:
    """The function of a name that `serialize` returned.

    Raises:
        ValueError: there is no such activation; the message names those that there are.
    """
    return get(config)


def name_of(identifier: Any) -> str:
    """The name of an activation: of its own name, a second one, a function, or None.

    Raises:
        ValueError: there is no such activation; the message says what to give.
    """
    if identifier is None:
        return "linear"
    for name, function in (*_BY_NAME.items(), ("elu", celu)):
        if identifier is function:
            return name
    name = same_name(identifier, (*NAMES, *ALIASES)) or ""
    if name:
        return ALIASES.get(name, name)
    hint = suggestion(identifier, (*NAMES, *ALIASES))
    if isinstance(identifier, str):
        from .absent import by_name  # here: only for an error

        hint = by_name("activations", identifier) or hint
    elif callable(identifier) and not isinstance(identifier, type):
        hint = (
            "; convkit computes an activation and its gradient by kernels of its own, so that it "
            f"can take functions of convkit.activations, and no others{hint}"
        )
    raise ValueError(
        f"unknown activation {identifier!r}: use one of {', '.join(NAMES)}, or None{hint}"
    )


def _along(function: Function, x: ArrayLike, axis: int) -> Array:
    """A function of the last axis along another one."""
    array = as_floats("x", x)
    if not -array.ndim <= operator.index(axis) < array.ndim:
        raise ValueError(f"x of shape {array.shape} has no axis {axis}")
    return np.ascontiguousarray(np.moveaxis(function(np.moveaxis(array, axis, -1)), -1, axis))
