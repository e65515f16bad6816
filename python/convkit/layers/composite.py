"""Layers made of other layers: what their `call` does with symbolic tensors is traced once.

A class of the user's own derives from `Layer`, makes layers in its constructor or in `build`, and
calls them in `call`. When such a layer is built, `call` runs on symbolic tensors; what it connects
is a graph, which plans run as they run that of a model inside a model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ..core.parameters import Array, Parameter, Shape
from . import naming
from .graph import Graph, Operation, tick
from .structure import Structure, shapes_of

if TYPE_CHECKING:
    from .base import Layer

_NOT_ATTRIBUTES = ("_given", "_inbound_nodes", "_parameters")


def compose(layer: Layer, input_shape: Any, by_build: bool = False) -> Composition:
    """What a layer is made of, which is found out the first time.

    Args:
        layer: whose class has a `call`.
        input_shape: with the batch in front; a list of several.
        by_build: whether the layer's `build` wants to know, which is not to be called then.

    Raises:
        ValueError: it cannot take such inputs, or `build` is called a second time with others.
        TypeError: `call` does what cannot be traced.
    """
    if layer._composition is None and not by_build and not layer.built:
        layer.build(input_shape)  # the user's own, which may come back here
    if layer._composition is None:
        made = Composition(layer, input_shape)
        shapes = [tensor.shape for tensor in made.outputs.tensors]
        layer.__dict__.update(
            _composition=made,
            _parameters=list(made.paths),
            input_shape=input_shape if not made.takes_one else tuple(input_shape),
            output_shape=made.outputs.pack(shapes),
            built=True,
        )
        if not layer.trainable:
            layer.trainable = False  # the parts, too
    elif by_build:
        before = [tensor.shape[1:] for tensor in layer._composition.graph.inputs]
        shapes, _ = shapes_in(input_shape)
        if [shape[1:] for shape in shapes] != before:
            raise layer.error(
                f"it was built for inputs of shape {layer.input_shape} and cannot take "
                f"{input_shape}; use a new layer"
            )
    composition = layer._composition
    assert composition is not None
    return composition


def composed_shape(layer: Layer, input_shape: Any) -> Any:
    """The shape of the outputs, as `call` returns them; a layer that is not built stays so."""
    if layer._composition is None:
        layer = deepcopy(layer)
        layer.weight_source = lambda path, shape: np.broadcast_to(np.float32(0.0), shape)
    with naming.scope():
        composition = compose(layer, input_shape)
    return composition.outputs.pack(composition.output_shapes(layer, shapes_in(input_shape)[0]))


def note_attribute(layer: Layer, name: str, value: Any) -> None:
    """Remember when an attribute was set, for the order of the weights.

    Raises:
        AttributeError: it is, or was, a part of a layer that is built.
    """
    if layer._composition is not None:
        old = layer.__dict__.get(name)
        if any(_walk(name, value)) or any(_walk(name, old)):
            raise layer._refusal(name, "the layer is built: make a new one, in a new model")
    layer._set_at[name] = tick()


def given_arguments(layer: Layer) -> dict[str, Any]:
    """The arguments of the constructor, as far as they were given, with the name.

    Of a class with a `get_config` of its own these are the arguments that all layers take.

    Raises:
        TypeError: the constructor could not be given the same again.
    """
    from .base import Layer as Base  # here, for it knows this module

    kind = type(layer)
    own = {"name": layer.name, "trainable": layer.trainable}
    if kind.get_config is not Base.get_config:
        return own
    signature = inspect.signature(kind.__init__)
    arguments, options = layer._given
    found: dict[str, Any] = {}
    takes_more = False
    for parameter in signature.parameters.values():
        takes_more |= parameter.kind is parameter.VAR_KEYWORD
        if parameter.kind is parameter.VAR_POSITIONAL:
            raise TypeError(f"{layer._title}: *{parameter.name} needs a get_config of its own")
    for name, value in list(signature.bind(layer, *arguments, **options).arguments.items())[1:]:
        is_rest = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        found.update(value if is_rest else {name: value})
    if not takes_more and not own.keys() <= signature.parameters.keys():
        raise TypeError(
            f"{layer._title}: its constructor takes no name; have it take **options and hand them "
            f"on, super().__init__(**options)"
        )
    return {**found, **own}


class Phase:
    """What a layer's `call` is given as `training`: a graph serves training and inference alike."""

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "what call connects cannot depend on training: hand the argument on to layers, of "
            "which Dropout, BatchNormalization and others know what to do in training"
        )

    def __eq__(self, other: object) -> bool:
        return bool(self)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "training"


class Composition:
    """What a layer is made of.

    Attributes:
        graph: of the layers that `call` connects.
        takes_one: whether it is called on one tensor, and not on a list of them.
        outputs: what `call` returned.
        paths: of the parameters, in Keras's order: the names of the attributes on the way to it.
    """

    def __init__(self, layer: Layer, input_shape: Any) -> None:
        shapes, self.takes_one = shapes_in(input_shape)
        parts = list(parts_of(layer))
        built = {part for _, part in parts if part.built}
        source = layer.weight_source
        if source is not None:
            for path, part in parts:
                part.weight_source = partial(_inner_weight, source, f"{layer.name}/{path}")
        self.graph, self.outputs = trace(layer, shapes, self.takes_one)
        check_attributes(layer, self.graph)
        self.paths = self._find_paths(layer)
        if source is not None:
            for path, part in parts:
                part.weight_source = None
                for inner, parameter in _paths_in(path, part) if part in built else ():
                    parameter.value = source(f"{layer.name}/{inner}", parameter.shape)

    def _find_paths(self, layer: Layer) -> dict[Parameter, str]:
        """The paths of all parameters that the graph uses."""
        used = {parameter for each in self.graph.all_layers() for parameter in each.weights}
        found: dict[Parameter, str] = {}
        for path, part in parts_of(layer):
            for inner, parameter in _paths_in(path, part):
                if parameter in used:
                    found.setdefault(parameter, inner)
        return found

    def output_shapes(self, layer: Layer, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of the outputs for inputs of some shapes.

        Raises:
            ValueError: `call` does something else for such shapes.
        """
        known = [tensor.shape for tensor in self.graph.inputs]
        if len(shapes) != len(known):
            raise layer.error(f"it takes {len(known)} inputs, received {len(shapes)}")
        if [shape[1:] for shape in shapes] != [shape[1:] for shape in known]:
            graph, _ = trace(layer, shapes, self.takes_one)
            if _outline(graph) != _outline(self.graph):
                raise layer.error(
                    f"it was built for inputs of shape {layer.input_shape}, and its call does "
                    f"something else with {listed(shapes)}; use a new layer"
                )
        return shapes_of(self.graph, shapes)

    def compute(self, arrays: Sequence[Array], training: bool) -> Any:
        """The outputs for one batch of arrays, one layer after the other."""
        values = {(id(t.node), t.index): x for t, x in zip(self.graph.inputs, arrays, strict=True)}
        for node in self.graph.nodes:
            given = [values[id(t.node), t.index] for t in node.inputs]
            several = node.layer.merges or len(given) > 1
            made: Any = node.layer(given if several else given[0], training=training)
            if isinstance(made, Mapping):
                made = list(made.values())
            for index, each in enumerate(made if isinstance(made, list) else [made]):
                values[id(node), index] = each
        return self.outputs.pack([values[id(t.node), t.index] for t in self.outputs.tensors])


def trace(owner: Any, shapes: Sequence[Shape], takes_one: bool) -> tuple[Graph, Structure]:
    """Run the `call` of a layer or a model on symbolic tensors of some shapes.

    Args:
        owner: the layer or model.
        shapes: of the inputs, with the batch in front.
        takes_one: whether `call` is given a tensor, and not a list.

    Returns:
        What it connects, and how it returns the outputs.

    Raises:
        TypeError, AttributeError: it does what cannot be traced.
        ValueError: it uses a tensor from elsewhere.
    """
    from .input import InputLayer  # here, for it knows this module

    with naming.scope():
        sizes: list[Any] = [shape[1:] for shape in shapes]
        names = ["input_layer", *(f"input_layer_{i}" for i in range(1, len(sizes)))]
        inputs = [
            InputLayer(each, name=name).tensor() for each, name in zip(sizes, names, strict=True)
        ]
        takes_training = "training" in inspect.signature(owner.call).parameters
        options = {"training": Phase()} if takes_training else {}
        try:
            made = owner.call(inputs[0] if takes_one else inputs, **options)
        except (AttributeError, TypeError) as error:
            if "call could not be traced" in str(error):  # of a layer inside
                raise
            raise type(error)(
                f"{owner._title}: its call could not be traced: {error}. It runs on symbolic "
                f"tensors, which hold no numbers, and may use layers and the operators of "
                f"tensors, but nothing of NumPy's"
            ) from error
    outputs = Structure(made, "outputs", f"{owner._title}: what call returns")
    try:
        return Graph(inputs, outputs.tensors), outputs
    except ValueError as error:
        raise ValueError(f"{owner._title}: {error}") from None


def check_attributes(owner: Any, graph: Graph) -> None:
    """ValueError if the graph uses a layer with weights that is no attribute of its owner."""
    known = {
        each
        for _, part in parts_of(owner)
        for each in ([part] if part._inner is None else part._inner.all_layers())
    }
    for layer in graph.all_layers():
        if layer.weights and layer not in known:
            raise ValueError(
                f'{owner._title}: its call uses the layer "{layer.name}", which has weights and is '
                f"no attribute: make it in the constructor or in build, as self.x = ..."
            )


def shapes_in(input_shape: Any) -> tuple[list[Shape], bool]:
    """What `build` is given as a list of shapes, and whether it was one shape alone."""
    if not isinstance(input_shape, list | tuple):
        raise ValueError(
            f"the input shape must have the batch in front, such as (None, 28, 28, 1), received "
            f"{input_shape!r}"
        )
    is_one = not any(isinstance(each, list | tuple) for each in input_shape)
    return [tuple(each) for each in ([input_shape] if is_one else input_shape)], is_one


def listed(shapes: Sequence[Shape]) -> str:
    """Shapes for an error."""
    return ", ".join(map(str, map(tuple, shapes)))


def _inner_weight(source: Any, prefix: str, path: str, shape: tuple[int, ...]) -> Array:
    """A weight that a part calls by its own automatic name, by the attributes' names."""
    value: Array = source(f"{prefix}/{path.partition('/')[2]}", shape)
    return value


def attributes_of(owner: Any) -> dict[Any, str]:
    """The layers and models that are attributes of a layer or a model, with their paths.

    In Keras's order: what was set first comes first, in a list what was put there first.
    """
    found: list[tuple[int, str, Any]] = []
    for name, value in vars(owner).items():
        if name not in _NOT_ATTRIBUTES:
            since = owner._set_at.get(name, 0)
            found += [(max(since, each._made_at), path, each) for path, each in _walk(name, value)]
    ordered: dict[Any, str] = {}
    for _, path, each in sorted(found, key=lambda one: one[0]):
        ordered.setdefault(each, path)
    return ordered


def parts_of(owner: Any) -> Iterator[tuple[str, Layer]]:
    """The layers that are attributes, those in models too, each once."""
    seen: set[Layer] = set()
    for each, path in attributes_of(owner).items():
        for inner, part in _opened(path, each):
            if part not in seen:
                seen.add(part)
                yield inner, part


def _walk(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The layers and models in an attribute: itself, or those in lists and dictionaries."""
    if isinstance(value, Operation):
        yield path, value
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _walk(f"{path}/{index}", each)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            yield from _walk(f"{path}/{key}", each)


def _opened(path: str, operation: Any) -> Iterator[tuple[str, Layer]]:
    """A layer, or the layers of a model."""
    if hasattr(type(operation), "stages"):
        yield path, operation
        return
    for index, layer in enumerate(operation.layers):
        yield from _opened(f"{path}/{index}", layer)


def _paths_in(path: str, part: Layer) -> Iterator[tuple[str, Parameter]]:
    composition = part._composition
    for parameter in part.weights:
        inner = parameter.name if composition is None else composition.paths[parameter]
        yield f"{path}/{inner}", parameter


def _outline(graph: Graph) -> list[Any]:
    """What a graph does, as something to compare; layers that `call` itself makes by their kind."""
    places: dict[tuple[int, int], Any] = {}
    for index, tensor in enumerate(graph.inputs):
        places[id(tensor.node), tensor.index] = index
    found: list[Any] = []
    for node in graph.nodes:
        layer: Any = node.layer
        if not layer.weights and layer._inner is None:
            config = {key: each for key, each in layer.get_config().items() if key != "name"}
            layer = (type(layer), sorted(config.items()))
        found.append((layer, [places[id(t.node), t.index] for t in node.inputs]))
        for index in range(len(node.outputs)):
            places[id(node), index] = (len(found), index)
    return [*found, [places[id(t.node), t.index] for t in graph.outputs]]
