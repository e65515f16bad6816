"""What a layer does when it is called: on symbolic tensors, or on arrays."""

from __future__ import annotations

import reprlib
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core import random
from ..core.config import flag
from ..core.parameters import Array, Shape
from ..ops._gate import as_floats
from .graph import Node, Tensor, symbolic
from .run import Run

if TYPE_CHECKING:
    from .base import Layer


def call(layer: Layer, inputs: Any, training: bool) -> Any:
    """See `Layer.__call__`."""
    tensors = symbolic(inputs)
    if tensors is not None:
        return connect(layer, tensors)
    return _compute(layer, inputs, flag(training, "training", layer))


def connect(layer: Layer, tensors: list[Tensor]) -> Tensor:
    """Build a layer for some tensors, and return its output."""
    shapes = [tensor.shape for tensor in tensors]
    return Node(layer, tensors, [_build(layer, shapes)]).outputs[0]


def _build(layer: Layer, shapes: list[Shape]) -> Shape:
    """Build a layer, or see that it can take such inputs, too; return the shape of its output."""
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
    return output


def _compute(layer: Layer, inputs: Any, training: bool) -> Array:
    """The outputs for one batch of arrays."""
    several = layer.merges and isinstance(inputs, list | tuple)
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
    run = Run(training, random.seed())
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
            stage.forward(x, y, saved, run)
        arrays = [y]
    return np.array(arrays[0])
