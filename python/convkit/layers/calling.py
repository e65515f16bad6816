"""What a layer does when it is called: on symbolic tensors, or on arrays."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import random
from ..core.config import flag
from ..core.parameters import Array, Shape
from ..ops._gate import as_floats
from .composite import Phase, compose
from .graph import Node, Tensor, symbolic
from .step_context import StepContext

if TYPE_CHECKING:
    from .base import Layer


# What a built layer gives for a list of numbers, in training or not, where it gives something:
# `convkit.compat` has layers record what they compute.
recorder: Callable[[Layer, list[Any], bool], Any] | None = None


def call(layer: Layer, inputs: Any, training: Any) -> Any:
    """See `Layer.__call__`."""
    tensors = symbolic(inputs)
    if tensors is None:
        return _compute(layer, inputs, training is not None and flag(training, "training", layer))
    check_phase(layer, training)
    if layer.is_composite and len(tensors) == 1 and tensors[0] is not inputs:
        raise layer.error("it is called on a list of one tensor; call it on the tensor itself")
    outputs = connect(layer, tensors)
    composition = layer._composition
    return outputs[0] if composition is None else composition.outputs.pack(outputs)


def check_phase(operation: Any, training: Any) -> None:
    """Refuse to fix what a part of a model does in training and otherwise.

    Raises:
        ValueError: that is wanted, and it makes a difference.
    """
    if training is None or isinstance(training, Phase):
        return
    training = flag(training, "training", operation)
    inner = operation._inner
    for layer in [operation] if inner is None else inner.all_layers():
        if layer.has_phases:
            raise ValueError(
                f'layer "{layer.name}" ({type(layer).__name__}): training={training} cannot be '
                f"fixed in a model: fit trains, and predict and evaluate do not. Leave it out; a "
                f"BatchNormalization with trainable = False keeps its statistics"
            )


def connect(layer: Layer, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Build a layer for some tensors, and return its outputs."""
    return Node(layer, tensors, _build(layer, [tensor.shape for tensor in tensors])).outputs


def _build(layer: Layer, shapes: list[Shape]) -> list[Shape]:
    """Build a layer, or see that it can take such inputs, too; return the shapes of its outputs."""
    if layer.is_composite:
        composition = compose(layer, shapes if len(shapes) > 1 else shapes[0])
        return composition.output_shapes(layer, shapes)
    shape: Any = shapes if layer.merges else shapes[0]
    if not layer.merges and len(shapes) != 1:
        raise layer.error(f"it takes one input, received a list of {len(shapes)}")
    output: Shape = layer.compute_output_shape(shape)
    if not layer.built:
        layer.build(shape)
    elif layer.weights and layer.input_shape is not None and layer.input_shape[1:] != shape[1:]:
        # What was built for images of one size may take others: where it has the same weights.
        twin = type(layer).from_config(layer.get_config())
        twin.weight_source = lambda path, sizes: np.broadcast_to(np.float32(0.0), sizes)
        twin.build(shape)
        if [each.shape for each in twin.weights] != [each.shape for each in layer.weights]:
            raise layer.error(
                f"it was built for inputs of shape {layer.input_shape} and cannot take {shape}, "
                f"for which its weights would have other shapes; use a new layer"
            )
    return [output]


def _compute(layer: Layer, inputs: Any, training: bool) -> Any:
    """The outputs for one batch of arrays."""
    several = (layer.merges or layer.is_composite) and isinstance(inputs, list | tuple)
    try:
        arrays = [as_floats("x", each) for each in (inputs if several else [inputs])]
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"{layer.error('it is called on a symbolic tensor, as Input gives, or on one batch')} "
            f"of numbers, received {reprlib.repr(inputs)}: {error}"
        ) from None
    if any(array.ndim == 0 for array in arrays):
        raise layer.error("it needs a batch of samples, received a single number")
    _build(layer, [(None, *array.shape[1:]) for array in arrays])
    if recorder is not None:
        made = recorder(layer, list(inputs) if several else [inputs], training)
        if made is not None:
            return made
    if layer._composition is not None:
        return _as_given(layer._composition.compute(arrays, training), inputs)
    context = StepContext(training, random.seed(), layer.next_step() if training else 0)
    stage: Any
    for stage in layer.stages():
        x: Any = tuple(arrays) if stage.merges else arrays[0]
        given: Any = tuple(array.shape for array in arrays) if stage.merges else arrays[0].shape
        sizes = [array.shape[1:] for array in arrays]
        shape = (len(arrays[0]), *stage.output_sizes(sizes if stage.merges else sizes[0]))
        if stage.is_view(training):
            y: Array = arrays[0].reshape(shape)
        else:
            y = np.empty(shape, np.float32)
            saved = tuple(np.empty(each.shape, each.dtype) for each in stage.saved_arrays(given))
            stage.forward(x, y, saved, context)
        arrays = [y]
    return _as_given(np.array(arrays[0]), inputs)


def _as_given(result: Any, inputs: Any) -> Any:
    """The result as NumPy's functions give it: of a subclass of arrays, as one of that class."""
    first = inputs[0] if isinstance(inputs, list | tuple) else inputs
    if type(first) is np.ndarray or not isinstance(first, np.ndarray):
        return result
    return first.__array_wrap__(result) if isinstance(result, np.ndarray) else result
