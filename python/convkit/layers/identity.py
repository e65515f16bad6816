"""Identity: what comes in goes out."""

from __future__ import annotations

from ..core.parameters import Shape
from .view_layer import ViewLayer


class Identity(ViewLayer):
    """Pass everything on. Costs nothing.

    Input and output: any shape.
    """

    operation = "identity"

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        return self._whole_shape(input_shape)
