"""Layers on numbers, one after the other, each with its own gradients while a tape is open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import random
from ..core.parameters import Array, Parameter
from ..layers.batchnorm import BatchNormalization
from ..layers.graph import Graph
from ..layers.step_context import StepContext
from .recorded import Recorded, numbers
from .records import in_records, open_tapes
from .tensor import as_tensor, is_recorded, standing


def through(graph: Graph, inputs: Sequence[Any], training: bool) -> list[Any]:
    """The outputs of a graph of layers: recorded ones while a tape is open, else tensors.

    Args:
        graph: of built layers.
        inputs: a batch of each.
        training: whether layers do what they do in training.
    """
    context = StepContext(training, random.seed(), random.next_call() if training else 0)
    return _through(graph, inputs, context)


def called(layer: Any, given: list[Any], training: bool) -> Any:
    """What a layer gives for numbers while a tape is open; None where nothing is recorded."""
    given = standing(given)
    if not open_tapes() or not (any(map(is_recorded, given)) or layer.trainable_weights):
        return None
    context = StepContext(training, random.seed(), random.next_call() if training else 0)
    made = _applied(layer, given, context)
    composition = layer._composition
    return made[0] if composition is None else composition.outputs.pack(made)


def _through(graph: Graph, inputs: Sequence[Any], context: StepContext) -> list[Any]:
    values: dict[tuple[int, int], Any] = {}
    for tensor, value in zip(graph.inputs, inputs, strict=True):
        values[id(tensor.node), tensor.index] = value
    for node in graph.nodes:
        given = [values[id(each.node), each.index] for each in node.inputs]
        for index, made in enumerate(_applied(node.layer, given, context)):
            values[id(node), index] = made
    return [values[id(each.node), each.index] for each in graph.outputs]


def _applied(layer: Any, given: list[Any], context: StepContext) -> list[Any]:
    if layer._inner is not None:  # of other layers
        return _through(layer._inner, given, context)
    for stage in layer.stages():
        given = [_staged(stage, given, context)]
    return given


def _staged(stage: Any, given: list[Any], context: StepContext) -> Any:
    """What one step of a layer makes of its inputs."""
    arrays = [np.ascontiguousarray(numbers(each), np.float32) for each in given]
    shapes = tuple(each.shape for each in arrays)
    sizes = [shape[1:] for shape in shapes]
    shape = (len(arrays[0]), *stage.output_sizes(sizes if stage.merges else sizes[0]))
    saved: tuple[Array, ...] = ()
    is_view = stage.is_view(context.training)
    if is_view:
        y = arrays[0].reshape(shape)
    else:
        y = np.empty(shape, np.float32)
        wanted = stage.saved_arrays(shapes if stage.merges else shapes[0])
        saved = tuple(np.empty(each.shape, each.dtype) for each in wanted)
        stage.forward(tuple(arrays) if stage.merges else arrays[0], y, saved, context)
    if not open_tapes():
        return as_tensor(y)
    weights = [(each, in_records(each)) for each in stage.trainable_weights]
    weights = [(each, leaf) for each, leaf in weights if leaf is not None]
    if not weights and not any(map(is_recorded, given)):
        return as_tensor(y)
    kind = _Fixed if _is_fixed(stage, context) else _Backward
    backward = kind(stage, given, arrays, y, saved, context, [each for each, _ in weights])
    sources = [(i, each) for i, each in enumerate(given) if is_recorded(each)]
    sources += [(len(given) + i, leaf) for i, (_, leaf) in enumerate(weights)]
    return Recorded(y, [(each, lambda g, i=i: backward(g)[i]) for i, each in sources])


def _is_fixed(stage: Any, context: StepContext) -> bool:
    """Whether a layer that normalises by the batch in training does so by its statistics now."""
    return isinstance(stage, BatchNormalization) and stage.trainable and not context.training


class _Backward:
    """The gradients of a step's inputs and weights, which are computed together.

    Args:
        stage, arrays, y, saved, context: the step, and what it was run on.
        given: the inputs, of which those that are recorded have gradients.
        weights: that have gradients.
    """

    def __init__(
        self,
        stage: Any,
        given: list[Any],
        arrays: list[Array],
        y: Array,
        saved: tuple[Array, ...],
        context: StepContext,
        weights: list[Parameter],
    ) -> None:
        self.stage, self.arrays, self.y, self.saved = stage, arrays, y, saved
        self.context, self.weights = context, weights
        self._wanted = [is_recorded(each) for each in given]
        self._of: Any = None
        self._made: list[Array | None] = []

    def __call__(self, g: Array) -> list[Array | None]:
        """Those of all inputs, then those of the weights, by the gradient of the output."""
        if self._of is not g:
            self._of, self._made = g, self.compute(np.array(g, np.float32, order="C"))
        return self._made

    def compute(self, dy: Array) -> list[Array | None]:
        """The same; dy may be overwritten."""
        stage, arrays = self.stage, self.arrays
        if stage.is_view(self.context.training):
            return [dy.reshape(arrays[0].shape)]
        pairs = zip(arrays, self._wanted, strict=True)
        dx = [np.empty_like(each) if wanted else None for each, wanted in pairs]
        places = [(each, np.zeros(each.shape, np.float32)) for each in self.weights]
        others = [
            (each, np.zeros(each.shape, np.float32))
            for each in stage.trainable_weights
            if each not in self.weights
        ]
        x, into = (tuple(arrays), tuple(dx)) if stage.merges else (arrays[0], dx[0])
        with Parameter.gradients_in([*places, *others]):
            stage.backward(x, self.y, dy, into, self.saved, self.context)
        return [*dx, *(array for _, array in places)]


class _Fixed(_Backward):
    """Those of a BatchNormalization that uses its moving statistics: y = gamma * z + beta."""

    def compute(self, dy: Array) -> list[Array | None]:
        """The same, with z = (x - mean) / sqrt(variance + epsilon)."""
        stage, axes = self.stage, tuple(range(dy.ndim - 1))
        rate = 1.0 / np.sqrt(stage.moving_variance.array + np.float32(stage.epsilon))
        z = (self.arrays[0] - stage.moving_mean.array) * rate
        slopes = {
            id(stage.gamma): np.sum(dy * z, axis=axes), id(stage.beta): np.sum(dy, axis=axes)
        }  # fmt: skip
        return [dy * (stage.gamma.array * rate), *(slopes[id(each)] for each in self.weights)]
