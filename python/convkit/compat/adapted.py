"""Adapted: stands for a class of convkit's, and takes the arguments of older Keras."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.config import argument_names
from . import notes

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Translate = Callable[[tuple[Any, ...], dict[str, Any]], Arguments]


class Adapted:
    """Called, it makes an object of a class, after translating arguments.

    What it makes are convkit's own objects, which files can hold. `isinstance`, subclasses and the
    class's attributes are those of the class.

    Args:
        kind: the class.
        translate: from the arguments as they were given to those that the class takes.
    """

    def __init__(self, kind: type[Any], translate: Translate, name: str | None = None) -> None:
        self._kind, self._translate = kind, translate
        self.__name__ = self.__qualname__ = name or kind.__name__
        self.__doc__ = kind.__doc__

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        arguments, options = self._translate(arguments, dict(options))
        return self._kind(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type[Any]]:
        return (self._kind,)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self._kind)

    def __subclasscheck__(self, kind: type[Any]) -> bool:
        return issubclass(kind, self._kind)

    def __eq__(self, other: object) -> bool:
        return other is self._kind or (isinstance(other, Adapted) and other._kind is self._kind)

    def __hash__(self) -> int:
        return hash(self._kind)

    def __repr__(self) -> str:
        return f"<class {self._kind.__module__}.{self.__name__}>"


def rename(options: dict[str, Any], names: dict[str, str]) -> None:
    """Give arguments the names that they have now, unless those are given too."""
    for old, new in names.items():
        if old in options:
            options.setdefault(new, options.pop(old))


def drop(options: dict[str, Any], owner: str, /, **harmless: Any) -> None:
    """Leave arguments out that convkit has no use for; note those that were to change something.

    Args:
        options: the arguments.
        owner: whose they are.
        harmless: the arguments, each with a value, or a tuple of values, that changes nothing.
    """
    for name, values in harmless.items():
        if name not in options:
            continue
        value = options.pop(name)
        known = values if isinstance(values, tuple) else (values,)
        if not any(value is each or value == each for each in known):
            notes.ignored(f"{owner}({name}=)")


def drop_unknown(options: dict[str, Any], kind: type[Any], names: tuple[str, ...]) -> None:
    """Leave those of some arguments out that a class does not take, with a note."""
    taken = argument_names(kind)
    for name in names:
        given = options.pop(name, None) if name not in taken else None
        if given is not None:
            notes.ignored(f"{kind.__name__}({name}=)")


def extended(base: type[Any], mixin: type[Any], **namespace: Any) -> type[Any]:
    """A class of convkit's with more methods; a file that has one of its objects says convkit's.

    Args:
        base: the class.
        mixin: whose methods come before those of the class.
        namespace: what else is in it.
    """
    known = {name: getattr(base, name) for name in ("__doc__", "__module__")}
    if hasattr(base, "capturable"):
        known["capturable"] = base.capturable
    kind: Any = type(base)
    made: type[Any] = kind(base.__name__, (mixin, base), {**known, **namespace})
    return made
