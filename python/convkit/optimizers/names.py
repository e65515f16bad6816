"""Which optimizer a name or a description stands for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ..core import custom
from ..core.config import unknown
from .optimizer import Optimizer


def _named() -> dict[str, str]:
    """The names of all optimizers by those in lower case; the package imports this module."""
    owners = import_module(__package__)._OWNERS
    return {name.lower(): name for names in owners.values() for name in names}


def get(identifier: str | Mapping[str, Any] | Optimizer) -> Optimizer:
    """The optimizer of that name, in capitals or not, or the object itself.

    Also takes what `serialize` returns. Raises ValueError for anything else, naming the known ones.
    """
    if isinstance(identifier, Optimizer):
        return identifier
    if isinstance(identifier, Mapping):
        return deserialize(identifier)
    if isinstance(identifier, str) and (kind := _class(identifier)) is not None:
        made: Optimizer = kind()
        return made
    raise unknown("optimizer", identifier, _named())


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` described, made anew.

    Args:
        config: its class_name and config.
        custom_objects: classes of your own by their names, besides those that are registered.

    Raises:
        ValueError: there is no such class.
    """
    with custom.custom_object_scope(custom_objects):
        name = str(config.get("class_name")) if isinstance(config, Mapping) else repr(config)
        kind = custom.find(name) or _class(name)
        if kind is None or not issubclass(kind, Optimizer):
            raise unknown("optimizer", name, _named())
        made: Optimizer = kind.from_config(config.get("config", {}))
        return made


def _class(name: str) -> Any:
    """The class of that name, in capitals or not, or None."""
    found = _named().get(name.lower())
    return None if found is None else getattr(import_module(__package__), found)
