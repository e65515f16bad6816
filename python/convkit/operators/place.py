"""Where a layer is called, beside the tensors that operators see there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..core.parameters import Array
from .operator import Operator, order_is_one, to_channels_first, to_channels_last


class Place:
    """Where in the model a layer is called, and how the operators lay out its tensors.

    Attributes:
        sizes: of one sample of each input, as the layer sees them.
        result: of one sample of the output.
        firsts: of each input whether it is channels-first; of no meaning for rows.
        leads_to_dense: whether nothing that could tell the order of the output's values comes
            before a Dense.
        first: whether the tensor is channels-first: of the first input so far, and in the end of
            the output.
        plane: the sizes (..., C) of images that a Flatten laid out as (C, ...), until a Dense.
    """

    def __init__(
        self,
        sizes: Sequence[tuple[int, ...]],
        result: tuple[int, ...],
        firsts: Sequence[bool],
        leads_to_dense: bool,
    ) -> None:
        self.sizes, self.result, self.firsts = sizes, result, firsts
        self.leads_to_dense = leads_to_dense
        self.first = firsts[0]
        self.plane: tuple[int, ...] | None = None

    @property
    def rank(self) -> int:
        """Of the first input, with the batch."""
        return len(self.sizes[0]) + 1

    @property
    def channels(self) -> int:
        """The axis of the channels."""
        return 1 if self.first else self.rank - 1

    def to_first(self, name: str) -> Iterator[Operator]:
        """Let the first input be channels-first; its name is that of the layer."""
        if self.rank > 2 and not self.first:
            perm = to_channels_first(self.rank)
            yield Operator("Transpose", (), {"perm": perm}, f"{name}/channels_first")
            self.first = True

    def to_last(self, name: str) -> Iterator[Operator]:
        """Let the first input be channels-last."""
        if self.first:
            perm = to_channels_last(self.rank)
            yield Operator("Transpose", (), {"perm": perm}, f"{name}/channels_last")
            self.first = False

    def to_rows(self, name: str) -> Iterator[Operator]:
        """Let the values of the first input lie in memory as the layer sees them."""
        if not order_is_one(self.sizes[0]):
            yield from self.to_last(name)
        self.first = False

    def reordered(self, array: Array) -> Array:
        """A copy of rows, or a vector, that belong to flattened images: (..., C) to (C, ...)."""
        if self.plane is not None:
            images = array.reshape(*self.plane, *array.shape[1:])
            array = np.moveaxis(images, len(self.plane) - 1, 0).reshape(array.shape)
        return np.array(array, order="C")

    def laid_out(self, array: Array) -> Array:
        """Numbers for each place of a sample, or for some axes of it, as the tensor is."""
        return np.ascontiguousarray(np.moveaxis(array, -1, 0) if self.first else array)
