"""Models: graphs of layers, and chains of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .. import storage
from ..core import lazy
from ..core.config import flag
from ..core.custom import custom_object_scope
from . import files
from .copying import copy_of
from .model import Model
from .sequential import Sequential
from .structure import CLASSES

__all__ = ["Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]

CLASSES.update({"Model": Model, "Sequential": Sequential})


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


def clone_model(model: Model) -> Model:
    """A model with new layers of the same configuration, and new weights.

    The copy is not compiled. A layer that is called several times is one layer in the copy, too.
    """
    if not isinstance(model, Model):
        raise TypeError(f"clone_model takes a model, received {model!r}")
    copy: Model = copy_of(model)
    return copy


def save_model(model: Model, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model into a file, as `model.save` does."""
    if not isinstance(model, Model):
        raise TypeError(f"save_model takes a model, received {model!r}")
    model.save(filepath, overwrite=overwrite)


def model_from_json(
    json_string: str, custom_objects: Mapping[str, type[Any]] | None = None
) -> Model:
    """A new model, with new weights, from what `model.to_json` returned. It runs no code.

    Args:
        json_string: the text.
        custom_objects: classes of your own by their names, besides those that are registered.

    Raises:
        ValueError: it is damaged, or not convkit's.
    """
    if not isinstance(json_string, str):
        raise TypeError(f"model_from_json takes a text, received {json_string!r}")
    try:
        described = storage.parse(json_string)
    except ValueError as error:
        raise ValueError(f"the text of the model cannot be read: {error}") from error
    kind = CLASSES.get(str(described.get("class_name")))
    config = described.get("config")
    if kind is None or described.get("module") != "convkit.models" or not isinstance(config, dict):
        raise ValueError("it describes no model of convkit; model.to_json() makes such a text")
    with custom_object_scope(custom_objects):
        model: Model = kind.from_config(config)
        return model


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, type[Any]] | None = None,
    compile: bool = True,
) -> Model:
    """The model that `model.save` wrote, or Keras's.

    Of Keras's own files, `.keras` and `.h5`, a Sequential and a model of inputs and outputs are
    read whose layers convkit has (extra `keras`): with their weights, and with what they were
    compiled with, but without the optimizer's memory.

    Loading runs no code of the file and imports nothing: layers, optimizers, losses and the rest
    are looked up in a closed list, and among the classes that you have registered. Names, shapes,
    types and sizes are checked before memory is used. A trained model comes back with the seed
    that it was trained with as `model.seed`.

    Args:
        filepath: of the file.
        custom_objects: classes of your own by their names, besides those that
            `convkit.saving.register_keras_serializable` has registered.
        compile: whether the model gets its optimizer, loss and metrics, if it had them.

    Raises:
        ValueError: the file is truncated, damaged, or has what convkit has not; the message names
            it and says what it is.
        OSError: the file cannot be read.
        ImportError: h5py is missing, for a file of Keras; the message says how to install it.

    Example:
        >>> model.save("mnist.safetensors")
        >>> model = convkit.models.load_model("mnist.safetensors")
        >>> model.fit(x_train, y_train, epochs=10, initial_epoch=5)
    """
    if not isinstance(filepath, str | os.PathLike):
        raise TypeError(f"load_model takes the path of a file, received {filepath!r}")
    compile = flag(compile, "compile", "load_model")
    with custom_object_scope(custom_objects):
        if (reader := files.reader_of(filepath)) is not None:
            loaded: Model = reader.load_model(filepath, compile)
            return loaded
        with storage.reading(filepath) as (document, arrays):
            model = _new(document)
            storage.restore(model, document, arrays, compile)
            return model


def _new(document: Any) -> Model:
    """A model without layers, of the class that a file names."""
    described = document.get("model")
    is_graph = isinstance(described, dict) and described.get("class_name") == "Model"
    model = Model.__new__(Model) if is_graph else Sequential.__new__(Sequential)
    model._begin("loading")
    return model
