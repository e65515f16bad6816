"""GaussianNoise and GaussianDropout: in training, values meet normally distributed numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import ops
from ..core.config import as_number
from ..core.parameters import Array
from .base import LayerOptions
from .dropout import RandomLayer
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LARGEST = 3.4028234663852886e38  # of float32


class GaussianNoise(RandomLayer):
    """Add normally distributed noise of mean 0.

    Only in training; otherwise the layer costs nothing. The noise is a pure function of the seed,
    the training step, the position of the layer and the element.

    Args:
        stddev: its standard deviation, at least 0.
        seed: of the noise; by default the seed of the model, see `utils.set_random_seed`.

    Input and output: any shape.
    """

    operation = "gaussian_noise"
    capturable = True

    def __init__(
        self, stddev: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(seed=seed, **options)
        number = as_number(stddev)
        if number is None or not 0.0 <= number <= _LARGEST:
            raise self.error(f"stddev must be a finite number of at least 0, received {stddev!r}")
        self.stddev = number

    def is_view(self, training: bool) -> bool:
        """Whether there is nothing to add."""
        return not training or self.stddev == 0.0

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x plus the noise of this step."""
        ops.gaussian_noise_forward(x, self.stddev, **self.drawn_from(context), out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy, which costs nothing where both are the same memory."""
        if dx is not None:
            ops.gaussian_noise_backward(dy, out=dx)


class GaussianDropout(RandomLayer):
    """Multiply by normally distributed numbers of mean 1 and variance rate / (1 - rate).

    Those are the mean and the variance of `Dropout`'s factors. Only in training; otherwise the
    layer costs nothing. The factors are a pure function of what `Dropout`'s depend on, and not
    stored. (N. Srivastava et al., "Dropout", 2014, section 10.)

    Args:
        rate: the share that `Dropout` would drop, at least 0 and below 1.
        seed: of the factors; by default the seed of the model, see `utils.set_random_seed`.

    Input and output: any shape.
    """

    operation = "gaussian_dropout"
    capturable = True

    def __init__(
        self, rate: float, seed: int | None = None, **options: Unpack[LayerOptions]
    ) -> None:
        super().__init__(seed=seed, **options)
        self.rate = self.check_rate(rate)

    def is_view(self, training: bool) -> bool:
        """Whether all factors are 1."""
        return not training or self.rate == 0.0

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x times the factors of this step."""
        ops.gaussian_dropout_forward(x, self.rate, **self.drawn_from(context), out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy times the same factors."""
        if dx is not None:
            ops.gaussian_dropout_backward(dy, self.rate, **self.drawn_from(context), out=dx)
