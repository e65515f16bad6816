"""The calls of a model's layers, those of models that are layers in their place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..layers.base import Layer
from ..layers.graph import Graph
from ..models import Model


class Call(NamedTuple):
    """One call of a layer: the values that it reads and the one that it makes, by their numbers."""

    layer: Layer
    inputs: tuple[int, ...]
    output: int


class Calls:
    """What a model computes, call by call.

    Attributes:
        calls: in an order in which they can be computed.
        sizes: of one sample of each value, by its number; those of the inputs come first.
        inputs, outputs: the numbers of the model's inputs and outputs.
    """

    def __init__(self, model: Model) -> None:
        graph = model.graph
        self.calls: list[Call] = []
        self.sizes: list[tuple[int, ...]] = [tensor.sizes for tensor in graph.inputs]
        self.inputs = list(range(len(self.sizes)))
        self.outputs = self._follow(graph, self.inputs)

    def _follow(self, graph: Graph, given: Sequence[int]) -> list[int]:
        numbers = {
            (id(tensor.node), tensor.index): number
            for tensor, number in zip(graph.inputs, given, strict=True)
        }
        for node in graph.nodes:
            inputs = [numbers[id(tensor.node), tensor.index] for tensor in node.inputs]
            inner = node.layer._inner
            made = (
                [self._call(node.layer, inputs)] if inner is None else self._follow(inner, inputs)
            )
            numbers.update({(id(node), index): number for index, number in enumerate(made)})
        return [numbers[id(tensor.node), tensor.index] for tensor in graph.outputs]

    def _call(self, layer: Layer, inputs: Sequence[int]) -> int:
        sizes = [self.sizes[number] for number in inputs]
        given: Any = sizes if layer.merges else sizes[0]
        self.calls.append(Call(layer, tuple(inputs), len(self.sizes)))
        self.sizes.append(layer.output_sizes(given))
        return len(self.sizes) - 1

    def most_values(self) -> int:
        """How many values of one sample are needed at the same time, if at most one call runs."""
        last = {number: at for at, call in enumerate(self.calls) for number in call.inputs}
        last |= dict.fromkeys(self.outputs, len(self.calls))
        now = sum(math.prod(self.sizes[number]) for number in self.inputs)
        most = now
        for at, call in enumerate(self.calls):
            now += math.prod(self.sizes[call.output])
            most = max(most, now)
            for number in {*call.inputs, call.output}:
                if last.get(number, at) == at:
                    now -= math.prod(self.sizes[number])
        return most

    def products(self) -> int:
        """About how many multiplications one sample takes."""
        return sum(self._products(call) for call in self.calls)

    def _products(self, call: Call) -> int:
        sizes, layer = self.sizes[call.output], call.layer
        values = math.prod(sizes) + sum(math.prod(self.sizes[number]) for number in call.inputs)
        window = math.prod(getattr(layer, "pool_size", ()))
        weights = max((weight.size for weight in layer.weights), default=0)
        return math.prod(sizes[:-1]) * weights + values * (_OF_A_VALUE + window)

    def columns(self) -> int:
        """How many values the windows of one sample have, one beside the other, in any call."""
        return max((self._columns(call) for call in self.calls), default=0)

    def _columns(self, call: Call) -> int:
        sizes = self.sizes[call.output]
        weights = max((weight.size for weight in call.layer.weights), default=0)
        return math.prod(sizes[:-1]) * weights // max(1, math.prod(sizes[-1:]))


# What a value costs that is read or written, in multiplications.
_OF_A_VALUE = 8
