"""What a graph of Keras has besides its layers: operations, and what keras.applications defines.

An operation of `keras.ops` that is called on a symbolic tensor is a node of the graph, and so is
`x + y` or `x / 255`. It becomes a layer of its name that computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from .. import layers
from ..core.parameters import Shape
from ..layers.graph import Tensor
from .keras import channel_numbers, check_layer, error

_Reading = Callable[["_Call"], Tensor]


class _Call:
    """One call of an operation.

    Attributes:
        operation: Keras's object, which has its options as attributes.
        tensors: what it is called on.
        numbers: the arguments that are no tensors, with their places.
        shape: of what it makes.
    """

    def __init__(self, node: Any, tensors: Sequence[Tensor]) -> None:
        self.operation = node.operation
        self.tensors = list(tensors)
        given = [*node.arguments.args, *node.arguments.kwargs.values()]
        self.numbers = {
            place: value
            for place, value in enumerate(given)
            if not isinstance(value, list | tuple) and not hasattr(value, "_keras_history")
        }
        self.shape: Shape = tuple(node.outputs[0].shape or ())

    def apply(self, kind: Callable[..., Any], *arguments: Any, **options: Any) -> Tensor:
        """What a layer of the operation's name makes of the tensor, or of all of a merging one."""
        try:
            layer = kind(*arguments, name=self.operation.name, **options)
            made: Tensor = layer(self.tensors if layer.merges else self.tensors[0])
        except ValueError as problem:
            raise self.error(str(problem)) from None
        return made

    def number(self, place: int) -> float | list[float]:
        """The argument at that place: a number, or one for each channel."""
        value = self.numbers[place]
        if not hasattr(value, "shape") and not isinstance(value, int | float):
            raise self.error(f"convkit has no counterpart for the argument {value!r}")
        if hasattr(value, "trainable"):
            raise self.error("it reads a Variable, and convkit's weights belong to layers")
        return channel_numbers(self.operation, "the argument", value)

    def error(self, message: str) -> ValueError:
        """A ValueError that names the operation."""
        name = type(self.operation).__name__
        return ValueError(f'Keras operation "{self.operation.name}" ({name}): {message}')


def read_operation(node: Any, tensors: Sequence[Tensor]) -> Tensor:
    """What a layer makes of tensors that does what an operation of Keras does.

    Raises:
        ValueError: there is no such layer.
    """
    call = _Call(node, tensors)
    kind = type(call.operation)
    read = _OPERATIONS.get(kind.__name__)
    if read is None or not kind.__module__.startswith("keras.src.ops."):
        raise call.error(
            f"it has no counterpart in convkit; these have: {', '.join(sorted(_OPERATIONS))}"
        )
    return read(call)


def _merged(kind: type[layers.Layer], with_number: _Reading | None = None) -> _Reading:
    """Of two tensors, or of a tensor and a number."""

    def read(call: _Call) -> Tensor:
        if len(call.tensors) == 2:
            ranks = {len(tensor.shape) for tensor in call.tensors}
            if len(ranks) != 1:
                raise call.error(
                    "its tensors have different ranks, so that Keras lays the batch of one against "
                    "an axis of the other; reshape one of them before"
                )
            return call.apply(kind)
        if with_number is None:
            raise call.error("convkit has it for two tensors, and not for a number")
        return with_number(call)

    return read


def _plus(call: _Call) -> Tensor:
    (place,) = call.numbers
    return call.apply(layers.Rescaling, 1.0, call.number(place))


def _minus(call: _Call) -> Tensor:
    (place,) = call.numbers
    number = call.number(place)
    if place == 0:
        return call.apply(layers.Rescaling, -1.0, number)
    return call.apply(layers.Rescaling, 1.0, _each(number, lambda value: -value))


def _times(call: _Call) -> Tensor:
    (place,) = call.numbers
    return call.apply(layers.Rescaling, call.number(place))


def _divided(call: _Call) -> Tensor:
    if len(call.tensors) != 1 or 1 not in call.numbers:
        raise call.error("convkit divides tensors by numbers alone")
    number = call.number(1)
    if 0.0 in (number if isinstance(number, list) else [number]):
        raise call.error("it divides by 0")
    return call.apply(layers.Rescaling, _each(number, lambda value: 1.0 / value))


def _each(number: float | list[float], function: Callable[[float], float]) -> float | list[float]:
    return [function(each) for each in number] if isinstance(number, list) else function(number)


def _activation(name: str) -> _Reading:
    return lambda call: call.apply(layers.Activation, name)


def _along_last_axis(name: str) -> _Reading:
    def read(call: _Call) -> Tensor:
        if call.operation.axis not in (-1, len(call.shape) - 1):
            raise call.error(f"convkit has it along the last axis, not {call.operation.axis}")
        return call.apply(layers.Activation, name)

    return read


def _gelu(call: _Call) -> Tensor:
    if call.operation.approximate:
        raise call.error("convkit's layers have the exact one; give it approximate=False")
    return call.apply(layers.Activation, "gelu")


def _reshaped(call: _Call) -> Tensor:
    before, after = call.tensors[0].shape, call.shape
    if after[:1] != (None,) or None in after[1:] or before[0] is not None:
        raise call.error(f"the batch must stay in front, received {before} and {after}")
    return call.apply(layers.Reshape, after[1:])


def _permuted(call: _Call) -> Tensor:
    rank, axes = len(call.shape), call.operation.axes
    axes = [axis % rank for axis in (reversed(range(rank)) if axes is None else axes)]
    if axes[0] != 0:
        raise call.error(f"the batch must stay in front, received axes {tuple(axes)}")
    return call.apply(layers.Permute, tuple(axes[1:]))


def _pooled(kind: type[layers.Layer]) -> _Reading:
    def read(call: _Call) -> Tensor:
        rank, axis = len(call.tensors[0].shape), call.operation.axis
        axes = [] if axis is None else [axis] if isinstance(axis, int) else list(axis)
        if rank != 4 or sorted(each % rank for each in axes) != [1, 2]:
            raise call.error(
                f"convkit has it over the rows and columns of images, axis=(1, 2), received "
                f"axis={axis!r} of shape {call.tensors[0].shape}"
            )
        return call.apply(kind, keepdims=bool(call.operation.keepdims))

    return read


def _concatenated(call: _Call) -> Tensor:
    return call.apply(layers.Concatenate, call.operation.axis)


# The table: an operation of Keras, by its class.
_OPERATIONS: dict[str, _Reading] = {
    "Add": _merged(layers.Add, _plus),
    "Concatenate": _concatenated,
    "Divide": _divided,
    "Elu": lambda call: call.apply(layers.ELU, call.operation.alpha),
    "Exp": _activation("exponential"),
    "ExpandDims": _reshaped,
    "Gelu": _gelu,
    "HardSigmoid": _activation("hard_sigmoid"),
    "HardSilu": _activation("hard_silu"),
    "LeakyRelu": lambda call: call.apply(layers.LeakyReLU, call.operation.negative_slope),
    "LogSoftmax": _along_last_axis("log_softmax"),
    "Max": _pooled(layers.GlobalMaxPooling2D),
    "Maximum": _merged(layers.Maximum),
    "Mean": _pooled(layers.GlobalAveragePooling2D),
    "Minimum": _merged(layers.Minimum),
    "Multiply": _merged(layers.Multiply, _times),
    "Negative": lambda call: call.apply(layers.Rescaling, -1.0),
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Reshape": _reshaped,
    "Selu": _activation("selu"),
    "Sigmoid": _activation("sigmoid"),
    "Silu": _activation("silu"),
    "Softmax": _along_last_axis("softmax"),
    "Softplus": _activation("softplus"),
    "Softsign": _activation("softsign"),
    "Squeeze": _reshaped,
    "Subtract": _merged(layers.Subtract, _minus),
    "Tanh": _activation("tanh"),
    "Transpose": _permuted,
    "TrueDivide": _divided,
}


# Layers that keras.applications defines for itself.


def of_applications(layer: Any, shape: Shape) -> layers.Layer | None:
    """Make a layer of one that keras.applications defines, without weights; None for all others.

    Args:
        layer: of Keras.
        shape: of its input.

    Raises:
        ValueError: it has no counterpart for such inputs.
    """
    if _is(layer, "convnext", "LayerScale"):
        if len(shape) != 4:
            raise error(layer, f"convkit scales the channels of images, received shape {shape}")
        return layers.DepthwiseConv2D(1, use_bias=False, name=layer.name)
    if _is(layer, "convnext", "StochasticDepth"):
        whole_sample = (None, *(1,) * (len(shape) - 1))
        return layers.Dropout(layer.drop_path_rate, whole_sample, name=layer.name)
    return None


def scaled_sum(layer: Any, tensors: Sequence[Tensor]) -> Tensor | None:
    """What InceptionResNetV2's own layer makes of two tensors; None for all other layers."""
    if not _is(layer, "inception_resnet_v2", "CustomScaleLayer"):
        return None
    shortcut, residual = tensors
    scaled = layers.Rescaling(layer.scale, name=f"{layer.name}_scale")(residual)
    made: Tensor = layers.Add(name=layer.name)([shortcut, scaled])
    return made


def _is(layer: Any, family: str, name: str) -> bool:
    """Whether a layer is of that class of keras.applications itself."""
    module = f"keras.src.applications.{family}"
    kind = type(layer)
    if kind.__module__ != module or kind is not getattr(import_module(module), name):
        return False
    check_layer(layer)
    return True
