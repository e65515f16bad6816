"""Flatten: each sample becomes a row."""

from __future__ import annotations

import math

from ..core.parameters import Shape
from .view_layer import ViewLayer


class Flatten(ViewLayer):
    """Lay each sample out as one row, in the order rows, columns, channels. Costs nothing.

    Input: (N, ...). Output: (N, product of the rest).
    """

    operation = "flatten"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, product of the other sizes)."""
        sizes = self._sample_sizes(input_shape)
        return (input_shape[0], math.prod(sizes))
