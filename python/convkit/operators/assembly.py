"""A model in the making: its layers so far, beside the tensors that foreign operators see."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .. import layers
from ..core import random
from ..core.parameters import Array
from ..layers.naming import automatic_name
from ..models import Model, Sequential
from .operator import Operator, to_channels_first, to_channels_last

# Layers whose output has no value below 0 if their inputs have none.
_SIGN_KEEPING = (
    *(layers.Add, layers.Average, layers.Concatenate, layers.Maximum, layers.Minimum),
    *(layers.Multiply, layers.AveragePooling2D, layers.Cropping2D, layers.Dropout),
    *(layers.Flatten, layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D, layers.Identity),
    *(layers.MaxPooling2D, layers.Permute, layers.Reshape, layers.SpatialDropout2D),
    *(layers.UpSampling2D, layers.ZeroPadding2D),
)
_NEVER_NEGATIVE = (
    "relu",
    "relu6",
    "sigmoid",
    "softmax",
    "softplus",
    "hard_sigmoid",
    "exponential",
)


class Made:
    """A layer that will be called on some values.

    Attributes:
        operator: that it was made for.
        layer: not built yet.
        weights: that it will have.
        arrays: of the operators, that the weights were made of; layers of the same are one layer.
        inputs: what it will be called on.
        refusal: why there is no such layer; it may only be part of what becomes another one.
    """

    def __init__(
        self,
        operator: Operator,
        layer: layers.Layer,
        inputs: Sequence[Value],
        weights: Sequence[Array],
        arrays: Sequence[Array],
    ) -> None:
        self.operator, self.layer, self.inputs = operator, layer, tuple(inputs)
        self.weights, self.arrays = list(weights), list(arrays)
        self.refusal: ValueError | None = None

    def key(self) -> str | None:
        """What is the same of layers that share their weights; None if it shares with nobody.

        Weights that are all of one number, such as those of a new normalisation, are often written
        once by those who write files; they are no sign of a shared layer.
        """
        if not any(array.size > 1 and np.ptp(array) != 0 for array in self.arrays):
            return None
        config = {**self.layer.get_config(), "name": ""}
        places = [(*each.__array_interface__["data"], each.strides) for each in self.arrays]
        return json.dumps([type(self.layer).__name__, config, places], default=repr)


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor of the operators, and convkit's tensor in its place.

    Attributes:
        sizes: of one sample of convkit's tensor.
        first: whether the operators' tensor is channels-first where convkit's is channels-last;
            else they have the same axes. Of no meaning for rows.
        maker: what makes it; None for an input.
        name: of an input.
        plane: the sizes (..., C) of images that the operators laid out in rows as (C, ...), where
            convkit laid them out as they are; until a Gemm.
        uses: how often it is read.
        origin: the value that it is under other sizes.
        is_never_negative: whether it is known to have no value below 0.
    """

    sizes: tuple[int, ...]
    first: bool = False
    maker: Made | None = None
    name: str = ""
    plane: tuple[int, ...] | None = None
    uses: int = 1
    origin: Value | None = None
    is_never_negative: bool = False
    _views: dict[bool, Value] = field(default_factory=dict)

    @property
    def theirs(self) -> tuple[int, ...]:
        """The sizes of one sample of the operators' tensor."""
        return (self.sizes[-1], *self.sizes[:-1]) if self.first else self.sizes

    @property
    def rank(self) -> int:
        """With the batch."""
        return len(self.sizes) + 1

    def is_by(self, *kinds: type[layers.Layer]) -> bool:
        """Whether a layer of these kinds makes it, and nobody else reads it."""
        return self.maker is not None and self.uses == 1 and type(self.maker.layer) in kinds

    def is_same(self, other: Value) -> bool:
        """Whether both are the same tensor in the same layout."""
        if self.first != other.first or self.sizes != other.sizes:
            return False
        return self.maker is other.maker and self.name == other.name

    def described(self) -> str:
        """The operators' tensor, for errors."""
        return f"(N, {', '.join(map(str, self.theirs))})"

    def reordered(self, array: Array) -> Array:
        """Rows, or a vector, that belong to flattened images: from (C, ...) to (..., C)."""
        if self.plane is None:
            return array
        *space, channels = self.plane
        images = array.reshape(channels, *space, *array.shape[1:])
        return np.moveaxis(images, 0, len(space)).reshape(array.shape)


class Assembly:
    """The layers so far.

    Attributes:
        leads_to_dense: the names of the tensors behind which a dense layer comes before anything
            that could tell in which order a row's values stand.
    """

    def __init__(self, leads_to_dense: set[str]) -> None:
        self.leads_to_dense = leads_to_dense
        self._made: list[Made] = []

    def add(
        self,
        operator: Operator,
        layer: layers.Layer,
        inputs: Value | Sequence[Value],
        weights: Sequence[Array] = (),
        **changes: Any,
    ) -> Value:
        """A layer's value, laid out as the first input is; ValueError if it cannot take them.

        Args:
            operator: for errors, and whose arrays the weights are made of.
            layer: not built.
            inputs: one, or those of a merging layer.
            weights: its own.
            changes: what is otherwise about the value than its sizes and maker.
        """
        given = [inputs] if isinstance(inputs, Value) else list(inputs)
        shapes: Any = [(None, *value.sizes) for value in given]
        try:
            shape = layer.compute_output_shape(shapes if layer.merges else shapes[0])
        except ValueError as error:
            raise operator.error(str(error)) from None
        sizes = tuple(size for size in shape if size is not None)
        arrays = operator.arrays if weights else ()
        made = Made(operator, layer, given, weights, arrays)
        self._made.append(made)
        base = given[0]
        first = base.first if len(sizes) > 1 else False
        plane = base.plane if len(sizes) == 1 else None
        value = Value(sizes, first, made, plane=plane, is_never_negative=_never_negative(made))
        return replace(value, **changes)

    def replace(
        self,
        value: Value,
        operator: Operator,
        kind: type[layers.Layer],
        more: Sequence[Array] = (),
        **config: Any,
    ) -> Value:
        """The value with another layer, with the same weights and perhaps more, in its maker's
        place."""
        maker = value.maker
        assert maker is not None
        layer = kind.from_config(config)
        again = self.add(
            operator, layer, maker.inputs, [*maker.weights, *more],
            first=value.first, plane=value.plane,
        )  # fmt: skip
        assert again.maker is not None
        again.maker.arrays = [*maker.arrays, *(operator.arrays if more else ())]
        return again

    def refuse(self, value: Value, error: ValueError) -> Value:
        """The value, which must have become part of another layer in the end."""
        assert value.maker is not None
        value.maker.refusal = error
        return value

    def as_first(self, value: Value) -> Value:
        """The value where the operators' tensor is channels-first and convkit's channels-last."""
        if value.first or value.rank < 3:
            return value
        return self._view(value, to_channels_last(value.rank), True)

    def as_is(self, value: Value) -> Value:
        """The value where convkit's tensor has the axes of the operators'."""
        if not value.first or value.rank < 3:
            return value
        return self._view(value, to_channels_first(value.rank), False)

    def _view(self, value: Value, perm: tuple[int, ...], first: bool) -> Value:
        if first not in value._views:
            assert value.maker is not None or value.name
            operator = value.maker.operator if value.maker else Operator("Transpose")
            nameless = replace(operator, arrays=())
            layer = layers.Permute(perm[1:])
            value._views[first] = self.add(nameless, layer, value, first=first)
        return value._views[first]

    def name(self, operator: Operator) -> str | None:
        """The operator's name where a layer can have it."""
        return operator.name if operator.name and "/" not in operator.name else None

    def finish(self, inputs: Sequence[Value], outputs: Sequence[Value]) -> Model:
        """The model, built, with its weights; a Sequential where it is a chain."""
        live = self._live(outputs)
        if not live:
            raise ValueError(
                "there is nothing to make a layer of: the network gives its input as it is"
            )
        for made in live:
            if made.refusal is not None:
                raise made.refusal
        twins = _twins(live)
        if not twins and _is_chain(live, inputs, outputs):
            chain: list[Any] = [layers.Input(inputs[0].sizes)]
            _give_names(live)
            with random.seeded(0):  # the initializers of what is overwritten
                model: Model = Sequential([*chain, *(made.layer for made in live)])
        else:
            with random.seeded(0):
                model = _graph_of(live, twins, inputs, outputs)
        for made in live:
            if made not in twins:
                made.layer.set_weights(made.weights)
        return model

    def _live(self, outputs: Sequence[Value]) -> list[Made]:
        """What the outputs depend on, in order."""
        needed = {value.maker for value in outputs}
        live = []
        for made in reversed(self._made):
            if made in needed:
                needed.update(value.maker for value in made.inputs)
                live.append(made)
        return live[::-1]


def _never_negative(made: Made) -> bool:
    layer = made.layer
    activation = getattr(layer, "activation", None)
    if activation is not None:
        bounded = isinstance(layer, layers.ReLU) and layer.negative_slope == 0.0
        return bounded or activation in _NEVER_NEGATIVE
    return isinstance(layer, _SIGN_KEEPING) and all(v.is_never_negative for v in made.inputs)


def _twins(live: Sequence[Made]) -> dict[Made, Made]:
    """What is another call of a layer, with its first call."""
    found: dict[str, Made] = {}
    twins = {}
    for made in live:
        key = made.key()
        if key is not None and found.setdefault(key, made) is not made:
            twins[made] = found[key]
    return twins


def _is_chain(live: Sequence[Made], inputs: Sequence[Value], outputs: Sequence[Value]) -> bool:
    if len(inputs) != 1 or len(outputs) != 1:
        return False
    before: Made | None = None
    for made in live:
        if made.layer.merges or made.inputs[0].maker is not before:
            return False
        before = made
    return outputs[0].maker is before


def _give_names(made: Sequence[Made], taken: Sequence[str] = ()) -> None:
    """Let no two layers have the same name."""
    names = set(taken)
    for each in made:
        while each.layer.name in names:
            each.layer.name = automatic_name(type(each.layer).__name__)
        names.add(each.layer.name)


def _graph_of(
    live: Sequence[Made],
    twins: dict[Made, Made],
    inputs: Sequence[Value],
    outputs: Sequence[Value],
) -> Model:
    given = [layers.Input(value.sizes, name=_input_name(value.name)) for value in inputs]
    _give_names([made for made in live if made not in twins], [tensor.name for tensor in given])
    tensors: dict[Made | str | None, Any] = {
        value.name: tensor for value, tensor in zip(inputs, given, strict=True)
    }
    for made in live:
        layer = twins.get(made, made).layer
        own = [tensors[value.maker or value.name] for value in made.inputs]
        tensors[made] = layer(own if layer.merges else own[0])
    ends = [
        tensors[value.maker] if value.maker else layers.Identity()(tensors[value.name])
        for value in outputs
    ]
    return Model(given[0] if len(given) == 1 else given, ends[0] if len(ends) == 1 else ends)


def _input_name(name: str) -> str | None:
    return name if name and "/" not in name else None
