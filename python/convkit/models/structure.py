"""A model's graph as a configuration."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from .. import storage
from ..core.config import serialize
from ..core.parameters import Array
from ..layers.base import Layer, WeightSource
from ..layers.calling import connect
from ..layers.graph import Graph, Node, Operation, Tensor
from ..layers.input import InputLayer
from ..layers.structure import Structure, shapes_of

# A hostile file shall not keep the machine busy.
MOST_LAYERS, _MOST_CALLS = 10_000, 20_000


def describe_graph(graph: Graph, structures: tuple[Structure, Structure] | None) -> dict[str, Any]:
    """Layers and calls as JSON can hold them; see `Model.get_config`."""
    layers: list[Any] = []
    calls: list[Any] = []
    places: dict[int, int] = {}
    names: dict[str, Any] = {layer.name: layer for layer in graph.layers}
    for tensor in graph.inputs:
        given = tensor.layer
        if tensor.node.inputs:  # in the middle of another model
            given = InputLayer(tensor.sizes)
            layers.append(serialize(given))
        places[id(tensor.node)] = len(calls)
        calls.append([given.name, []])
    layers += [describe_layer(layer) for layer in names.values()]
    for node in graph.nodes:
        places[id(node)] = len(calls)
        calls.append([node.layer.name, [_reference(tensor, places) for tensor in node.inputs]])
    described: dict[str, Any] = {"layers": layers, "calls": calls}
    for i, (what, tensors) in enumerate((("inputs", graph.inputs), ("outputs", graph.outputs))):
        references: Any = [_reference(tensor, places) for tensor in tensors]
        structure = None if structures is None else structures[i]
        if structure is not None and structure.keys is not None:
            references = dict(zip(structure.keys, references, strict=True))
        elif structure is None or structure.is_single:
            references = {"": references[0]}
        described[what] = references
    return described


def describe_layer(layer: Any) -> dict[str, Any]:
    """What `serialize` makes of a layer; ValueError if its name is not there, as it must be."""
    described = serialize(layer)
    if described["config"].get("name") != layer.name:
        raise layer.error(
            "its get_config has not its name: let it begin with what super().get_config() returns"
        )
    return described


def check_places(model: Any) -> None:
    """ValueError if weights are a model's and of one inside it: no configuration could say so."""
    owners: dict[Any, Any] = {}
    waiting = [model]
    while waiting:
        owner = waiting.pop()
        for layer in owner.layers:
            other = owners.setdefault(layer, owner)
            if other is not owner and layer.weights:
                raise ValueError(
                    f'layer "{layer.name}" ({type(layer).__name__}): it is in the models '
                    f'"{other.name}" and "{owner.name}", and a configuration or a file has each '
                    f"layer in one; save_weights saves the weights, or make one model the only one "
                    f"that calls it"
                )
            if isinstance(layer, tuple(CLASSES.values())):
                waiting.append(layer)


def _reference(tensor: Tensor, places: Mapping[int, int]) -> list[int]:
    return [places[id(tensor.node)], tensor.index]


def check_config(config: Any, *keys: str) -> Mapping[str, Any]:
    """Return it; ValueError unless it is what `get_config` returns."""
    if not isinstance(config, Mapping) or not {"name", *keys} <= set(config):
        raise ValueError(
            f"from_config takes what get_config returned, a dictionary with "
            f"{', '.join(map(repr, ('name', *keys)))}, received {config!r}"
        )
    return config


def check_count(value: Any, what: str, most: int) -> None:
    """ValueError unless a part of a configuration is a list, and not too long."""
    if not isinstance(value, list):
        raise ValueError(f"its {what} are no list")
    if len(value) > most:
        raise ValueError(f"it has {len(value)} {what}, more than the {most} it may have")


def restore_graph(
    config: Mapping[str, Any], source: WeightSource | None, depth: int = 0
) -> tuple[Structure, Structure]:
    """The inputs and outputs of new layers that are connected as `describe_graph` says.

    Raises:
        ValueError: a layer is unknown, or a call reads what does not come before it.
    """
    layers: dict[str, Any] = {}
    described, calls = config.get("layers"), config.get("calls")
    check_count(described, "layers", MOST_LAYERS)
    check_count(calls, "calls", _MOST_CALLS)
    assert isinstance(described, list)
    assert isinstance(calls, list)
    for each in described:
        layer = revive_layer(each, source, depth)
        if layer.name in layers:
            raise ValueError(f'layer "{layer.name}": the model already has a layer of this name')
        layers[layer.name] = layer
    made: list[Sequence[Tensor]] = []
    for call in calls:
        if not (isinstance(call, list) and len(call) == 2 and isinstance(call[1], list)):
            raise ValueError(f"a call must be a layer and what it reads, found {str(call)[:80]}")
        name, references = call
        layer = layers.get(name) if isinstance(name, str) else None
        if layer is None:
            raise ValueError(f"a call is of a layer that it does not have: {str(name)[:80]!r}")
        inputs = [_find(reference, made) for reference in references]
        made.append(_outputs(layer, inputs))
    for layer in layers.values():
        if isinstance(layer, Layer):
            layer.weight_source = None
    given = [_restore_structure(config.get(what), made, what) for what in ("inputs", "outputs")]
    return given[0], given[1]


CLASSES: dict[str, Any] = {}  # the models that may be layers, by the names of their classes
_DEEPEST = 30  # models in models


def revive_layer(description: Any, source: WeightSource | None = None, depth: int = 0) -> Any:
    """Make a layer again, or a model that is one, from what `serialize` made of it.

    Args:
        description: its module, class_name and config.
        source: of its weights, None for new ones.
        depth: how many models it lies in.

    Raises:
        ValueError: it is not one of convkit's own.
    """
    is_model = isinstance(description, Mapping) and description.get("module") == "convkit.models"
    kind = CLASSES.get(str(description.get("class_name"))) if is_model else None
    if kind is None:
        layer: Layer = storage.revive(description, Layer)
        layer.weight_source = source
        return layer
    if depth >= _DEEPEST:
        raise ValueError(f"models lie in models more than {_DEEPEST} deep")
    config = description.get("config")
    if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
        raise ValueError("a model in it has no configuration")
    model = kind.__new__(kind)
    model._begin(config["name"])
    inner = None
    if source is not None:
        given, prefix = source, model.name

        def inner(path: str, shape: tuple[int, ...]) -> Array:
            return given(f"{prefix}/{path}", shape)

    model._restore(config, inner, depth + 1)
    return model


def _outputs(layer: Any, inputs: list[Tensor]) -> Sequence[Tensor]:
    if isinstance(layer, InputLayer):
        if inputs:
            raise layer.error("an Input reads nothing")
        return [layer.tensor()]
    if not inputs:
        raise ValueError(f'the layer "{layer.name}" is called on nothing')
    if isinstance(layer, Layer):
        return connect(layer, inputs)
    shapes = shapes_of(layer._inner, [tensor.shape for tensor in inputs])
    return Node(layer, inputs, shapes).outputs


def _find(reference: Any, made: Sequence[Sequence[Tensor]]) -> Tensor:
    if not (
        isinstance(reference, list)
        and len(reference) == 2
        and all(isinstance(each, int) and not isinstance(each, bool) for each in reference)
        and 0 <= reference[0] < len(made)
        and 0 <= reference[1] < len(made[reference[0]])
    ):
        raise ValueError(f"it refers to an output that is not before it: {str(reference)[:80]}")
    return made[reference[0]][reference[1]]


def _restore_structure(given: Any, made: Sequence[Sequence[Tensor]], what: str) -> Structure:
    if isinstance(given, dict):
        tensors = {str(key): _find(reference, made) for key, reference in given.items()}
        return Structure(tensors[""] if set(tensors) == {""} else tensors, what)
    if isinstance(given, list):
        return Structure([_find(reference, made) for reference in given], what)
    raise ValueError(f"its {what} must be a list or a dictionary")


def connected(name: str, inputs: Structure, outputs: Structure) -> Graph:
    """The graph of the model of that name.

    Raises:
        ValueError: an input is given twice, or two layers have one name.
    """
    for tensor in inputs.tensors:
        if inputs.tensors.count(tensor) > 1:
            raise ValueError(f'model "{name}": the input {tensor!r} is given twice')
    graph = Graph(inputs.tensors, outputs.tensors)
    names: dict[str, Operation] = {}
    for layer in graph.layers:
        if names.setdefault(layer.name, layer) is not layer:
            raise ValueError(
                f'model "{name}" has two layers of the name "{layer.name}"; give one of them '
                f"another"
            )
    return graph


class HasLayers(Protocol):
    """A model, of which the layers are asked."""

    name: str

    @property
    def layers(self) -> list[Any]:
        """The layers in order."""


def find_layer(model: HasLayers, name: str | None, index: int | None) -> Any:
    """See `Model.get_layer`."""
    layers = model.layers
    if (name is None) == (index is None):
        raise ValueError(
            f'model "{model.name}": give get_layer either a name or an index, received '
            f"name={name!r}, index={index!r}"
        )
    if index is not None:
        try:
            index = operator.index(index)
        except TypeError:
            raise TypeError(f"get_layer: index must be an integer, received {index!r}") from None
        if not -len(layers) <= index < len(layers):
            raise ValueError(
                f'model "{model.name}" has {len(layers)} layers, and none at index {index}'
            )
        return layers[index]
    for layer in layers:
        if isinstance(name, str) and layer.name == name:
            return layer
    raise ValueError(
        f'model "{model.name}" has no layer {name!r}; its layers are '
        f"{', '.join(layer.name for layer in layers) or 'none'}"
    )
