"""Elements: an array, or a tuple or dictionary of elements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..ops._gate import as_array


def leaves(element: Any) -> Iterator[Any]:
    """What is in an element besides tuples and dictionaries, in their order."""
    if isinstance(element, Mapping):
        for value in element.values():
            yield from leaves(value)
    elif isinstance(element, tuple):
        for value in element:
            yield from leaves(value)
    else:
        yield element


def map_leaves(function: Callable[..., Any], element: Any, *others: Any) -> Any:
    """An element of the same structure, of what a function makes of each leaf.

    Args:
        function: takes a leaf of each of the elements.
        element: says the structure.
        others: of the same structure.

    Raises:
        ValueError: their structures differ.
    """
    if isinstance(element, Mapping):
        for other in others:
            if not isinstance(other, Mapping) or other.keys() != element.keys():
                raise ValueError(f"elements have different structures: {_of(element, other)}")
        return {
            key: map_leaves(function, value, *(other[key] for other in others))
            for key, value in element.items()
        }
    if isinstance(element, tuple):
        for other in others:
            if not isinstance(other, tuple) or len(other) != len(element):
                raise ValueError(f"elements have different structures: {_of(element, other)}")
        values = [
            map_leaves(function, value, *(other[i] for other in others))
            for i, value in enumerate(element)
        ]
        return type(element)(*values) if hasattr(element, "_fields") else tuple(values)
    return function(element, *others)


def _of(*elements: Any) -> str:
    def described(element: Any) -> str:
        if isinstance(element, Mapping):
            return f"a dictionary with the keys {list(element)}"
        return f"a tuple of {len(element)}" if isinstance(element, tuple) else "a single array"

    return ", ".join(map(described, elements))


def as_leaf(value: Any) -> Any:
    """A value as an array, or as the number or text of NumPy that an array has as its element.

    Python's numbers become float32 and int32 (int64 where that is too short), as in TensorFlow.

    Raises:
        TypeError: NumPy makes no numbers and no text of it.
        ValueError: nested lists of different lengths.
    """
    if isinstance(value, np.ndarray | np.generic):
        return value
    if isinstance(value, float):
        return np.float32(value)
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int):
        return np.int32(value) if -(2**31) <= value < 2**31 else np.int64(value)
    array = as_array("an element", value)
    if array.dtype == object:
        raise TypeError(f"an element must be arrays, numbers or text, received {value!r:.80}")
    return array if array.ndim else array[()]


def as_element(value: Any) -> Any:
    """What a function returned, as an element: lists are arrays, tuples and dictionaries stay."""
    return map_leaves(as_leaf, value)


def stack(elements: Sequence[Any]) -> Any:
    """Several elements as one, with a first axis more.

    Raises:
        ValueError: they differ in their structures or shapes.
    """
    return map_leaves(lambda *values: _stacked(values), *elements)


def _stacked(values: Sequence[Any]) -> Any:
    shape = np.shape(values[0])
    for i, value in enumerate(values):
        if np.shape(value) != shape:
            raise ValueError(
                f"batch: element {i} has shape {np.shape(value)}, and element 0 has {shape}; "
                f"bring them to one shape by map before"
            )
    return np.stack(values) if shape else np.array(values)


def unstack(element: Any) -> Iterator[Any]:
    """The elements that an element of arrays with a common first axis consists of.

    Raises:
        ValueError: there is no such axis.
    """
    lengths = {len(leaf) if np.ndim(leaf) else -1 for leaf in leaves(element)}
    if len(lengths) != 1 or -1 in lengths:
        raise ValueError("unbatch needs arrays with a common first axis")
    for i in range(lengths.pop()):
        yield map_leaves(lambda leaf, i=i: read_only(leaf[i]), element)


def read_only(value: Any) -> Any:
    """A view of an array that cannot be written to, for it is not the receiver's memory."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    return value
