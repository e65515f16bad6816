"""Sequential and Model with the methods and arguments of Keras 1 and 2.

They are convkit's own with more names: what they save is a file of convkit's, and what is loaded
here has the names again.
"""

from __future__ import annotations

import os
from typing import Any

from .. import models
from ..models import clone_model as _clone_model
from . import notes
from .adapted import drop
from .layers import Input
from .model_methods import Older
from .optimizers import modern

__all__ = [
    "Functional",
    "Input",
    "Model",
    "Sequential",
    "clone_model",
    "load",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "older",
    "save",
    "save_model",
]


class Sequential(Older, models.Sequential):  # type: ignore[misc]
    """A chain of layers, as convkit's, with Keras's older methods besides."""

    __module__ = models.Sequential.__module__

    def __init__(self, layers: Any = None, name: Any = None, **options: Any) -> None:
        trainable = options.pop("trainable", True)
        if isinstance(name, bool):  # Keras 3 has `trainable` in this place
            trainable, name = name, None
        super().__init__(None, trainable, name)
        if isinstance(layers, list | tuple):
            for each in layers:
                self.add(each)
        elif layers is not None:
            self.add(layers)

    def add(self, layer: Any) -> None:
        """Put a layer at the end."""
        if isinstance(layer, models.Sequential) and not layer.built and not layer.layers:
            raise ValueError(f'model "{layer.name}" has no layers, and cannot be a layer')
        super().add(layer)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _reduced(self, Sequential, models.Sequential, protocol)


class Model(Older, models.Model):  # type: ignore[misc]
    """A graph of layers, as convkit's, with Keras's older methods besides."""

    __module__ = models.Model.__module__

    def call(self, inputs: Any, training: Any = None) -> Any:
        """What a subclass without inputs and outputs says of its outputs, if anything."""
        raise NotImplementedError(f"{type(self).__name__} has no call, and no inputs and outputs")

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _reduced(self, Model, models.Model, protocol)


Functional = Model


def _reduced(model: Any, kind: type[Any], base: type[Any], protocol: Any) -> Any:
    """A pickle of the model; of a subclass as of any object."""
    if type(model) is not kind:
        return object.__reduce_ex__(model, protocol)
    return _unmade, (base is models.Sequential,), model.__getstate__()


def _unmade(is_chain: bool) -> Any:
    """A model that a pickle is about to fill."""
    kind: Any = Sequential if is_chain else Model
    return kind.__new__(kind)


def older(model: Any) -> Any:
    """A model of convkit's, and those within it, with the methods of old."""
    for layer in model.layers:
        if isinstance(layer, models.Model):
            older(layer)
    for base, kind in ((models.Sequential, Sequential), (models.Model, Model)):
        if type(model) is base:
            model.__class__ = kind
    if model.optimizer is not None:
        modern(model.optimizer)
    return model


def load_model(
    filepath: Any,
    custom_objects: Any = None,
    compile: bool = True,
    safe_mode: bool = True,
    **options: Any,
) -> Any:
    """The model that `save` wrote, or Keras in one of its files that convkit reads."""
    drop(options, "load_model", options=None)
    known = {
        name: kind
        for name, kind in (custom_objects or {}).items()
        if isinstance(kind, type) and hasattr(kind, "from_config")
    }
    for name in (custom_objects or {}).keys() - known.keys():
        notes.ignored(f"load_model(custom_objects={name!r})", "only classes are in files")
    path = os.fspath(filepath).rstrip("/\\")
    return older(models.load_model(path, known or None, compile))


load = load_model


def save_model(model: Any, filepath: Any, overwrite: bool = True, **options: Any) -> None:
    """Write a model into a file."""
    model.save(filepath, overwrite, **options)


save = save_model


def clone_model(model: Any, input_tensors: Any = None, clone_function: Any = None) -> Any:
    """A model with new layers of the same configuration."""
    if clone_function is not None:
        notes.ignored("clone_model(clone_function=)")
    return older(_clone_model(model))


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model that `to_json` described, with new weights."""
    return older(models.model_from_json(json_string, custom_objects))


model_from_yaml = model_from_json


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """The model that a configuration describes."""
    kind = models.Sequential if config.get("class_name") == "Sequential" else models.Model
    return older(kind.from_config(config["config"]))
