"""A model in the making: its layers so far, beside the tensor that foreign operators see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import layers
from ..core import random
from ..core.parameters import Array
from ..layers.naming import automatic_name
from ..models import Sequential
from .operators import Operator, order_is_one
from .windows import NO_PADS

# Layers whose output has no value below 0 if their input has none.
_SIGN_KEEPING = (
    layers.AveragePooling2D,
    layers.Cropping2D,
    layers.Dropout,
    layers.MaxPooling2D,
    layers.SpatialDropout2D,
    layers.ZeroPadding2D,
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


class Assembly:
    """The layers so far, and what the operators' tensor looks like beside convkit's.

    Attributes:
        sizes: of one sample of convkit's tensor.
        first: whether the operators' tensor is channels-first; of no meaning for rank 2.
        plane: the sizes (..., C) of images that the operators laid out as (C, ...), where convkit
            laid them out as they are; until a Gemm.
        next: the operator behind the one that is being read.
        pads: the zeros of a Pad, until it is known whether the next layer can add them.
        whole_plane: of which operator the last layer is a pool over the whole plane, if it is.
    """

    def __init__(self, sizes: Sequence[int], channels_last: bool) -> None:
        self.first = len(sizes) > 1 and not channels_last
        self.sizes = (*sizes[1:], sizes[0]) if self.first else tuple(sizes)
        self.plane: tuple[int, ...] | None = None
        self.pads = NO_PADS
        self.next: Operator | None = None
        self.whole_plane: Operator | None = None
        self.layers: list[layers.Layer] = []
        self._weights: list[Sequence[Array]] = []
        self._sizes = [self.sizes]  # in front of each layer, and behind the last

    def add(self, operator: Operator, layer: layers.Layer, weights: Sequence[Array] = ()) -> None:
        """Put a layer at the end, not built yet; ValueError if it cannot take what comes to it."""
        while any(layer.name == other.name for other in self.layers):
            layer.name = automatic_name(type(layer).__name__)
        try:
            shape = layer.compute_output_shape((None, *self.sizes))
        except ValueError as error:
            raise operator.error(str(error)) from None
        self.sizes = tuple(size for size in shape if size is not None)
        self.layers.append(layer)
        self._weights.append(weights)
        self._sizes.append(self.sizes)
        self.whole_plane = None

    def replace_last(
        self,
        operator: Operator,
        kind: type[layers.Layer],
        more: Sequence[Array] = (),
        **config: Any,
    ) -> None:
        """Put another layer, with the same weights and perhaps more, in the last one's place."""
        self.layers.pop()
        self._sizes.pop()
        self.sizes = self._sizes[-1]
        self.add(operator, kind.from_config(config), (*self._weights.pop(), *more))

    def write_pads(self, operator: Operator) -> None:
        """Let a layer of its own write the zeros that the next layer's padding cannot stand for."""
        top, left, bottom, right = self.pads
        if any(self.pads):
            self.add(operator, layers.ZeroPadding2D(((top, bottom), (left, right))))
        self.pads = NO_PADS

    def is_never_negative(self) -> bool:
        """Whether the tensor is known to have no value below 0."""
        for layer in reversed(self.layers):
            activation = getattr(layer, "activation", None)
            if activation is not None:
                bounded = isinstance(layer, layers.ReLU) and layer.negative_slope == 0.0
                return bounded or activation in _NEVER_NEGATIVE
            if not isinstance(layer, _SIGN_KEEPING):
                return False
        return False

    def name(self, operator: Operator) -> str | None:
        """The operator's name where a layer can have it."""
        return operator.name if operator.name and "/" not in operator.name else None

    def expect_images(self, operator: Operator) -> tuple[int, int, int]:
        """(H, W, C); ValueError unless the operators' tensor is (N, C, H, W)."""
        if len(self.sizes) != 3 or not self.first:
            expected = "channels-first images (N, C, H, W)"
            raise operator.error(f"it needs {expected}, received {self.described()}")
        return self.sizes[0], self.sizes[1], self.sizes[2]

    def described(self) -> str:
        """The operators' tensor, for errors."""
        sizes = (self.sizes[-1], *self.sizes[:-1]) if self.first else self.sizes
        return f"(N, {', '.join(map(str, sizes))})"

    def reordered(self, array: Array) -> Array:
        """Rows, or a vector, that belong to flattened images: from (C, ...) to (..., C)."""
        if self.plane is None:
            return array
        *space, channels = self.plane
        images = array.reshape(channels, *space, *array.shape[1:])
        return np.moveaxis(images, 0, len(space)).reshape(array.shape)

    def finish(self) -> Sequential:
        """The model, built, with its weights."""
        if not self.layers:
            raise ValueError(
                "there is nothing to make a layer of: the network gives its input as it is"
            )
        if self.plane is not None and not order_is_one(self.plane):
            raise ValueError(
                "the model ends with the values of flattened channels-first images, which convkit "
                "would give in another order; end it before the Flatten, or in a dense layer"
            )
        with random.seeded(0):  # the initializers of what is overwritten
            model = Sequential([layers.Input(self._sizes[0]), *self.layers])
        for layer, weights in zip(self.layers, self._weights, strict=True):
            layer.set_weights(weights)
        return model
