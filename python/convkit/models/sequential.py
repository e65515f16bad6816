"""Sequential: a model that is a chain of layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .. import storage
from ..core.parameters import Array, Shape
from ..layers.base import Layer, WeightSource
from ..layers.graph import Graph, Node, Tensor
from ..layers.input import InputLayer
from ..layers.naming import model_name
from ..training.engine import changes_model
from .model import Model
from .structure import (
    MOST_LAYERS,
    check_config,
    check_count,
    check_places,
    describe_layer,
    revive_layer,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    from ..callbacks import Callback
    from ..training.data import Data


class Sequential(Model):
    """A stack of layers, each fed by the one before it.

    Args:
        layers: in order. The first may be an `Input`, or have `input_shape=`; otherwise the model
            is built when it first sees data.
        trainable: False freezes all layers, those that are added later too.
        name: by default `sequential`, `sequential_1`, ...

    Example:
        >>> model = convkit.Sequential([
        ...     convkit.Input((28, 28, 1)),
        ...     convkit.layers.Conv2D(32, 3, activation="relu"),
        ...     convkit.layers.GlobalAveragePooling2D(),
        ...     convkit.layers.Dense(10, activation="softmax"),
        ... ])
        >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        >>> model.fit(x_train, y_train, epochs=3)
    """

    def __init__(
        self,
        layers: Sequence[Any] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        self._begin(model_name(name, "Sequential"))
        if not isinstance(layers, Iterable | None):
            raise TypeError(
                f"Sequential: layers must be a list of layers, as Sequential([...]), received "
                f"{layers!r}"
            )
        self.trainable = trainable
        for layer in () if layers is None else layers:
            self.add(layer)

    def _begin(self, name: str) -> None:
        super()._begin(name)
        self._layers: list[Any] = []
        self._tensors: list[Tensor] = []  # the input, and each layer's output, once it is built

    # What it consists of.

    @changes_model
    def add(self, layer: Any) -> None:
        """Put a layer at the end.

        Args:
            layer: one of `convkit.layers`, or a model with one input and one output; at the
                beginning, what `Input` gives.

        Raises:
            TypeError: not a layer.
            ValueError: a second layer of that name, an `Input` that is not first, or a layer that
                cannot take the output of the one before it. The model stays as it was.
        """
        if isinstance(layer, Tensor) and isinstance(layer.layer, InputLayer):
            layer = layer.layer
        self._check_new(layer)
        self._append(layer)

    def _append(self, layer: Any) -> None:
        """Put a new layer with a name of its own at the end."""
        if isinstance(layer, InputLayer):
            if self._layers or self._tensors:
                raise layer.error("an Input must come before all layers")
            self._tensors = [layer.tensor()]
            return
        given = None
        if not self._layers and not self._tensors:
            sizes = getattr(layer, "first_input_shape", None)
            if isinstance(layer, Model) and layer.built:
                sizes = layer.graph.inputs[0].sizes
            given = None if sizes is None else InputLayer(sizes, name="input_layer").tensor()
        before = self._tensors[-1] if self._tensors else given
        after = None if before is None else _follow(layer, before)
        if not self._trainable:
            layer.trainable = False
        if isinstance(layer, Layer):
            layer.index = len(self._layers)
        self._layers.append(layer)
        if after is not None:
            assert before is not None
            self._tensors = [*(self._tensors or [before]), after]
        self._engine.forget_layers()

    @changes_model
    def pop(self) -> Any:
        """Remove the last layer and return it; ValueError if there is none."""
        if not self._layers:
            raise ValueError(f'model "{self.name}" has no layer to remove')
        layer = self._layers.pop()
        if self._tensors:
            self._tensors.pop()
        self._engine.forget_layers()
        return layer

    def build(self, input_shape: Shape | None = None) -> None:
        """Make all parameters.

        Args:
            input_shape: with the batch in front, such as `(None, 28, 28, 1)`; needed unless the
                model begins with an `Input`.

        Raises:
            ValueError: a layer cannot take what comes to it, or the model was built for another
                shape. The model stays as it was.
        """
        if input_shape is None:
            _ = self.graph
            return
        if not isinstance(input_shape, Sequence) or len(input_shape) < 2:
            raise ValueError(
                f'model "{self.name}": build takes the shape with the batch in front, such as '
                f"(None, 28, 28, 1), received {input_shape!r}"
            )
        sizes = InputLayer(tuple(input_shape)[1:], name=self.name).shape  # type: ignore[arg-type]
        self._engine.lock.write(self._build, sizes)

    def _build(self, sizes: tuple[int, ...]) -> None:
        if self._tensors:
            if sizes != self._tensors[0].sizes:
                raise ValueError(
                    f'model "{self.name}" takes inputs of shape {self.input_shape} and cannot be '
                    f"built for {(None, *sizes)}"
                )
            return
        # All names and shapes first: whatever does not fit is found before anything is made.
        for i, layer in enumerate(self._layers):
            self._check_name(layer, self._layers[:i])
        shape: Shape = (None, *sizes)
        for layer in self._layers:
            if not isinstance(layer, Sequential) or layer.built:
                shape = layer.compute_output_shape(shape)
        tensors = [InputLayer(sizes, name="input_layer").tensor()]
        for layer in self._layers:
            tensors.append(_follow(layer, tensors[-1]))
        self._tensors = tensors
        self._engine.forget_layers()

    @property
    def graph(self) -> Graph:
        """The layers and how they are connected; ValueError before the model is built."""
        graph = self._engine.connected
        if graph is None:
            self._require_layers()
            if not self._tensors:
                raise ValueError(
                    f'model "{self.name}" is not built: begin it with Input(shape), call '
                    f"build(input_shape), or fit it to data"
                )
            graph = self._engine.connected = Graph(self._tensors[:1], self._tensors[-1:])
            graph.number_layers()
        return graph

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, as a new list: `add` and `pop` change the model.

        An `Input` is not among them, as in Keras.
        """
        return list(self._layers)

    @property
    def built(self) -> bool:
        """Whether the shapes are known and the parameters made."""
        return bool(self._tensors)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of that shape, both with the batch in front."""
        shape = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """The outputs for one batch; or, of a symbolic tensor, those of the model as a layer.

        Args:
            inputs: an array, as `predict_on_batch` takes it; or a symbolic tensor.
            training: as of `Model`.
        """
        if isinstance(inputs, Tensor) and not self.built:
            self.build(inputs.shape)
        return super().__call__(inputs, training)

    if TYPE_CHECKING:  # of one input and one output more is known

        @property
        def input_shape(self) -> Shape: ...
        @property
        def output_shape(self) -> Shape: ...

        def predict(
            self,
            x: Data,
            batch_size: int | None = None,
            verbose: str | int = "auto",
            steps: int | None = None,
            callbacks: Callback | Sequence[Callback] | None = None,
        ) -> NDArray[np.float32]: ...

        def predict_on_batch(self, x: Data) -> NDArray[np.float32]: ...

    # As a configuration.

    def get_config(self) -> dict[str, Any]:
        """The name and the layers, as a dictionary that JSON can hold; without the weights."""
        check_places(self)
        layers = list(self._layers)
        if self._tensors:
            layers.insert(0, InputLayer(self._tensors[0].sizes, name="input_layer"))
        return {"name": self.name, "layers": [describe_layer(layer) for layer in layers]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new model, with new weights, from what `get_config` returned.

        Raises:
            ValueError: a layer is not one of convkit's own.
        """
        check_config(config, "layers")
        return cls([revive_layer(each) for each in config["layers"]], name=config["name"])

    def _restore(
        self, config: Mapping[str, Any], source: WeightSource | None, depth: int = 0
    ) -> None:
        storage.refuse_unknown(config, ("name", "layers"), "model")
        layers = config.get("layers")
        check_count(layers, "layers", MOST_LAYERS)
        assert isinstance(layers, list)
        names = set()  # `add` would compare each layer with all before it
        for each in layers:
            layer = revive_layer(each, source, depth)
            if layer.name in names:
                raise ValueError(
                    f'layer "{layer.name}": the model already has a layer of this name'
                )
            names.add(layer.name)
            self._append(layer)
            if isinstance(layer, Layer):
                layer.weight_source = None

    # What the training loops ask for.

    def _require_layers(self) -> None:
        if not self._layers:
            raise ValueError(f'model "{self.name}" has no layers; give it some with add()')

    def _target_names(self) -> list[str]:
        return [""]  # also before it is built

    def _build_for(self, images: Sequence[Array]) -> Graph:
        graph = self._engine.connected
        if graph is not None:
            return graph
        self._require_layers()
        if not self._tensors and images:
            self.build((None, *images[0].shape[1:]))
        return self.graph

    def _check_new(self, layer: Any) -> None:
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"received the class {layer.__name__}; write {layer.__name__}(...)")
        if isinstance(layer, Tensor):
            raise TypeError(
                "a Sequential consists of layers, received a symbolic tensor: connect layers by "
                "calling them, and make a convkit.Model of the result"
            )
        if not isinstance(layer, Layer | Model):
            raise TypeError(f"a model consists of objects of convkit.layers, received {layer!r}")
        if layer is self:
            raise ValueError(f'model "{self.name}" cannot be a layer of itself')
        if isinstance(layer, Layer) and layer.merges:
            raise layer.error("it takes several inputs, and a Sequential is a chain; use Model")
        if any(layer is other for other in self._layers):
            raise ValueError(
                f'layer "{layer.name}" ({type(layer).__name__}): it is already in this model; use '
                f"a new layer"
            )
        self._check_name(layer, self._layers)

    def _check_name(self, layer: Any, before: Sequence[Any]) -> None:
        if any(layer.name == other.name for other in before):
            raise ValueError(
                f'layer "{layer.name}" ({type(layer).__name__}): model "{self.name}" already has a '
                f"layer of this name; give it another"
            )


def _follow(layer: Any, before: Tensor) -> Tensor:
    """What a layer makes of a tensor; what was built for other shapes is refused."""
    if isinstance(layer, Model) or layer.is_composite:
        made = layer(before)
        if not isinstance(made, Tensor):
            kind = "model" if isinstance(layer, Model) else "layer"
            raise ValueError(
                f'{kind} "{layer.name}" has several outputs and cannot be a layer of a Sequential'
            )
        return made
    layer.build(before.shape)
    assert layer.output_shape is not None
    return Node(layer, [before], [layer.output_shape]).outputs[0]
