"""The names of layers and models that are given none."""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator

_name_counters: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)


def reset_names() -> None:
    """Begin again with `conv2d`, `dense`, ... for layers that are given no name."""
    _name_counters.clear()


def automatic_name(class_name: str) -> str:
    """The next free name for an object of that class, by Keras's rule: conv2d, conv2d_1, ..."""
    name = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", re.sub(r"\W+", "", class_name))
    name = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    number = next(_name_counters[name])
    return f"{name}_{number}" if number else name
