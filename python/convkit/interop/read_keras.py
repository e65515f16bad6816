"""Keras's models as convkit's: chains and graphs of layers, and models in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import layers
from ..core.packages import package
from ..core.parameters import Array, Shape
from ..layers.base import WeightSource
from ..layers.graph import Tensor
from ..models import Model, Sequential
from ..operators.verify import verify as compare
from .keras import check_calls, error, read_layer, run
from .keras_operations import of_applications, read_operation, scaled_sum

if TYPE_CHECKING:
    import keras


def from_keras(model: keras.Model, *, verify: bool = True) -> Model:
    """Make a convkit model of a Keras model, with its weights.

    A Sequential becomes a `Sequential`, what is made by `keras.Model(inputs, outputs)` a `Model`:
    with several inputs and outputs, layers that are called several times, and models as layers.
    Operations of `keras.ops` become the layers that do the same; docs/families.md lists them, and
    the networks of `keras.applications` that can be converted. Names and `trainable` of the layers
    come along. The model is not compiled. Layers are read by their classes and arguments, so that
    subclasses, replaced methods, functions of one's own that are called as Keras's, and dtype
    policies other than float32 are refused.

    Args:
        model: built, of any backend of Keras, channels-last, with inputs of known sizes.
        verify: whether both are tried on the same random batch, of two images or one.

    Raises:
        ValueError: a layer, an operation, or an argument of one, has no counterpart in convkit; or
            the model is not built; or what the new model gives for the random batch is further
            from what Keras's gives than rounding explains.
        TypeError: not a model of Keras, or one of a class of its own.
        ImportError: Keras is missing; the message says how to install it.
    """
    theirs = package("keras")
    if _kind_of(model, theirs) is None:
        raise TypeError(
            f"expected a keras.Sequential, or a keras.Model made of inputs and outputs, received "
            f"{type(model).__name__}"
        )
    reader = Reader(theirs)
    ours = reader.model(model)
    reader.copy_weights(model)
    if verify:
        compare(ours, lambda x: run(model, ours, x, theirs), "the Keras model")
    return ours


def _kind_of(model: Any, theirs: Any) -> type | None:
    """Keras's own class of a model that can be read."""
    functional: type = theirs.src.models.functional.Functional
    for kind in (theirs.Sequential, functional):
        if isinstance(model, kind):
            return kind
    return None


def _nothing(path: str, shape: tuple[int, ...]) -> Array:
    return np.zeros(shape, np.float32)  # until the weights are copied


class Reader:
    """Makes convkit's layers of Keras's, one of each, however often it is called."""

    def __init__(self, theirs: Any) -> None:
        self.theirs = theirs
        self._copies: dict[int, layers.Layer | Model] = {}  # by the id of Keras's
        self.pairs: list[tuple[Any, layers.Layer]] = []

    def model(self, network: Any) -> Model:
        """A copy of a model, without its weights; ValueError if a part has no counterpart."""
        kind = _kind_of(network, self.theirs)
        assert kind is not None
        what = f'the Keras model "{network.name}"'
        if not network.built or not network.inputs:
            raise ValueError(f"{what} is not built; give it an Input")
        check_calls(network, kind, what)
        if kind is self.theirs.Sequential:
            return self._sequential(network)
        return self._graph(network)

    def _weights_of(self, layer: Any) -> WeightSource:
        """What a copy takes its weights from when it is built; `copy_weights` gives it Keras's."""
        return _nothing

    def copy_weights(self, network: Any) -> None:
        """Give all copies the weights, and freeze those that the model does not train."""
        for layer, copy in self.pairs:
            copy.weight_source = None
            given = layer.get_weights()[: len(copy.weights)]  # a Normalization also counts
            copy.set_weights(
                [array.reshape(own.shape) for array, own in zip(given, copy.weights, strict=True)]
            )
            # What a model in between says of itself counts for none of its layers.
            copy.trainable = bool(network.trainable and layer.trainable)
            if layer.trainable:
                for theirs, own in zip(layer.weights, copy.weights, strict=False):
                    if own.has_gradient and not theirs.trainable:
                        own.trainable = False

    def _sequential(self, network: Any) -> Sequential:
        given = self._input(network.inputs[0])
        shape: Shape = given.shape
        copies: list[Any] = []
        for layer in network.layers:
            copies.append(self._copy(layer, shape))
            shape = copies[-1].compute_output_shape(shape)
        return Sequential([given, *copies], name=network.name)

    def _graph(self, network: Any) -> Model:
        tensors = {id(given): self._input(given) for given in network.inputs}
        for node in _nodes(network):
            made = self._call(node, [tensors[id(tensor)] for tensor in node.input_tensors])
            tensors.update(zip(map(id, node.outputs), made, strict=True))
        inputs, outputs = (
            _like(given, [tensors[id(tensor)] for tensor in flat], network)
            for given, flat in (
                (network.input, network.inputs),
                (network.output, network.outputs),
            )
        )
        return Model(inputs, outputs, name=network.name)

    def _input(self, given: Any) -> Tensor:
        layer = given._keras_history.operation
        sizes = tuple(given.shape[1:])
        if None in sizes or not sizes:
            raise error(
                layer,
                f"the sizes of a sample must be known, received shape {tuple(given.shape)}; make "
                f"the model for images of one size, such as Input((224, 224, 3))",
            )
        if given.dtype != "float32" or given.sparse:
            kind = "sparse" if given.sparse else given.dtype
            raise error(layer, f"inputs are dense float32 numbers, received {kind}")
        return layers.InputLayer(sizes, name=layer.name).tensor()

    def _copy(self, layer: Any, shape: Shape) -> Any:
        """The copy of a layer, which is built for its first input's shape when it is called."""
        copy = self._copies.get(id(layer))
        if copy is None:
            if _kind_of(layer, self.theirs) is not None:
                copy = self.model(layer)
            else:
                copy = of_applications(layer, shape) or read_layer(layer, len(shape), self.theirs)
                copy.weight_source = self._weights_of(layer)
                self.pairs.append((layer, copy))
            self._copies[id(layer)] = copy
        return copy

    def _call(self, node: Any, inputs: list[Tensor]) -> list[Tensor]:
        """What a layer, a model or an operation makes of tensors."""
        layer = node.operation
        if not isinstance(layer, self.theirs.layers.Layer):
            return [read_operation(node, inputs)]
        given = _argument(node, self.theirs)
        if (made := scaled_sum(layer, inputs)) is not None:
            return [made]
        copy = self._copy(layer, inputs[0].shape)
        if isinstance(copy, Model):
            if isinstance(given, Mapping) and not isinstance(layer.input, Mapping):
                by_id = dict(zip(map(id, node.input_tensors), inputs, strict=True))
                inputs = [by_id[id(given[each.name])] for each in layer.inputs]
            several = copy(inputs)
            if isinstance(several, Mapping):
                return list(several.values())
            return several if isinstance(several, list) else [several]
        return [copy(inputs if copy.merges else _one(layer, inputs))]


def _one(layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    if len(inputs) != 1:
        raise error(layer, f"it is called on {len(inputs)} tensors, and convkit's takes one")
    return inputs[0]


def _argument(node: Any, theirs: Any) -> Any:
    """What a layer is called on; ValueError if that is not all that it is given."""
    given = [*node.arguments.args]
    others = {
        name: value
        for name, value in node.arguments.kwargs.items()
        # Keras's models tell all layers whether they train, whatever was said at the call.
        if name != "training" and any(each is not None for each in theirs.tree.flatten(value))
    }
    if not given and others:
        given.append(others.pop(next(iter(others))))
    if len(given) != 1 or others:
        raise error(
            node.operation,
            f"it is called with more than its inputs, {', '.join(others) or len(given)}, which "
            f"convkit's layers do not take",
        )
    return given[0]


def _like(given: Any, tensors: list[Tensor], network: Any) -> Any:
    """Tensors as one, a list or a dictionary, as those of Keras are given, in their flat order."""
    if isinstance(given, Mapping):
        keys = sorted(given)
        if not any(isinstance(value, list | tuple | Mapping) for value in given.values()):
            return dict(zip(keys, tensors, strict=True))
    elif not isinstance(given, list | tuple):
        return tensors[0]
    elif not any(isinstance(value, list | tuple | Mapping) for value in given):
        return tensors
    raise ValueError(
        f'the Keras model "{network.name}": inputs and outputs may be lists or dictionaries of '
        f"tensors, and not lists in those"
    )


def _nodes(network: Any) -> Iterator[Any]:
    """The calls between a model's inputs and outputs, each behind those that it depends on."""
    known = {id(_node(given)) for given in network.inputs}
    for output in network.outputs:
        waiting = [(_node(output), False)]
        while waiting:
            node, is_ready = waiting.pop()
            if is_ready:
                yield node
            elif id(node) not in known:
                known.add(id(node))
                waiting.append((node, True))
                waiting += [(_node(each), False) for each in reversed(node.input_tensors)]


def _node(tensor: Any) -> Any:
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]
