"""Flatten: each sample becomes a row."""

from __future__ import annotations

import math

from ..parameters import Array, Shape
from .base import Layer, Run


class Flatten(Layer):
    """Lay each sample out as one row, in the order rows, columns, channels. Costs nothing.

    Input: (N, ...). Output: (N, product of the rest).
    """

    operation = "flatten"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, product of the other sizes)."""
        if len(input_shape) < 1 or any(size is None or size < 1 for size in input_shape[1:]):
            raise self.error(
                f"every size of the input but the batch must be a positive integer, "
                f"received shape {tuple(input_shape)}"
            )
        return (input_shape[0], math.prod(size for size in input_shape[1:] if size is not None))

    def is_view(self, training: bool) -> bool:
        """The output is the input under another shape."""
        return True

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], run: Run) -> None:
        """Nothing: y is x."""

    def backward(
        self, x: Array, y: Array, dy: Array, dx: Array | None, saved: tuple[Array, ...], run: Run
    ) -> None:
        """Nothing: dx is dy."""
