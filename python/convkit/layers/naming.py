"""The names of layers and models that are given none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_used: Counter[str] = Counter()


def reset_names() -> None:
    """Begin again with `conv2d`, `dense`, ... for layers that are given no name."""
    _used.clear()


def layer_name(name: str | None, class_name: str) -> str:
    """A layer's name: the one that is given, or the next free one of its class.

    Raises:
        ValueError: it is not a string without '/', or an empty one.
    """
    if name is not None and (not isinstance(name, str) or not name or "/" in name):
        raise ValueError(
            f"a layer's name must be a non-empty string without '/', received {name!r}"
        )
    return name or automatic_name(class_name)


def model_name(name: str | None, class_name: str) -> str:
    """A model's name: the one that is given, or the next free one; TypeError for no string."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{class_name}: name must be a string or None, received {name!r}")
    return name or automatic_name(class_name)


def automatic_name(class_name: str) -> str:
    """The next free name for an object of that class, by Keras's rule: conv2d, conv2d_1, ..."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    number = _used[name]
    _used[name] += 1
    return f"{name}_{number}" if number else name


@contextmanager
def scope() -> Iterator[None]:
    """Give back, at the end of the block, the names that it used."""
    before = _used.copy()
    try:
        yield
    finally:
        _used.clear()
        _used.update(before)
