"""Classes of your own in saved models, with Keras's names. There is no code in a file.

A class that is registered, or given for a while, is looked up by its name when a model with it is
saved or loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import storage
from .core import lazy
from .core.config import Configurable, serialize
from .core.custom import custom_object_scope, get_custom_objects, register_keras_serializable
from .models import load_model, save_model

CustomObjectScope = custom_object_scope
serialize_keras_object = serialize

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "load_model",
    "register_keras_serializable",
    "save_model",
    "serialize_keras_object",
]


if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)


def deserialize_keras_object(config: Any, custom_objects: Any = None) -> Any:
    """The object that `serialize_keras_object` described, made anew.

    Args:
        config: its module, class_name and config; an object is returned as it is, for a class's
            `from_config` is given the objects in a configuration ready made.
        custom_objects: classes of your own by their names, besides those that are registered.

    Raises:
        ValueError: there is no such class.
    """
    if isinstance(config, Configurable):
        return config
    with custom_object_scope(custom_objects):
        return storage.revive(config, Configurable)
