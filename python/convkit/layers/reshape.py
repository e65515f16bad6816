"""Reshape: each sample under another shape."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.parameters import Shape
from .base import LayerOptions
from .checks import MOST_SIZES
from .view_layer import ViewLayer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Reshape(ViewLayer):
    """Give each sample another shape, in C order. Costs nothing.

    Args:
        target_shape: without the batch; one size may be -1, which stands for what is left.

    Input: (N, ...). Output: `(N, *target_shape)`.

    Example:
        >>> convkit.layers.Reshape((28, 28, 1))
    """

    operation = "reshape"
    shaping = ViewLayer.shaping | {"target_shape"}

    def __init__(self, target_shape: Sequence[int], **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.target_shape = self._check(target_shape)

    def _check(self, target_shape: Sequence[int]) -> tuple[int, ...]:
        try:
            sizes = tuple(operator.index(size) for size in target_shape)
        except TypeError:
            sizes = ()
        if not sizes or sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
            raise self.error(
                f"target_shape must be positive integers, at most one of them -1, such as "
                f"(28, 28, 1), received {target_shape!r}"
            )
        if len(sizes) > MOST_SIZES:
            raise self.error(
                f"target_shape may have at most {MOST_SIZES} sizes, received {len(sizes)}"
            )
        return sizes

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """`(N, *target_shape)`."""
        total = math.prod(self._sample_sizes(input_shape))
        known = math.prod(size for size in self.target_shape if size != -1)
        if total % known or (total != known and -1 not in self.target_shape):
            raise self.error(
                f"{total} values of a sample of shape {tuple(input_shape)[1:]} do not fit the "
                f"target_shape {self.target_shape}"
            )
        rest = total // known
        return (input_shape[0], *(rest if size == -1 else size for size in self.target_shape))
