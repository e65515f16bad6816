"""How the inputs and outputs of what is made of layers are given, and their shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core.parameters import Shape
from .graph import Graph, Tensor


class Structure:
    """One tensor, or a list or dictionary of them, and how other things are given likewise.

    Args:
        given: the tensors.
        what: "inputs" or "outputs", for errors.
        owner: whose they are, for errors.

    Attributes:
        tensors: all of them.
        keys: those of a dictionary, else None.
        is_single: whether it is one tensor, not in a list.
    """

    def __init__(self, given: Any, what: str, owner: str = "Model") -> None:
        self.keys: list[str] | None = None
        self.is_single = isinstance(given, Tensor)
        if isinstance(given, Mapping):
            self.keys = [str(key) for key in given]
            values = list(given.values())
        else:
            values = (
                [given] if self.is_single or not isinstance(given, list | tuple) else list(given)
            )
        for value in values:
            if not isinstance(value, Tensor):
                raise TypeError(
                    f"{owner}: {what} must be symbolic tensors, as Input and layers give them, or "
                    f"a list or dictionary of those, received {value!r}"
                )
        if not values:
            raise ValueError(f"{owner}: {what} must not be empty")
        self.tensors: list[Tensor] = values

    def pack(self, values: Sequence[Any]) -> Any:
        """As many values as there are tensors, given as they are."""
        if self.is_single:
            return values[0]
        if self.keys is not None:
            return dict(zip(self.keys, values, strict=True))
        return list(values)

    def names(self, tensors: Sequence[Tensor]) -> list[str]:
        """The keys, or else the names of the layers, each made unique by a number behind it."""
        if self.keys is not None:
            return self.keys
        names: list[str] = []
        for tensor in tensors:
            name, number = tensor.name, 0
            while name in names:
                number += 1
                name = f"{tensor.name}_{number}"
            names.append(name)
        return names

    def flatten(self, given: Any, what: str, leaf: type) -> list[Any]:
        """As many values as there are tensors: of a dictionary, a list, or a single one.

        Args:
            given: the values; a dictionary has this one's keys, or the tensors' names.
            what: it is, for errors.
            leaf: the type of a value, which may itself be a tuple.

        Raises:
            ValueError: their number, or a key, is not this structure's.
        """
        count = len(self.tensors)
        if isinstance(given, Mapping):
            names = self.keys or [tensor.name for tensor in self.tensors]
            missing = [name for name in names if name not in given]
            if missing or len(given) != count:
                raise ValueError(
                    f"{what} must have the keys {names}, received {[str(key) for key in given]}"
                )
            return [given[name] for name in names]
        if isinstance(given, leaf) and not (leaf is tuple and count > 1):
            values = [given]
        elif isinstance(given, list | tuple):
            values = list(given)
        else:
            values = [given]
        if len(values) != count:
            names = [tensor.name for tensor in self.tensors]
            raise ValueError(f"{what} must be {count} of {names}, received {len(values)}")
        return values


def shapes_of(graph: Graph, given: Sequence[Shape]) -> list[Shape]:
    """The shapes of the outputs for inputs of some shapes."""
    shapes = {(id(t.node), t.index): shape for t, shape in zip(graph.inputs, given, strict=True)}
    for node in graph.nodes:
        inputs = [shapes[id(t.node), t.index] for t in node.inputs]
        layer: Any = node.layer
        if layer._inner is not None:
            made = shapes_of(layer._inner, inputs)
        else:
            made = [layer.compute_output_shape(inputs if layer.merges else inputs[0])]
        shapes.update({(id(node), index): shape for index, shape in enumerate(made)})
    return [shapes[id(t.node), t.index] for t in graph.outputs]
