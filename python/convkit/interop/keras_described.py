"""A model of Keras as its configuration describes it: what `read_keras` asks of a live one.

Nothing of Keras is imported, and nothing in a configuration is looked up anywhere or run: these
objects hold what it says. Their classes have the names of Keras's, for `read_keras` goes by those.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

from .. import activations
from .keras import KNOWN, fault, no_counterpart

_OPERATIONS = "keras.src.ops."
_MODELS = ("Functional", "Model", "Sequential")
_OF_ONE_SHAPE = ("LogSoftmax", "Softmax")  # operations that must know it, and do not change it
# Arguments that Keras 2 called otherwise.
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
_OF_PARAMETERS = ("regularizer", "constraint")


class History(NamedTuple):
    """Where a tensor comes from."""

    operation: Any
    node_index: int
    tensor_index: int


class DescribedTensor:
    """A symbolic tensor; its shape is None where nobody says it."""

    def __init__(self, history: History, shape: Any, dtype: str = "float32") -> None:
        self._keras_history, self.dtype, self.sparse = history, dtype, False
        self.shape = shape if shape is None else tuple(shape)


class DescribedNode:
    """A call of a layer or an operation."""

    def __init__(
        self, operation: Any, args: Sequence[Any], kwargs: Mapping[str, Any], outputs: list[Any]
    ) -> None:
        self.operation, self.outputs = operation, outputs
        self.arguments = SimpleNamespace(args=list(args), kwargs=dict(kwargs))
        self.input_tensors = [
            each for each in _flatten([*args, kwargs]) if isinstance(each, DescribedTensor)
        ]


class DescribedOperation:
    """What is called in a graph; the options of an operation are its attributes."""

    __call__ = None  # it describes, and computes nothing

    def __init__(self, config: Mapping[str, Any]) -> None:
        for key, value in config.items():
            if not hasattr(self, key):
                setattr(self, key, value)
        self.name = _text(config, "name")
        self._inbound_nodes: list[DescribedNode] = []


class DescribedLayer(DescribedOperation):
    """A layer.

    Attributes:
        place: of its weights in a file of Keras 3, such as "layers/conv2d_1".
        top: the layer of the whole model that it is, or is in.
    """

    def __init__(self, config: Mapping[str, Any], place: str, top: str) -> None:
        super().__init__(config)
        self.place, self.top = place, top
        self.trainable = config.get("trainable", True)
        self.built = True
        self.dtype_policy = SimpleNamespace(name=_dtype(config.get("dtype", "float32")))
        self._config = config
        if "activation" in config:
            given = config["activation"]
            self.activation = given if isinstance(given, dict) else _function(given or "linear")

    def get_config(self) -> Mapping[str, Any]:
        """The arguments of the layer."""
        return self._config


class DescribedInput(DescribedOperation):
    """An input, and its tensor."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config)
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if not isinstance(shape, list):
            raise ValueError(f"the input {self.name!r} has no shape")
        dtype = _dtype(config.get("dtype") or "float32")
        self.tensor = DescribedTensor(History(self, 0, 0), shape, dtype)
        self._inbound_nodes = [DescribedNode(self, [], {}, [self.tensor])]


class DescribedModel(DescribedLayer):
    """A model, which may be a layer of another."""

    def __init__(self, config: Mapping[str, Any], place: str, top: str) -> None:
        super().__init__(_without(config, "activation"), place, top)
        if self.dtype_policy.name != "float32":
            self.dtype_policy.name = "float32"  # of a model it says nothing
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.layers: list[Any] = []

    def _make(self, described: Mapping[str, Any], counts: dict[str, int]) -> Any:
        """The object that a configuration describes."""
        name, config = _text(described, "class_name"), _entry(described, "config", Mapping)
        config = _modern(name, config)
        if name == "InputLayer":
            return DescribedInput(config)
        module = described.get("module")
        if isinstance(module, str) and module.startswith(_OPERATIONS):
            return type(name, (DescribedOperation,), {"__module__": module})(config)
        place = snake_case("Functional" if name == "Model" else name)
        number = counts[place] = counts.get(place, -1) + 1
        place = f"{self.place}layers/{place}_{number}" if number else f"{self.place}layers/{place}"
        top = self.top or _text(config, "name")
        if name in _MODELS:
            return model_of(described, f"{place}/", top)
        if name == "Lambda":
            raise fault(
                _text(config, "name"),
                name,
                "its function is code in the file, which is never run; make the model in Python, "
                "with a layer of convkit in its place, and take the weights by load_weights",
            )
        is_own = module in (None, "keras.layers") and not described.get("registered_name")
        if not is_own or name not in KNOWN:
            raise no_counterpart(_text(config, "name"), name)
        return getattr(keras.layers, name)(config, place, top)


class DescribedSequential(DescribedModel):
    """A chain of layers."""

    def __init__(self, config: Mapping[str, Any], place: str, top: str) -> None:
        super().__init__(config, place, top)
        counts: dict[str, int] = {}
        described = _entry(config, "layers", list)
        made = [self._make(each, counts) for each in described]
        if made and not isinstance(made[0], DescribedInput):
            # Keras 2 says the shape in the first layer, or of the whole.
            first = _entry(described[0], "config", Mapping)
            shape = first.get("batch_input_shape") or config.get("build_input_shape")
            if isinstance(shape, list):
                made.insert(0, DescribedInput({"name": f"{self.name}_input", "batch_shape": shape}))
        self.built = bool(made) and isinstance(made[0], DescribedInput)
        if self.built:
            self.inputs = [made[0].tensor]
            self.layers = made[1:]
        self.outputs = [DescribedTensor(History(self, 0, 0), None)]
        self.input = self.inputs[0] if self.inputs else None
        self.output = self.outputs[0]


class DescribedFunctional(DescribedModel):
    """A graph of layers."""

    def __init__(self, config: Mapping[str, Any], place: str, top: str) -> None:
        super().__init__(config, place, top)
        counts: dict[str, int] = {}
        described = _entry(config, "layers", list)
        made = [self._make(each, counts) for each in described]
        self._by_name = {each.name: each for each in made}
        if len(self._by_name) != len(made):
            raise ValueError(f'the model "{self.name}" has two layers of the same name')
        self._shapes: dict[tuple[str, int, int], Any] = {}
        self._tensors: dict[tuple[str, int, int], DescribedTensor] = {}
        calls = [
            (layer, each.get("inbound_nodes", []))
            for layer, each in zip(made, described, strict=True)
        ]
        for value in calls:
            self._note_shapes(value[1])
        for layer, nodes in calls:
            if not isinstance(layer, DescribedInput):
                for number, node in enumerate(nodes):
                    args, kwargs = self._call(node)
                    count = len(layer.outputs) if isinstance(layer, DescribedModel) else 1
                    outputs = [self._tensor([layer.name, number, i]) for i in range(count)]
                    if outputs[0].shape is None and type(layer).__name__ in _OF_ONE_SHAPE:
                        outputs[0].shape = self._shape_given(args)
                    layer._inbound_nodes.append(DescribedNode(layer, args, kwargs, outputs))
        self.layers = [each for each in made if isinstance(each, DescribedLayer)]
        # Keras 3 counts a graph's own outputs as its first call, but only here.
        self._first = int(any(isinstance(node, Mapping) for _, nodes in calls for node in nodes))
        self.input = self._structure(config.get("input_layers"))
        self.output = self._structure(config.get("output_layers"))
        self.inputs, self.outputs = list(_flatten(self.input)), list(_flatten(self.output))
        if any(
            not isinstance(each._keras_history.operation, DescribedInput) for each in self.inputs
        ):
            raise ValueError(f'the model "{self.name}" has inputs that are no Input')

    def _note_shapes(self, value: Any) -> None:
        """Keep what calls say of the shapes of the tensors that they are given."""
        for each in _walk(value):
            if each.get("class_name") == "__keras_tensor__":
                config = _entry(each, "config", Mapping)
                self._shapes[_key(config.get("keras_history"))] = config.get("shape")

    def _shape_given(self, args: Sequence[Any]) -> Any:
        return next(each.shape for each in _flatten(args) if isinstance(each, DescribedTensor))

    def _call(self, node: Any) -> tuple[list[Any], dict[str, Any]]:
        """What a layer is called on, as Keras 3 describes it, or as Keras 2 does."""
        if isinstance(node, Mapping):
            return list(self._revived(node.get("args", []))), self._revived(node.get("kwargs", {}))
        tensors: list[DescribedTensor] = []
        kwargs: dict[str, Any] = {}
        for given in node:
            tensors.append(self._tensor(given[:3]))
            kwargs.update(given[3] if len(given) > 3 else {})
        return [tensors[0] if len(tensors) == 1 else tensors], kwargs

    def _revived(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            if value.get("class_name") == "__keras_tensor__":
                return self._tensor(value["config"]["keras_history"])
            return {key: self._revived(each) for key, each in value.items()}
        return [self._revived(each) for each in value] if isinstance(value, list) else value

    def _structure(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: self._structure(value[key]) for key in sorted(value)}
        if isinstance(value, list) and len(value) == 3 and isinstance(value[0], str):
            name, number, output = _key(value)
            is_graph = isinstance(self._by_name.get(name), DescribedFunctional)
            return self._tensor([name, max(number - self._first * is_graph, 0), output])
        if not isinstance(value, list) or not value:
            raise ValueError(f'the model "{self.name}" does not say its inputs and outputs')
        # A list of one is how Keras describes a single tensor, too.
        return self._structure(value[0]) if len(value) == 1 else [self._structure(v) for v in value]

    def _tensor(self, history: Any) -> DescribedTensor:
        key = _key(history)
        if key not in self._tensors:
            layer = self._by_name.get(key[0])
            if layer is None:
                raise ValueError(f'the model "{self.name}" has no layer {key[0]!r}')
            if isinstance(layer, DescribedInput):
                return layer.tensor
            self._tensors[key] = DescribedTensor(History(layer, *key[1:]), self._shapes.get(key))
        return self._tensors[key]


def model_of(described: Any, place: str = "", top: str = "") -> DescribedModel:
    """The model that a configuration describes.

    Args:
        described: with its class_name and config.
        place: of its weights in a file of Keras 3, with a slash behind.
        top: the layer of the whole model that it is in.

    Raises:
        ValueError: it is no Sequential and no functional model, or damaged.
    """
    name, config = described.get("class_name"), described.get("config")
    if name == "Sequential" and isinstance(config, list):  # of Keras before 2.2.3
        config = {"name": "sequential", "layers": config}
    if name not in _MODELS or not isinstance(config, Mapping) or "layers" not in config:
        raise ValueError(
            f"its model is of the class {name!r}, whose code is not in the file; only a Sequential "
            f"and a Model of inputs and outputs can be read"
        )
    made: type[DescribedModel] = keras.Sequential
    if name != "Sequential":
        made = keras.src.models.functional.Functional
    return made(config, place, top)


def snake_case(class_name: str) -> str:
    """The name that Keras gives objects of a class."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


# The place of Keras itself.


class _Made:
    """Attributes that are made by their names, each once."""

    def __init__(self, make: Callable[[str], Any], **known: Any) -> None:
        self.__dict__.update(known, _make=make)

    def __getattr__(self, name: str) -> Any:
        made = self._make(name)
        setattr(self, name, made)
        return made


def _function(name: Any) -> Any:
    return getattr(keras.activations, name) if name in activations.__all__ else name


def _flatten(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for key in sorted(value):
            yield from _flatten(value[key])
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _flatten(each)
    else:
        yield value


keras = SimpleNamespace(
    layers=_Made(lambda name: type(name, (DescribedLayer,), {}), Layer=DescribedLayer),
    activations=_Made(lambda name: SimpleNamespace(__name__=name) if name else None),
    Sequential=DescribedSequential,
    src=SimpleNamespace(
        models=SimpleNamespace(functional=SimpleNamespace(Functional=DescribedFunctional))
    ),
    tree=SimpleNamespace(flatten=lambda value: list(_flatten(value))),
)


# Parts of a configuration.


def _modern(class_name: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a layer, as Keras 3 calls them, and as plain values."""
    names = _RENAMED.get(class_name, {})
    made = {names.get(key, key): _plain(value) for key, value in config.items()}
    for key, value in made.items():
        end = key.rpartition("_")[2]
        if end in _OF_PARAMETERS and isinstance(value, dict):
            made[key] = {"module": f"keras.{end}s", **value}
        if (
            key == "activation"
            and isinstance(value, dict)
            and value.get("class_name") == "function"
        ):
            made[key] = value.get("config")
    return made


def _plain(value: Any) -> Any:
    """A value without the boxes that Keras puts arrays and tuples into."""
    if isinstance(value, Mapping):
        kind, inner = value.get("class_name"), value.get("config")
        if kind in ("__numpy__", "__tensor__") and isinstance(inner, Mapping):
            return inner.get("value")
        if kind in ("__tuple__", "TensorShape"):
            return value.get("items")
    return value


def _dtype(value: Any) -> str:
    """The name of a dtype or a policy."""
    if isinstance(value, Mapping):
        value = _entry(value, "config", Mapping).get("name")
    return str(value)


def _walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """All dictionaries in a value."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Mapping):
            yield each
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each


def _key(history: Any) -> tuple[str, int, int]:
    if not isinstance(history, list) or [type(each) for each in history] != [str, int, int]:
        raise ValueError(f"a tensor must come from a layer, a call and an output, not {history!r}")
    if min(history[1:]) < 0:
        raise ValueError(f"a tensor comes from call {history[1]} and output {history[2]}")
    return history[0], history[1], history[2]


def _text(described: Mapping[str, Any], key: str) -> str:
    value: str = _entry(described, key, str)
    return value


def _entry(described: Any, key: str, kind: Any) -> Any:
    value = described.get(key) if isinstance(described, Mapping) else None
    if not isinstance(value, kind):
        raise ValueError(f"its entry {key!r} is missing or of the wrong type")
    return value


def _without(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != name}
