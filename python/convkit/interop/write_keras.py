"""Convkit's models as Keras's: chains and graphs of layers, and models in them."""

from __future__ import annotations

import random as seeds
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers
from ..core.packages import package
from ..models import Model, Sequential
from ..operators.verify import verify as compare
from .keras import run, write_layer

if TYPE_CHECKING:
    import keras


def to_keras(model: Model, *, verify: bool = True) -> keras.Model:
    """Make a Keras model of a convkit model, with its weights.

    A `Sequential` becomes a keras.Sequential, a `Model` what `keras.Model(inputs, outputs)` makes,
    with the same names of inputs and layers; models that are layers stay that. `trainable` of the
    layers comes along. The model is not compiled. The random numbers of Python, from which Keras
    takes its seeds, are as before afterwards.

    Args:
        model: built, with weights.
        verify: whether both are tried on the same random batch, of two images or one.

    Raises:
        ValueError: the model is not built, or a layer has no counterpart in Keras; or what Keras's
            model gives for the random batch is further from what this one gives than rounding
            explains.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    state = seeds.getstate()
    try:
        writer = _Writer(theirs)
        network = writer.model(model)
    finally:
        seeds.setstate(state)
    writer.copy_weights()
    if verify:
        compare(model, lambda x: run(network, model, x, theirs), "its copy in Keras")
    return network


class _Writer:
    """Makes Keras's layers of convkit's, one of each, however often it is called."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self._copies: dict[layers.Layer | Model, Any] = {}
        self._pairs: list[tuple[layers.Layer, Any]] = []

    def model(self, model: Model) -> Any:
        """A copy of a model, with weights of its own; ValueError if a part has no counterpart."""
        graph = model.graph
        if isinstance(model, Sequential):
            copies = [self._copy(layer) for layer in model.layers]
            given = self.theirs.Input(graph.inputs[0].sizes)
            return self.theirs.Sequential([given, *copies], name=model.name)
        tensors: dict[tuple[int, int], Any] = {}
        for tensor in graph.inputs:
            name = None if tensor.node.inputs else tensor.name  # in the middle of another model
            tensors[id(tensor.node), tensor.index] = self.theirs.Input(tensor.sizes, name=name)
        for node in graph.nodes:
            inputs = [tensors[id(tensor.node), tensor.index] for tensor in node.inputs]
            for index, made in enumerate(self._call(node.layer, inputs)):
                tensors[id(node), index] = made
        ends = [
            model._structure(which).pack([tensors[id(each.node), each.index] for each in flat])
            for which, flat in enumerate((graph.inputs, graph.outputs))
        ]
        return self.theirs.Model(*ends, name=model.name)

    def copy_weights(self) -> None:
        """Give all copies the weights, and freeze them where the originals are."""
        for layer, copy in self._pairs:
            weights = layer.get_weights()
            if isinstance(layer, layers.Normalization) and weights:
                copy.set_weights([*weights, np.zeros((), np.int32)])
                copy.finalize_state()  # or it would compute with what it was made with
            else:
                copy.set_weights(weights)
            copy.trainable = layer.trainable
            for own, theirs in zip(layer.weights, copy.weights, strict=False):
                if own.held:
                    theirs.trainable = False

    def _copy(self, layer: Any) -> Any:
        copy = self._copies.get(layer)
        if copy is None:
            if isinstance(layer, Model):
                copy = self.model(layer)
            else:
                copy = write_layer(layer, self.theirs)
                self._pairs.append((layer, copy))
            self._copies[layer] = copy
        return copy

    def _call(self, layer: Any, inputs: list[Any]) -> list[Any]:
        copy = self._copy(layer)
        if isinstance(layer, Model):
            made = copy(layer._structure(0).pack(inputs))
            leaf = self.theirs.KerasTensor
            return layer._structure(1).flatten(made, f'outputs of "{layer.name}"', leaf=leaf)
        return [copy(inputs if layer.merges else inputs[0])]
