"""Dropout: in training, some values become zero."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import ops, random
from ..config import as_number
from ..parameters import Array, Shape
from .base import Layer, LayerOptions
from .run import Run

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Dropout(Layer):
    """Set a random share of the values to zero and scale the rest by 1 / (1 - rate).

    Only in training; otherwise the layer costs nothing. The mask is a pure function of the seed,
    the training step, the position of the layer and the element, so it is not stored: backward
    makes it again. (N. Srivastava et al., "Dropout", 2014.)

    Args:
        rate: the share, at least 0 and below 1.
        seed: of the mask; by default the seed of the model, see `utils.set_random_seed`.

    Input and output: any shape.
    """

    operation = "dropout"
    in_place = True
    repeats = True

    def __init__(
        self, rate: float, *, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**options)
        number = as_number(rate)
        if number is None or not 0.0 <= number < 1.0:
            raise self.error(f"rate must be at least 0 and below 1, received {rate!r}")
        self.rate = number
        self.seed = None if seed is None else random.check_seed(seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        return self._whole_shape(input_shape)

    def is_view(self, training: bool) -> bool:
        """Whether there is nothing to drop."""
        return not training or self.rate == 0.0

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], run: Run) -> None:
        """y = x times the mask of this step."""
        ops.dropout_forward(x, self.rate, **self._mask(run), out=y)

    def backward(
        self, x: Array, y: Array, dy: Array, dx: Array | None, saved: tuple[Array, ...], run: Run
    ) -> None:
        """dx = dy times the same mask."""
        if dx is not None:
            ops.dropout_backward(dy, self.rate, **self._mask(run), out=dx)

    def _mask(self, run: Run) -> dict[str, Any]:
        """What the mask depends on."""
        seed = run.seed if self.seed is None else self.seed
        return {"seed": seed, "step": run.step, "offset": random.dropout_offset(self.index)}
