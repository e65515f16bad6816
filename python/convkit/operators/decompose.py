"""A convkit model, taken apart into operators on channels-first images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from .. import layers
from ..models import Model
from . import image_operators as _image_operators  # noqa: F401 (which fills the table)
from . import merge_operators as _merge_operators  # noqa: F401 (which fills the table)
from .calls import Call, Calls
from .layer_operators import BLIND, operators_of, unknown
from .operator import IN_TRAINING, Operator, to_channels_first, to_channels_last
from .place import Place


class Network(NamedTuple):
    """Operators that compute what a model computes, and the tensors that they begin and end with.

    Attributes:
        operators: each behind those whose results it reads.
        inputs, outputs: the names of the tensors, in the model's order.
    """

    operators: list[Operator]
    inputs: list[str]
    outputs: list[str]


def decompose(model: Model, *, channels_first: bool = False, in_training: bool = True) -> Network:
    """The operators that compute, from the same images, what `model.predict` computes.

    Images are transposed to channels-first where the first operator needs that, and results back
    at the end. Flatten lays out channels-first images, and the rows of the weights behind it are
    reordered to fit; only where anything but a Dense follows are the images transposed back before
    it. A layer that is called several times is as many operators, which hold the same arrays.

    Args:
        channels_first: whether inputs and outputs are channels-first, so that nothing is transposed
            for their sake.
        in_training: whether dropout, and what else does something in training alone, is among the
            operators.

    Raises:
        ValueError: the model is not built, or has a layer without a counterpart.
    """
    return _Decomposition(model, channels_first, in_training).network()


class _Tensor(NamedTuple):
    """A tensor of the operators; see `Place`."""

    name: str
    first: bool
    plane: tuple[int, ...] | None = None


class _Decomposition:
    """The operators so far, and what became of each value of the model."""

    def __init__(self, model: Model, channels_first: bool, in_training: bool) -> None:
        self._calls = Calls(model)
        self._channels_first, self._in_training = channels_first, in_training
        single = len(model.inputs) == 1, len(model.outputs) == 1
        names = {"input": model.input_names, "output": model.output_names}
        self._inputs = ["input"] if single[0] else _apart(names["input"], set())
        taken = set(self._inputs)
        self._outputs = ["output"] if single[1] else _apart(names["output"], taken)
        self._operators: list[Operator] = []
        self._tensors: dict[int, _Tensor] = {}
        self._transposed: dict[tuple[str, tuple[int, ...]], str] = {}
        self._known: dict[tuple[object, ...], tuple[list[Operator], Place]] = {}
        self._counts: dict[str, int] = {}
        self._leads_to_dense = self._dense_behind()
        self._wants_last = self._last_wanted()

    def network(self) -> Network:
        """All operators."""
        for number, name in zip(self._calls.inputs, self._inputs, strict=True):
            rank = len(self._calls.sizes[number]) + 1
            self._tensors[number] = _Tensor(name, rank > 2 and self._channels_first)
            if rank > 2 and not self._channels_first and not self._wants_last[number]:
                operator = Operator(
                    "Transpose", (), {"perm": to_channels_first(rank)}, "channels_first"
                )
                self._tensors[number] = _Tensor(self._add([operator], (name,)), True)
        for call in self._calls.calls:
            if not type(call.layer).__module__.startswith(layers.__name__):
                # A class derived from one of convkit's may compute something else.
                raise unknown(call.layer)
            self._tensors[call.output] = self._step(call)
        ends = [self._end(number) for number in self._calls.outputs]
        return Network(self._operators, self._inputs, self._name_outputs(ends))

    def _step(self, call: Call) -> _Tensor:
        """The operators of one call."""
        given = [self._tensors[number] for number in call.inputs]
        sizes = tuple(self._calls.sizes[number] for number in call.inputs)
        is_flatten = isinstance(call.layer, layers.Flatten)
        dense = is_flatten and self._leads_to_dense[call.output]
        planes = tuple((tensor.first, tensor.plane) for tensor in given)
        key = (call.layer, sizes, planes, dense)
        if key not in self._known:  # called again, it is made of the same arrays
            place = Place(sizes, self._calls.sizes[call.output], [t.first for t in given], dense)
            place.plane = given[0].plane
            made = operators_of(call.layer, place)
            kept = [each for each in made if self._in_training or each.op not in IN_TRAINING]
            self._known[key] = kept, place
        operators, place = self._known[key]
        result = self._add(operators, tuple(tensor.name for tensor in given))
        return _Tensor(result, place.first, place.plane)

    def _end(self, number: int) -> str:
        tensor, rank = self._tensors[number], len(self._calls.sizes[number]) + 1
        if not tensor.first or self._channels_first:
            return tensor.name
        operator = Operator("Transpose", (), {"perm": to_channels_last(rank)}, "channels_last")
        return self._add([operator], (tensor.name,))

    def _add(self, operators: Sequence[Operator], given: tuple[str, ...]) -> str:
        """Append operators, each fed by the one before it unless it says else; the result's name.

        Those of a layer name the layer's inputs "0", "1" and so on, and the results of each other
        as they like.
        """
        names = {str(index): name for index, name in enumerate(given)}
        last = given[0]
        for operator in operators:
            inputs = tuple(names[each] for each in operator.inputs) or (last,)
            key = inputs[0], tuple(operator.attributes.get("perm", ()))
            if operator.op == "Transpose" and key in self._transposed:
                last = self._transposed[key]
            else:
                name = self._unique(operator.name)
                last = f"{name}:0"
                self._operators.append(replace(operator, name=name, inputs=inputs, output=last))
                if operator.op == "Transpose":
                    self._transposed[key] = last
            names[operator.output] = last
        return last

    def _unique(self, name: str) -> str:
        """The name, with a number if an operator has it already."""
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else self._unique(f"{name}/call_{count}")

    def _name_outputs(self, ends: Sequence[str]) -> list[str]:
        """Let the last operators make the outputs; by an Identity where others are the same."""
        free = {operator.output: at for at, operator in enumerate(self._operators)}
        names = dict(zip(self._outputs, ends, strict=True))
        renamed: dict[str, str] = {}
        for name, end in names.items():
            if end in free and end not in renamed:
                renamed[end] = name
        for at, operator in enumerate(self._operators):
            inputs = tuple(renamed.get(each, each) for each in operator.inputs)
            output = renamed.get(operator.output, operator.output)
            self._operators[at] = replace(operator, inputs=inputs, output=output)
        for name, end in names.items():
            if renamed.get(end) != name:
                source = (renamed.get(end, end),)
                identity = Operator("Identity", name=self._unique("identity"), inputs=source)
                self._operators.append(replace(identity, output=name))
        return list(names)

    def _dense_behind(self) -> list[bool]:
        """For each value whether a Dense comes before anything that could tell its order."""
        count = len(self._calls.sizes)
        found, read = [True] * count, [False] * count
        for number in self._calls.outputs:
            found[number] = False
        for call in reversed(self._calls.calls):
            is_dense = isinstance(call.layer, layers.Dense)
            blind = isinstance(call.layer, BLIND) and found[call.output] and read[call.output]
            for number in call.inputs:
                read[number] = True
                found[number] &= is_dense or blind
        return [good and seen for good, seen in zip(found, read, strict=True)]

    def _last_wanted(self) -> list[bool]:
        """For each value whether what reads it would first of all transpose it back."""
        count = len(self._calls.sizes)
        last, first = [False] * count, [False] * count
        for call in reversed(self._calls.calls):
            for number in call.inputs:
                wanted = _wanted(call.layer, len(self._calls.sizes[number]) + 1)
                last[number] |= last[call.output] if wanted is None else wanted
                first[number] |= first[call.output] if wanted is None else not wanted
        return [a and not b for a, b in zip(last, first, strict=True)]


def _wanted(layer: layers.Layer, rank: int) -> bool | None:
    """Whether a layer wants channels-last tensors, rather than channels-first; None if neither."""
    if isinstance(layer, layers.LayerNormalization):
        return True
    if isinstance(layer, layers.Dense):
        return rank != 4
    agnostic = (*BLIND, layers.Rescaling, layers.Normalization)
    is_agnostic = isinstance(layer, agnostic) or layer.merges
    return None if is_agnostic and not isinstance(layer, _NOT_AGNOSTIC) else False


_NOT_AGNOSTIC = (layers.BatchNormalization, layers.Flatten)


def _apart(names: Sequence[str], taken: set[str]) -> list[str]:
    """The names, none of which is another one's or taken."""
    found = []
    for name in names:
        unique, number = name, 0
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        found.append(unique)
    return found
