"""Model: a graph of layers between inputs and outputs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import storage
from ..core.config import flag
from ..core.parameters import Array, Parameter, assign
from ..layers.base import WeightSource
from ..layers.calling import check_phase
from ..layers.composite import attributes_of
from ..layers.graph import Graph, Node, Tensor, symbolic
from ..layers.naming import model_name
from ..layers.structure import Structure, shapes_of
from ..training.engine import changes_model, unique_parameters
from ..training.objective import Objective
from ..training.trainer import Trainer
from . import files
from .calling import compute
from .copying import Serves
from .description import Described
from .structure import (
    check_config,
    check_places,
    connected,
    describe_graph,
    find_layer,
    restore_graph,
)
from .subclass import Subclassable

if TYPE_CHECKING:
    from typing_extensions import Self


class Model(Described, Serves, Subclassable, Trainer):
    """The layers between some inputs and outputs, which need not be a chain.

    Args:
        inputs: what the model takes: a tensor of `Input`, or a list or dictionary of them. A tensor
            of another model's layer may be one, too: its values are given then.
        outputs: what it gives: a tensor, or a list or dictionary.
        name: by default `model`, `model_1`, ...
        trainable: False freezes all layers.

    The layers keep their weights, and share them with other models that they are part of.

    A subclass may give no inputs and outputs: then its attributes are the layers, its method `call`
    connects them, as that of a layer of one's own does, and the first data say the shapes; those of
    several inputs or outputs are given to `build`.

    Example:
        >>> inputs = convkit.Input((32, 32, 3))
        >>> x = convkit.layers.Conv2D(16, 3, padding="same", activation="relu")(inputs)
        >>> y = convkit.layers.Conv2D(16, 3, padding="same")(x)
        >>> x = convkit.layers.Add()([x, y])
        >>> x = convkit.layers.GlobalAveragePooling2D()(x)
        >>> model = convkit.Model(inputs, convkit.layers.Dense(10, activation="softmax")(x))
    """

    def __init__(
        self,
        inputs: Any = None,
        outputs: Any = None,
        name: str | None = None,
        *,
        trainable: bool = True,
    ) -> None:
        self._begin(model_name(name, type(self).__name__))
        self._is_traced = inputs is None and outputs is None and hasattr(self, "call")
        if self._is_traced:
            self._trainable = flag(trainable, "trainable", self)
            return
        self._connect(Structure(inputs, "inputs"), Structure(outputs, "outputs"))
        if not flag(trainable, "trainable", self):
            self.trainable = False  # but True leaves layers alone that were frozen before

    def _begin(self, name: str) -> None:
        """Be a model without layers."""
        self.name = name
        self._begin_training()
        self._structures = None
        self._inbound_nodes = []
        self._trainable = True

    def _connect(self, inputs: Structure, outputs: Structure) -> None:
        graph = connected(self.name, inputs, outputs)
        graph.number_layers()
        self._engine.forget_layers()
        self._engine.connected, self._structures = graph, (inputs, outputs)

    # What it consists of.

    @property
    def name(self) -> str:
        """What the model is called. It can be set.

        Raises:
            ValueError: set to what is no string, or an empty one.
        """
        return self._name

    @name.setter
    def name(self, value: str) -> None:
        if not isinstance(value, str) or not value:
            raise ValueError(f"a model's name must be a non-empty string, received {value!r}")
        self._name = value

    @property
    def graph(self) -> Graph:
        """The layers and how they are connected; ValueError before the model is built."""
        graph = self._engine.connected
        if graph is None:
            raise ValueError(f'model "{self.name}" is not built')
        return graph

    @property
    def _inner(self) -> Graph:  # type: ignore[override]
        return self.graph

    @property
    def layers(self) -> list[Any]:
        """The layers, as a new list, in Keras's order: what is further from the outputs is first.

        An `Input` is one of them, except in a Sequential, and so is a model that is a layer.
        """
        return list(attributes_of(self) if self._is_traced else self.graph.layers)

    @property
    def built(self) -> bool:
        """Whether the shapes are known and the parameters made."""
        return self._engine.connected is not None

    @property
    def inputs(self) -> list[Tensor]:
        """The symbolic tensors that it takes."""
        return list(self.graph.inputs)

    @property
    def outputs(self) -> list[Tensor]:
        """The symbolic tensors that it gives."""
        return list(self.graph.outputs)

    @property
    def input(self) -> Any:
        """The symbolic tensor that it takes, or the list or dictionary of them."""
        return self._structure(0).pack(self.graph.inputs)

    @property
    def output(self) -> Any:
        """The symbolic tensor that it gives, or the list or dictionary of them."""
        return self._structure(1).pack(self.graph.outputs)

    @property
    def input_shape(self) -> Any:
        """The shape of the input, with None for the batch; of several, a list or dictionary."""
        return self._structure(0).pack([tensor.shape for tensor in self.graph.inputs])

    @property
    def output_shape(self) -> Any:
        """The shape of the output, with None for the batch; of several, a list or dictionary."""
        return self._structure(1).pack([tensor.shape for tensor in self.graph.outputs])

    @property
    def input_names(self) -> list[str]:
        """What the inputs are called: the names of their Input layers."""
        return [tensor.name for tensor in self.graph.inputs]

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called: by their keys in a dictionary, or their layers' names."""
        return self._structure(1).names(self.graph.outputs)

    def _structure(self, which: int) -> Structure:
        graph = self.graph
        if self._structures is None:
            tensors, what = (graph.outputs, "outputs") if which else (graph.inputs, "inputs")
            return Structure(tensors[0], what)
        return self._structures[which]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of that name, or at that place in `layers`.

        Raises:
            ValueError: there is no such layer, or not exactly one of the two was given.
        """
        return find_layer(self, name, index)

    def build(self, input_shape: Any = None) -> None:
        """Make all parameters; those of a graph are there as soon as it is.

        Args:
            input_shape: with the batch in front, or a list of them; of a subclass with a `call`.
        """
        if input_shape is None or self.built:
            return
        if not self._is_traced:
            raise ValueError(f'model "{self.name}" is not built')
        inputs, outputs = self._trace(input_shape)
        if len(outputs.tensors) > 1 and self._engine.objective.losses:
            raise ValueError(f"{self._title} has several outputs: call build before compile")
        self._connect(inputs, outputs)
        if not self._trainable:
            self.trainable = False

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of that shape, both with the batch in front."""
        given = self._structure(0).flatten(input_shape, "input_shape", leaf=tuple)
        return self._structure(1).pack(shapes_of(self.graph, given))

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs for one batch; or, of symbolic tensors, those of the model as a layer.

        Args:
            inputs: arrays, as `predict_on_batch` takes them; or symbolic tensors.
            training: of arrays it must not be True, for `fit` trains; but a model of layers that
                transform images does what it does in training, unless it is False. Of tensors it
                is what a layer's `call` was given as `training`, or None.
        """
        values = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
        if symbolic(values) is None:
            return compute(self, inputs, training)
        if not self.built:
            shapes = [tensor.shape for tensor in symbolic(values) or ()]
            self.build(shapes[0] if isinstance(inputs, Tensor) else shapes)
        check_phase(self, training)
        tensors = self._structure(0).flatten(inputs, "inputs", leaf=Tensor)
        shapes = shapes_of(self.graph, [tensor.shape for tensor in tensors])
        node = Node(self, tensors, shapes)
        return self._structure(1).pack(node.outputs)

    # Its weights.

    @property
    def weights(self) -> list[Parameter]:
        """All parameters, in the order of the layers."""
        return unique_parameters(self.layers, "weights")

    @property
    def trainable_weights(self) -> list[Parameter]:
        """The parameters that training changes by their gradients."""
        return unique_parameters(self.layers, "trainable_weights")

    @property
    def non_trainable_weights(self) -> list[Parameter]:
        """The other parameters, such as the moving statistics of BatchNormalization."""
        return unique_parameters(self.layers, "non_trainable_weights")

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights; setting it sets it for every layer.

        A layer may be frozen or released by itself afterwards. (In Keras, a layer that is released
        while its model is frozen stays frozen.)
        """
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = flag(value, "trainable", self)
        for layer in self.layers:
            layer.trainable = self._trainable

    def get_weights(self) -> list[Array]:
        """Copies of all parameters, of one moment between two training steps."""
        return self._engine.lock.read(lambda: [parameter.numpy() for parameter in self.weights])

    @changes_model
    def set_weights(self, weights: Sequence[Array]) -> None:
        """Replace all parameters, or none; ValueError names the first that does not fit."""
        assign(self.weights, weights, f'model "{self.name}"', self.built)

    def count_params(self) -> int:
        """The number of elements in all parameters; ValueError before the model is built."""
        self._build_for([])
        return sum(parameter.size for parameter in self.weights)

    def _build_for(self, images: Sequence[Array]) -> Graph:
        """The graph; a model that has none yet is built for the images."""
        if images and not self.built and self._is_traced:
            shapes = [(None, *each.shape[1:]) for each in images]
            self.build(shapes if len(shapes) > 1 else shapes[0])
        return self.graph

    def _objective(self) -> Objective:
        return self._engine.objective

    def _target_names(self) -> list[str]:
        return super()._target_names() if self.built or not self._is_traced else [""]

    # In files, in pickles, and as a configuration.

    def save(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write everything that training can go on from into one file.

        That is the architecture, the weights, what `compile` was given, the optimizer's memory,
        and the counters that random numbers depend on: training goes on with the same bits as if
        it had not been interrupted. The file is in the safetensors format, whatever its name; the
        architecture is JSON in its metadata, and there is no code in it. An interrupted save
        leaves the old file or the new one.

        Args:
            filepath: of the file, such as `"model.safetensors"` or a Keras script's `"best.keras"`.
            overwrite: whether an existing file is replaced.

        Raises:
            FileExistsError: the file exists and `overwrite` is False.
            ValueError: a layer, optimizer, loss, metric or initializer is not one of convkit's
                own; `save_weights` can save such a model.
        """
        self._engine.lock.read(
            lambda: storage.write(filepath, *storage.describe(self), overwrite=overwrite)
        )

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone into one file, as `save` does.

        Raises:
            FileExistsError: the file exists and `overwrite` is False.
            ValueError: the model is not built.
        """
        self._build_for([])
        self._engine.lock.read(
            lambda: storage.write(filepath, *storage.describe_weights(self), overwrite=overwrite)
        )

    @changes_model
    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Take the weights of a file that `save_weights` or `save` wrote, or Keras, all or none.

        They go to the weights of this model in order, whatever the layers are called.

        Raises:
            ValueError: the file is damaged or foreign, or does not fit the model, which stays as
                it was; the message names the file and what is wrong.
            OSError: the file cannot be read.
            RuntimeError: another thread is training this model.
        """
        self._build_for([])
        files.load_weights(self, filepath)

    def get_config(self) -> dict[str, Any]:
        """Name, layers and connections, as a dictionary that JSON can hold; without weights.

        `calls` are the layers in an order in which they can be computed, each with the outputs that
        it reads: the numbers of a call before it and of that call's output.
        """
        self._check_is_configurable()
        check_places(self)
        return {"name": self.name, **describe_graph(self.graph, self._structures)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new model, with new weights, from what `get_config` returned.

        Raises:
            ValueError: a layer is not one of convkit's own, or the configuration is damaged.
        """
        model = cls.__new__(cls)
        model._begin(check_config(config, "layers", "calls")["name"])
        model._restore(config, None)
        return model

    def _restore(
        self, config: Mapping[str, Any], source: WeightSource | None, depth: int = 0
    ) -> None:
        """Make the layers of a configuration, with weights from a source or new ones."""
        known = ("name", "layers", "calls", "inputs", "outputs")
        storage.refuse_unknown(config, known, "model")
        self._connect(*restore_graph(config, source, depth))

    def named_weights(self) -> list[tuple[str, Parameter]]:
        """All parameters with their names, those in a model that is a layer behind its name."""
        found: dict[Parameter, str] = {}
        for layer in self.layers:
            if isinstance(layer, Model):
                for path, parameter in layer.named_weights():
                    found.setdefault(parameter, f"{layer.name}/{path}")
            elif layer._composition is not None:
                for parameter, path in layer._composition.paths.items():
                    found.setdefault(parameter, f"{layer.name}/{path}")
            else:
                for parameter in layer.weights:
                    found.setdefault(parameter, parameter.path)
        return [(path, parameter) for parameter, path in found.items()]

    def __getstate__(self) -> dict[str, Any]:
        def copies() -> dict[str, Any]:
            document, arrays = storage.describe(self)
            return {
                "document": document,
                "arrays": {name: array.copy() for name, array in arrays.items()},
            }

        return self._engine.lock.read(copies)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin(state["document"]["model"]["config"]["name"])
        values: dict[str, Array] = state["arrays"]
        shapes = {name: value.shape for name, value in values.items()}
        storage.restore(self, state["document"], storage.Arrays(shapes, values.__getitem__))

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            from ..absent import advice  # here: only for an error

            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}{advice(f'Sequential.{name}')}"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, {len(self.layers)} layers>"
