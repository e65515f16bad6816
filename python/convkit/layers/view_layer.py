"""ViewLayer: what only looks at its input's memory in another shape."""

from __future__ import annotations

from ..core.parameters import Array
from .base import Layer
from .step_context import StepContext


class ViewLayer(Layer):
    """A layer whose output is its input's memory, perhaps under another shape. Costs nothing."""

    def is_view(self, training: bool) -> bool:
        """Always."""
        return True

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """Nothing: y is x."""

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """Nothing: dx is dy."""
