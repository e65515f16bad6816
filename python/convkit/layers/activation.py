"""Activation, ReLU and Softmax: functions of every element, or along the last axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, ClassVar, NamedTuple, cast

from .. import ops
from ..activations import NAMES, Function, name_of
from ..core.config import as_number, suggestion
from ..core.parameters import Array, Shape
from ..ops._epilogue import Fused
from .base import Layer, LayerOptions
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Function(NamedTuple):
    """An activation's two ops, and whether the second reads x or y."""

    forward: Callable[..., Array]
    backward: Callable[..., Array]
    reads_input: bool = False
    elementwise: bool = True


# The default parameters of the ops are Keras's: negative_slope 0.2, alpha 1, exact GELU.
_FUNCTIONS: dict[str, _Function] = {
    "relu": _Function(ops.relu_forward, ops.relu_backward),
    "softmax": _Function(ops.softmax_forward, ops.softmax_backward, elementwise=False),
    "sigmoid": _Function(ops.sigmoid_forward, ops.sigmoid_backward),
    "tanh": _Function(ops.tanh_forward, ops.tanh_backward),
    "gelu": _Function(ops.gelu_forward, ops.gelu_backward, reads_input=True),
    "leaky_relu": _Function(ops.leaky_relu_forward, ops.leaky_relu_backward, reads_input=True),
    "elu": _Function(ops.elu_forward, ops.elu_backward),
    "relu6": _Function(
        partial(ops.relu_forward, max_value=6.0), partial(ops.relu_backward, max_value=6.0)
    ),
    "silu": _Function(ops.silu_forward, ops.silu_backward, reads_input=True),
    "selu": _Function(ops.selu_forward, ops.selu_backward),
    "softplus": _Function(ops.softplus_forward, ops.softplus_backward),
    "softsign": _Function(ops.softsign_forward, ops.softsign_backward),
    "hard_sigmoid": _Function(ops.hard_sigmoid_forward, ops.hard_sigmoid_backward),
    "hard_silu": _Function(ops.hard_silu_forward, ops.hard_silu_backward, reads_input=True),
    "exponential": _Function(ops.exponential_forward, ops.exponential_backward),
    "mish": _Function(ops.mish_forward, ops.mish_backward, reads_input=True),
    "log_softmax": _Function(ops.log_softmax_forward, ops.log_softmax_backward, elementwise=False),
}

ACTIVATIONS = NAMES
# The arguments that an activation has where it is given by its name.
_DEFAULTS: dict[str | None, dict[str, float | None]] = {
    "leaky_relu": {"negative_slope": 0.2},
    "elu": {"alpha": 1.0},
}


def check_activation(
    activation: str | Function | Layer | None, layer: Layer
) -> str | Activation | None:
    """The activation's name, None for "linear", or a layer with arguments that a name has not.

    Raises:
        ValueError: there is no such activation; the message names the known ones.
    """
    if isinstance(activation, Activation):
        if not activation._options or activation._options == _DEFAULTS.get(activation.activation):
            return activation.activation
        return type(activation).from_config(activation.get_config())
    if isinstance(activation, Layer):
        raise layer.error(
            f"activation must be a name, or a layer such as LeakyReLU(), received {activation!r}; "
            f"put that layer behind this one{suggestion(activation, ACTIVATIONS)}"
        )
    try:
        name = name_of(activation)
    except ValueError as error:
        raise layer.error(str(error)) from None
    return None if name == "linear" else name


class Activation(Layer):
    """Apply an activation.

    Args:
        activation: one of "linear", "relu", "softmax" and "log_softmax" (along the last axis),
            "sigmoid", "tanh", "gelu" (exact), "leaky_relu" (slope 0.2), "elu" (alpha 1; also
            "celu"), "relu6" (6 at most), "silu" (or "swish"), "selu", "softplus", "softsign",
            "hard_sigmoid", "hard_silu" (or "hard_swish"), "exponential", "mish"; or such a function
            of `convkit.activations`, which is kept as its name.

    Input and output: any shape; a softmax needs (N, K) or more.

    Example:
        >>> convkit.layers.Activation("relu")
    """

    capturable = True

    _derived: ClassVar[tuple[str, ...]] = (
        "_function",
        "keeps_input",
        "keeps_output",
        "in_place",
        "_options",
    )

    def __init__(self, activation: str | Function, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.activation = self._checked(activation)
        function = _FUNCTIONS[self.activation] if self.activation else None
        self._function = function
        if function is not None:
            self.keeps_input = function.reads_input
            self.keeps_output = not function.reads_input
            self.in_place = function.elementwise
        self._options: dict[str, float | None] = {}  # what the ops take besides the arrays

    def _checked(self, activation: str | Function | None) -> str | None:
        checked = check_activation(activation, self)
        if isinstance(checked, Activation):
            raise self.error(f"{checked!r} is a layer itself: add it to the model as it is")
        return checked

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        input_shape = self._whole_shape(input_shape)
        along_axis = self._function is not None and not self._function.elementwise
        if along_axis and len(input_shape) < 2:
            raise self.error(f"{self.activation} needs inputs (N, K), received shape {input_shape}")
        return input_shape

    @property
    def is_elementwise(self) -> bool:
        """Whether there is a function of every element by itself, and nothing else to do."""
        own = type(self).forward is Activation.forward
        return own and self._function is not None and self._function.elementwise

    @property
    def epilogue(self) -> Fused | None:
        """The activation as the ops take it that apply it to their own output."""
        if self.activation is None or not self._options:
            return self.activation
        return self.activation, self._options

    def is_view(self, training: bool) -> bool:
        """Whether there is nothing to apply."""
        return self._function is None

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = activation(x)."""
        if self._function is not None:
            self._function.forward(x, out=y, **self._options)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy * activation'(x)."""
        if self._function is not None and dx is not None:
            source = x if self._function.reads_input else y
            self._function.backward(dy, source, out=dx, **self._options)

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The activation's name."""
        return self.activation or "linear"


class _OneActivation(Activation):
    """An activation that is a layer of its own."""

    _unsettable: ClassVar[Mapping[str, str]] = {
        **Activation._unsettable,
        "activation": "use another layer, such as Activation",
    }


class ReLU(_OneActivation):
    """max(x, 0), as a layer of its own, with Keras's three bends.

    x where x > threshold, but max_value at most; else negative_slope * (x - threshold).

    Args:
        max_value: at least 0; None for no bound. 6 makes it ReLU6.
        negative_slope: at least 0.
        threshold: at least 0.

    Input: (N, ...). Output: the same shape.
    """

    capturable = True

    _derived = (*Activation._derived, "activation")

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__("relu", **options)
        self.max_value = None if max_value is None else _not_negative(max_value, "max_value", self)
        self.negative_slope = _not_negative(negative_slope, "negative_slope", self)
        self.threshold = _not_negative(threshold, "threshold", self)
        if (self.max_value, self.negative_slope, self.threshold) != (None, 0.0, 0.0):
            # What is called "relu" may become part of the layer before, which knows no arguments.
            self.activation = "bounded_relu"
            self._options = {
                "max_value": self.max_value,
                "negative_slope": self.negative_slope,
                "threshold": self.threshold,
            }

    def describe(self, input_shape: tuple[int, ...], training: bool) -> str:
        """The name, with the arguments where there are some."""
        given = [
            f"{name}={value:g}"
            for name, value in self._options.items()
            if value or (name == "max_value" and value is not None)
        ]
        return f"relu({', '.join(given)})" if given else "relu"


class LeakyReLUOptions(LayerOptions, total=False):
    """What LeakyReLU takes besides.

    Attributes:
        alpha: the negative slope, by its name of old.
    """

    alpha: float


class LeakyReLU(_OneActivation):
    """x where it is positive, else negative_slope * x, as a layer of its own.

    Args:
        negative_slope: at least 0; 0.3 by default, unlike the activation "leaky_relu" with its 0.2.
            `alpha` is its name of old.

    Input: (N, ...). Output: the same shape.
    """

    capturable = True

    def __init__(self, negative_slope: float = 0.3, **options: Unpack[LeakyReLUOptions]) -> None:
        negative_slope = options.pop("alpha", negative_slope)
        super().__init__("leaky_relu", **cast(LayerOptions, options))
        self.negative_slope = _not_negative(negative_slope, "negative_slope", self)
        self._options = {"negative_slope": self.negative_slope}


class ELU(_OneActivation):
    """x where it is positive, else alpha * (exp(x) - 1), as a layer of its own.

    Args:
        alpha: at least 0.

    Input: (N, ...). Output: the same shape.
    """

    capturable = True

    def __init__(self, alpha: float = 1.0, **options: Unpack[LayerOptions]) -> None:
        super().__init__("elu", **options)
        self.alpha = _not_negative(alpha, "alpha", self)
        self._options = {"alpha": self.alpha}


def _not_negative(value: float, what: str, layer: Layer) -> float:
    number = as_number(value)
    if number is None or not 0.0 <= number < math.inf:
        raise layer.error(f"{what} must be a finite number of at least 0, received {value!r}")
    return number


class Softmax(_OneActivation):
    """exp(x) / sum(exp(x)) along the last axis, as a layer of its own.

    Args:
        axis: -1, the only axis there is.

    Input: (N, ...). Output: the same shape.
    """

    capturable = True

    def __init__(self, axis: int = -1, **options: Unpack[LayerOptions]) -> None:
        super().__init__("softmax", **options)
        if not isinstance(axis, int) or axis != -1:
            raise self.error(f"axis must be -1, the last, received {axis!r}")
        self.axis = axis
