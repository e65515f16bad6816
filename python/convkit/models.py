"""Sequential: a model that is a list of layers."""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import storage, summary
from .config import flag, serialize
from .data import Data
from .engine import changes_model
from .layers.base import Layer
from .layers.input import InputLayer
from .layers.naming import automatic_name
from .parameters import Array, Shape, assign
from .training import Trainer
from .warn import say

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Sequential", "load_model"]


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name.startswith("__"):  # asked for by Python's own imports
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from convkit.absent import missing  # here: only for an error

        missing(__name__, name)


class Sequential(Trainer):
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
        layers: Sequence[Layer] | None = None,
        trainable: bool = True,
        name: str | None = None,
    ) -> None:
        if name is not None and not isinstance(name, str):
            raise TypeError(f"Sequential: name must be a string or None, received {name!r}")
        super().__init__(name or automatic_name("Sequential"))
        self._layers: list[Layer] = []
        self._input_sizes: tuple[int, ...] | None = None
        if not isinstance(layers, Iterable | None):
            raise TypeError(
                f"Sequential: layers must be a list of layers, as Sequential([...]), received "
                f"{layers!r}"
            )
        self.trainable = trainable
        for layer in () if layers is None else layers:
            self.add(layer)

    # What it consists of.

    @changes_model
    def add(self, layer: Layer) -> None:
        """Put a layer at the end.

        Raises:
            TypeError: not a layer.
            ValueError: a second layer of that name, an `Input` that is not first, or a layer that
                cannot take the output of the one before it. The model stays as it was.
        """
        self._check_new(layer)
        self._append(layer)

    def _append(self, layer: Layer) -> None:
        """Put a new layer with a name of its own at the end."""
        sizes = layer.shape if isinstance(layer, InputLayer) else layer.first_input_shape
        if self._layers or self._input_sizes is not None:
            if isinstance(layer, InputLayer):
                raise layer.error("an Input must come before all layers")
            sizes = self._input_sizes
        if isinstance(layer, InputLayer):
            self._input_sizes = sizes
            return
        if sizes is not None:
            layer.build(self._layers[-1].output_shape or () if self._layers else (None, *sizes))
        if not self._trainable:
            layer.trainable = False
        layer.index = len(self._layers)
        self._layers.append(layer)
        self._input_sizes = sizes
        self._forget_layers()

    @changes_model
    def pop(self) -> Layer:
        """Remove the last layer and return it; ValueError if there is none."""
        if not self._layers:
            raise ValueError(f'model "{self.name}" has no layer to remove')
        layer = self._layers.pop()
        self._forget_layers()
        return layer

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name, or at that place in `layers`.

        Raises:
            ValueError: there is no such layer, or not exactly one of the two was given.
        """
        if (name is None) == (index is None):
            raise ValueError(
                f'model "{self.name}": give get_layer either a name or an index, received '
                f"name={name!r}, index={index!r}"
            )
        if index is not None:
            try:
                index = operator.index(index)
            except TypeError:
                raise TypeError(
                    f"get_layer: index must be an integer, received {index!r}"
                ) from None
            if not -len(self._layers) <= index < len(self._layers):
                raise ValueError(
                    f'model "{self.name}" has {len(self._layers)} layers, and none at index {index}'
                )
            return self._layers[index]
        for layer in self._layers:
            if isinstance(name, str) and layer.name == name:
                return layer
        raise ValueError(
            f'model "{self.name}" has no layer {name!r}; its layers are '
            f"{', '.join(layer.name for layer in self._layers) or 'none'}"
        )

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
            self._sizes()
            return
        if not isinstance(input_shape, Sequence) or len(input_shape) < 2:
            raise ValueError(
                f'model "{self.name}": build takes the shape with the batch in front, such as '
                f"(None, 28, 28, 1), received {input_shape!r}"
            )
        sizes = InputLayer(tuple(input_shape)[1:], name=self.name).shape  # type: ignore[arg-type]
        self._lock.write(self._build, sizes)

    def _build(self, sizes: tuple[int, ...]) -> None:
        if self._input_sizes is not None:
            if sizes != self._input_sizes:
                raise ValueError(
                    f'model "{self.name}" takes inputs of shape {self.input_shape} and cannot be '
                    f"built for {(None, *sizes)}"
                )
            return
        shape: Shape = (None, *sizes)
        # All names and shapes first: whatever does not fit is found before anything is made.
        for i, layer in enumerate(self._layers):
            self._check_name(layer, self._layers[:i])
        shapes = [shape]
        for layer in self._layers:
            shapes.append(layer.compute_output_shape(shapes[-1]))
        for layer, incoming in zip(self._layers, shapes[:-1], strict=True):
            layer.build(incoming)
        self._input_sizes = sizes
        self._forget_layers()

    @property
    def layers(self) -> list[Layer]:
        """The layers in order, as a new list: `add` and `pop` change the model.

        An `Input` is not among them, as in Keras.
        """
        return list(self._layers)

    @property
    def built(self) -> bool:
        """Whether the shapes are known and the parameters made."""
        return self._input_sizes is not None

    @property
    def input_shape(self) -> Shape:
        """The shape of the input, with None for the batch."""
        return (None, *self._sizes()[0])

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, with None for the batch."""
        return (None, *self._sizes()[1])

    # Its weights.

    @changes_model
    def set_weights(self, weights: Sequence[Array]) -> None:
        """Replace all parameters, or none; ValueError names the first that does not fit."""
        assign(self.weights, weights, f'model "{self.name}"', self.built)

    def count_params(self) -> int:
        """The number of elements in all parameters; ValueError before the model is built."""
        self._sizes()
        return sum(parameter.size for parameter in self.weights)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for inputs of that shape, both with the batch in front."""
        shape = input_shape
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def __call__(self, x: Data) -> Array:
        """The outputs for one batch, as `predict_on_batch` computes them."""
        return self.predict_on_batch(x)

    def summary(self, print_fn: Callable[[str], object] | None = None) -> None:
        """Print the layers, their output shapes and parameter counts, and the totals.

        Args:
            print_fn: what to do with the text instead of printing it.
        """
        (print_fn or say)(summary.model_table(self.name, self._layers))

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
        self._lock.read(
            lambda: storage.write(filepath, *storage.describe(self), overwrite=overwrite)
        )

    def save_weights(self, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone into one file, as `save` does.

        Raises:
            FileExistsError: the file exists and `overwrite` is False.
            ValueError: the model is not built.
        """
        self._sizes()
        self._lock.read(
            lambda: storage.write(filepath, *storage.describe_weights(self), overwrite=overwrite)
        )

    @changes_model
    def load_weights(self, filepath: str | os.PathLike[str]) -> None:
        """Take the weights of a file that `save_weights` or `save` wrote, all or none.

        They go to the weights of this model in order, whatever the layers are called.

        Raises:
            ValueError: the file is damaged or foreign, or does not fit the model, which stays as
                it was; the message names the file and what is wrong.
            OSError: the file cannot be read.
            RuntimeError: another thread is training this model.
        """
        self._sizes()
        with storage.reading(filepath) as (document, arrays):
            storage.assign_weights(self.weights, document, arrays)

    def get_config(self) -> dict[str, Any]:
        """The name and the layers, as a dictionary that JSON can hold; without the weights."""
        layers: list[Layer] = list(self._layers)
        if self._input_sizes is not None:
            layers.insert(0, InputLayer(self._input_sizes, name="input_layer"))
        return {"name": self.name, "layers": [serialize(layer) for layer in layers]}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new model, with new weights, from what `get_config` returned.

        Raises:
            ValueError: a layer is not one of convkit's own.
        """
        if not isinstance(config, Mapping) or not {"name", "layers"} <= set(config):
            raise ValueError(
                f"from_config takes what get_config returned, a dictionary with 'name' and "
                f"'layers', received {config!r}"
            )
        return cls([storage.revive(each, Layer) for each in config["layers"]], name=config["name"])

    def __getstate__(self) -> dict[str, Any]:
        def copies() -> dict[str, Any]:
            document, arrays = storage.describe(self)
            return {
                "document": document,
                "arrays": {name: array.copy() for name, array in arrays.items()},
            }

        return self._lock.read(copies)

    def __setstate__(self, state: dict[str, Any]) -> None:
        Sequential.__init__(self, name=state["document"]["model"]["config"]["name"])
        values: dict[str, Array] = state["arrays"]
        shapes = {name: value.shape for name, value in values.items()}
        storage.restore(self, state["document"], storage.Arrays(shapes, values.__getitem__))

    if not TYPE_CHECKING:  # to type checkers, every attribute would be there

        def __getattr__(self, name: str) -> Any:
            from .absent import advice  # here: only for an error

            kind = type(self).__name__
            raise AttributeError(
                f"{kind!r} object has no attribute {name!r}{advice(f'Sequential.{name}')}"
            )

    def __repr__(self) -> str:
        return f"<Sequential {self.name}, {len(self._layers)} layers>"

    # What the training loops ask for.

    def _sizes(self, images: Array | None = None) -> tuple[tuple[int, ...], tuple[int, ...]]:
        if not self._layers:
            raise ValueError(f'model "{self.name}" has no layers; give it some with add()')
        if self._input_sizes is None:
            if images is None:
                raise ValueError(
                    f'model "{self.name}" is not built: begin it with Input(shape), call '
                    f"build(input_shape), or fit it to data"
                )
            self.build((None, *images.shape[1:]))
        assert self._input_sizes is not None
        output = self._layers[-1].output_shape
        assert output is not None
        return self._input_sizes, tuple(size for size in output[1:] if size is not None)

    def _check_new(self, layer: Layer) -> None:
        if isinstance(layer, type) and issubclass(layer, Layer):
            raise TypeError(f"received the class {layer.__name__}; write {layer.__name__}(...)")
        if isinstance(layer, Sequential):
            raise TypeError(
                "a Sequential cannot be a layer; add its layers one by one, as *model.layers"
            )
        if not isinstance(layer, Layer):
            raise TypeError(f"a model consists of objects of convkit.layers, received {layer!r}")
        if any(layer is other for other in self._layers):
            raise layer.error("it is already in this model; use a new layer")
        self._check_name(layer, self._layers)

    def _check_name(self, layer: Layer, before: Sequence[Layer]) -> None:
        if any(layer.name == other.name for other in before):
            raise layer.error(
                f'model "{self.name}" already has a layer of this name; give it another'
            )


def load_model(filepath: str | os.PathLike[str], *, compile: bool = True) -> Sequential:
    """The model that `Sequential.save` wrote.

    Loading runs no code of the file and imports nothing: layers, optimizers, losses and the rest
    are looked up in a closed list. Names, shapes, types and sizes are checked before memory is
    used. A trained model comes back with the seed that it was trained with as `model.seed`.

    Args:
        filepath: of the file.
        compile: whether the model gets its optimizer, loss and metrics, if it had them.

    Raises:
        ValueError: the file is truncated, damaged or not one of convkit's; the message names it
            and says what it is.
        OSError: the file cannot be read.

    Example:
        >>> model.save("mnist.safetensors")
        >>> model = convkit.models.load_model("mnist.safetensors")
        >>> model.fit(x_train, y_train, epochs=10, initial_epoch=5)
    """
    if not isinstance(filepath, str | os.PathLike):
        raise TypeError(f"load_model takes the path of a file, received {filepath!r}")
    compile = flag(compile, "compile", "load_model")
    with storage.reading(filepath) as (document, arrays):
        model = Sequential(name="loading")
        storage.restore(model, document, arrays, compile)
        return model
