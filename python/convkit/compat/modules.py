"""`tf.Module`: an object that knows the variables in its attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..core.parameters import Parameter
from ..layers.graph import Operation
from .system.session import name_scope
from .variables import Variable

__all__ = ["Module"]


class Module:
    """Base class of what has variables, and perhaps other modules, as attributes."""

    def __init__(self, name: Any = None) -> None:
        self._name = name or type(self).__name__.lower()

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self._name)

    @property
    def name_scope(self) -> Any:
        """A scope, which makes no difference."""
        return name_scope(self.name)

    @property
    def variables(self) -> tuple[Any, ...]:
        """Its variables and weights, those of its parts, too."""
        return tuple({id(each): each for each in _variables(vars(self))}.values())

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those that are trained."""
        return tuple(each for each in self.variables if each.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules, layers and models in its attributes."""
        return tuple(each for each in vars(self).values() if isinstance(each, Module | Operation))

    @classmethod
    def with_name_scope(cls, method: Any) -> Any:
        """The method: names make no difference."""
        return method


def _variables(value: Any) -> Iterator[Any]:
    if isinstance(value, Variable | Parameter):
        yield value
    elif isinstance(value, Module):
        yield from _variables(vars(value))
    elif isinstance(value, Operation):
        yield from value.weights  # type: ignore[attr-defined]
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _variables(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _variables(each)
