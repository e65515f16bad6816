"""Layers of several inputs as operators."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from .. import layers
from .layer_operators import operators_of
from .operator import Operator, to_channels_first, to_channels_last
from .place import Place

# Of two inputs, and of more; "" where two are taken at a time.
_NAMES: dict[type[layers.Layer], tuple[str, str]] = {
    layers.Add: ("Add", "Sum"),
    layers.Average: ("Mean", "Mean"),
    layers.Maximum: ("Max", "Max"),
    layers.Minimum: ("Min", "Min"),
    layers.Multiply: ("Mul", ""),
    layers.Subtract: ("Sub", ""),
}


@operators_of.register(layers.Add)
@operators_of.register(layers.Average)
@operators_of.register(layers.Maximum)
@operators_of.register(layers.Minimum)
@operators_of.register(layers.Multiply)
@operators_of.register(layers.Subtract)
def _(layer: layers.Layer, place: Place) -> Iterator[Operator]:
    count = len(place.sizes)
    if count == 1:
        return
    inputs = yield from _alike(layer.name, place)
    pair, many = _NAMES[type(layer)]
    if count == 2 or many:
        yield Operator(pair if count == 2 else many, (), {}, layer.name, inputs=tuple(inputs))
        return
    result = inputs[0]
    for index, other in enumerate(inputs[1:], 1):
        name = layer.name if index == count - 1 else f"{layer.name}/{index}"
        yield Operator(pair, (), {}, name, inputs=(result, other), output=name)
        result = name


@operators_of.register(layers.Concatenate)
def _(layer: layers.Concatenate, place: Place) -> Iterator[Operator]:
    if len(place.sizes) == 1:
        return
    inputs = yield from _alike(layer.name, place)
    rank = place.rank
    axis = layer.axis % rank
    if place.first:
        axis = 1 if axis == rank - 1 else axis + 1
    yield Operator("Concat", (), {"axis": axis}, layer.name, inputs=tuple(inputs))


def _alike(name: str, place: Place) -> Generator[Operator, None, list[str]]:
    """Let all inputs have one layout and the result's rank; returns their names."""
    rank = len(place.result) + 1
    images = [
        is_first and len(s) > 1 for is_first, s in zip(place.firsts, place.sizes, strict=True)
    ]
    first = any(images)
    names = []
    for index, sizes in enumerate(place.sizes):
        given, own = str(index), len(sizes) + 1
        if own > 2 and place.firsts[index] != first:
            perm = to_channels_first(own) if first else to_channels_last(own)
            what = f"{name}/{index}/channels_{'first' if first else 'last'}"
            yield Operator("Transpose", (), {"perm": perm}, what, inputs=(given,), output=what)
            given = what
        if own < rank:
            ones = (1,) * (rank - own)
            wanted = (sizes[-1], *ones, *sizes[:-1]) if first else (*ones, *sizes)
            what = f"{name}/{index}/reshape"
            attributes = {"sizes": wanted}
            yield Operator("Reshape", (), attributes, what, inputs=(given,), output=what)
            given = what
        names.append(given)
    place.first = first
    return names
