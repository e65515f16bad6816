"""get_config and from_config, for everything that a saved model consists of.

One rule serves layers, optimizers, losses, metrics, initializers, schedules and regularizers: each
argument of the constructor is an attribute of the same name. So the configuration can be read off
the constructor's signature, and a new class has nothing to write. `**options` in a constructor
stands for the arguments that all classes of its kind take, those of the base class.

A configuration holds only what JSON can: None, booleans, finite numbers, strings, lists and
dictionaries. An object inside one, such as an initializer, is what `serialize` makes of it.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from typing_extensions import Self


class Configurable:
    """Base class of what can be described by its constructor's arguments."""

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, as a small dictionary that JSON can hold.

        Raises:
            TypeError: an argument is something that JSON cannot hold, such as a function.
        """
        return {
            name: _plain(getattr(self, name), f"{type(self).__name__}: the argument {name}")
            for name in argument_names(type(self))
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """A new object from what `get_config` returned."""
        return cls(**config)


class Described(Protocol):
    """What can say its configuration: every `Configurable`, and a model."""

    def get_config(self) -> dict[str, Any]:
        """A dictionary that JSON can hold."""


def serialize(value: Described) -> dict[str, Any]:
    """An object as Keras writes it: its module, the name of its class, and its configuration.

    The module is that of the kind, such as `convkit.layers`, however deep the class lives in it.
    """
    kind = type(value)
    module = ".".join(kind.__module__.split(".")[:2])
    return {"module": module, "class_name": kind.__name__, "config": value.get_config()}


def not_negative(value: float, what: str, owner: Configurable) -> float:
    """Return an argument as a float; ValueError unless it is a finite number of at least 0."""
    if isinstance(value, bool | str) or not math.isfinite(number := float(value)) or number < 0:
        raise ValueError(
            f"{type(owner).__name__}: {what} must be a finite number of at least 0, "
            f"received {value!r}"
        )
    return number


def unknown(identifier: object, kind: str, known: Iterable[str], module: str) -> ValueError:
    """The error of a `get` that knows no object of that name; it says which names there are."""
    return ValueError(
        f"unknown {kind} {identifier!r}: use one of {', '.join(sorted(known))}, "
        f"or an object of {module}"
    )


def argument_names(kind: type[Configurable]) -> tuple[str, ...]:
    """The arguments of a class's constructor, in its order."""
    parameters = inspect.signature(kind.__init__).parameters
    names = [
        name
        for name, parameter in list(parameters.items())[1:]  # without self
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and (base := _base(kind)) != kind:
        names += [name for name in argument_names(base) if name not in names]
    return tuple(names)


def _base(kind: type[Configurable]) -> type[Configurable]:
    """The class of its ancestors that comes right after `Configurable`: Layer, Loss, ..."""
    line = [each for each in kind.__mro__ if issubclass(each, Configurable)]
    return line[-2] if len(line) > 1 else kind


def _plain(value: Any, what: str) -> Any:
    """The value as JSON can hold it; TypeError names the argument that it belongs to."""
    if value is None or isinstance(value, bool | str):
        return value
    if hasattr(value, "get_config") and not isinstance(value, type):
        return serialize(value)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: _plain(each, what) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_plain(each, what) for each in value]
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return _plain(value.tolist(), what)
    try:
        return operator.index(value)
    except TypeError:
        pass
    if isinstance(value, float) and math.isfinite(value):
        return value
    raise TypeError(
        f"{what} is {value!r}, which a configuration cannot hold: it must consist of None, "
        f"booleans, finite numbers, strings, lists, and objects of convkit"
    )
