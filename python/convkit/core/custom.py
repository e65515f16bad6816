"""Classes of the user's own that a configuration may name, besides those of convkit.

No code is imported because a file names it: the user registers classes for the life of the process,
or gives them for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

_Kind = TypeVar("_Kind", bound=type[Any])

_everywhere: dict[str, Any] = {}
_here: ContextVar[Mapping[str, Any] | None] = ContextVar("custom_objects", default=None)


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[_Kind], _Kind]:
    """Let models with a class of your own be saved and loaded: a decorator of the class.

    A file names the class as `package>name`; it must be registered alike where the file is loaded.

    Args:
        package: what sets it apart from classes of the same name.
        name: by default the class's.

    Raises:
        TypeError: it decorates something else than a class of layers, losses, metrics, optimizers
            or another kind that convkit knows.

    Example:
        >>> @convkit.saving.register_keras_serializable()
        ... class Residual(convkit.layers.Layer): ...
    """

    def register(kind: _Kind) -> _Kind:
        check_class(kind)
        _everywhere[f"{package}>{name or kind.__name__}"] = kind
        return kind

    return register


def get_custom_objects() -> dict[str, Any]:
    """The registered classes by their names; what is put into the dictionary is registered."""
    return _everywhere


@contextmanager
def custom_object_scope(custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Let classes of your own be saved and loaded inside a `with` block, in this thread.

    Args:
        custom_objects: the classes by their names; None for no more.

    Raises:
        TypeError: that is no dictionary of classes.
    """
    given = {} if custom_objects is None else custom_objects
    if not isinstance(given, Mapping):
        raise TypeError(
            f"custom_objects must be a dictionary of classes by their names, received {given!r}"
        )
    for kind in given.values():
        check_class(kind)
    token = _here.set({**(_here.get() or {}), **given})
    try:
        yield
    finally:
        _here.reset(token)


def check_class(kind: Any) -> None:
    """TypeError unless it is a class that a configuration can describe."""
    if not (isinstance(kind, type) and hasattr(kind, "from_config")):
        raise TypeError(
            f"a custom object must be a class of layers, losses, metrics, optimizers or another "
            f"kind of convkit's, received {kind!r}"
        )


def find(name: str) -> type[Any] | None:
    """The class of that name."""
    found: type[Any] | None = {**_everywhere, **(_here.get() or {})}.get(name)
    return found


def name_of(kind: type[Any]) -> str | None:
    """The name that a class is known by; None if it is not."""
    known = {**_everywhere, **(_here.get() or {})}
    return next((name for name, each in known.items() if each is kind), None)
