"""Dropout and SpatialDropout2D: in training, some values or channels become zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..core import random
from ..core.config import as_number
from ..core.parameters import Array, Shape
from .base import Layer, LayerOptions
from .checks import check_data_format
from .step_context import SavedArray, StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class RandomLayer(Layer):
    """A layer whose output depends on random numbers, in training alone.

    They are pure functions of the seed, the training step, the position of the layer and the
    element, so that they are not stored: backward draws them again.

    Args:
        seed: of the numbers; by default the seed of the model, see `utils.set_random_seed`.
    """

    in_place = True
    has_phases = True

    def __init__(self, *, seed: int | None = None, **options: Unpack[LayerOptions]) -> None:
        super().__init__(**options)
        self.seed = None if seed is None else random.check_seed(seed)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        return self._whole_shape(input_shape)

    def check_rate(self, rate: float) -> float:
        """A share as a float; ValueError unless it is at least 0 and below 1."""
        number = as_number(rate)
        if number is None or not 0.0 <= number < 1.0:
            raise self.error(f"rate must be at least 0 and below 1, received {rate!r}")
        return number

    def drawn_from(self, context: StepContext) -> dict[str, Any]:
        """What the random numbers depend on, as the ops take it."""
        seed = context.seed if self.seed is None else self.seed
        return {"seed": seed, "step": context.step, "offset": random.dropout_offset(self.index)}


class Dropout(RandomLayer):
    """Set a random share of the values to zero and scale the rest by 1 / (1 - rate).

    Only in training; otherwise the layer costs nothing. The mask is a pure function of the seed,
    the training step, the position of the layer and the element of the mask, so it need not be
    stored: backward makes it again. (N. Srivastava et al., "Dropout", 2014.)

    Args:
        rate: the share, at least 0 and below 1.
        noise_shape: the shape of the mask, with the batch in front; None for the input's. Along an
            axis of size 1 all values have one fate; None, or the input's own size, gives each its
            own. So (None, 1, 1, 1) drops whole samples, as stochastic depth does to the residuals
            of a network (G. Huang et al., "Deep networks with stochastic depth", 2016).
        seed: of the mask; by default the seed of the model, see `utils.set_random_seed`.

    Input and output: any shape.
    """

    operation = "dropout"
    capturable = True

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.rate = self.check_rate(rate)
        self.noise_shape = self._checked_shape(noise_shape)
        self._ones = np.ones(0, np.float32)  # what a mask is drawn of

    def _checked_shape(self, shape: Any) -> tuple[int | None, ...] | None:
        if shape is None:
            return None
        several = isinstance(shape, Sequence) and not isinstance(shape, str) and len(shape) > 0
        if not several or not all(
            size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
            for size in shape
        ):
            raise self.error(
                f"noise_shape must be None, or positive integers and None, such as "
                f"(None, 1, 1, 1), received {shape!r}"
            )
        if shape[0] not in (None, 1):
            raise self.error(
                f"noise_shape begins with None, for batches of any size, or 1, received {shape!r}"
            )
        return tuple(shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape; ValueError if the mask's does not fit it."""
        shape, mask = super().compute_output_shape(input_shape), self.noise_shape
        if mask is not None and (
            len(mask) != len(shape)
            or any(
                own not in (None, 1, size) for own, size in zip(mask[1:], shape[1:], strict=True)
            )
        ):
            raise self.error(f"noise_shape {mask} does not fit inputs of shape {shape}")
        return shape

    def saved_arrays(self, input_shape: tuple[int, ...]) -> tuple[SavedArray, ...]:
        """The mask, where values share its elements and something is dropped."""
        if self.noise_shape is None or self.rate == 0.0:
            return ()
        sizes = zip(self.noise_shape, input_shape, strict=True)
        mask = tuple(1 if own == 1 else size for own, size in sizes)
        is_whole = self.noise_shape[0] is None and mask[1:] == tuple(input_shape)[1:]
        return () if is_whole else (SavedArray(mask),)

    def is_view(self, training: bool) -> bool:
        """Whether there is nothing to drop."""
        return not training or self.rate == 0.0

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x times the mask of this step."""
        if not saved:
            ops.dropout_forward(x, self.rate, **self.drawn_from(context), out=y)
            return
        (mask,) = saved
        if self._ones.size < mask.size:
            self._ones = np.ones(mask.size, np.float32)
        ones = self._ones[: mask.size].reshape(mask.shape)
        of_batch = self.noise_shape is None or self.noise_shape[0] != 1
        drawn_from = self.drawn_from(context)
        ops.dropout_forward(ones, self.rate, **drawn_from, of_batch=of_batch, out=mask)
        ops.multiply(x, mask, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy times the same mask."""
        if dx is None:
            return
        if saved:
            ops.multiply(dy, saved[0], out=dx)
        else:
            ops.dropout_backward(dy, self.rate, **self.drawn_from(context), out=dx)


class SpatialDropout2D(RandomLayer):
    """Set a random share of the channels of every image to zero, scale the rest by 1 / (1 - rate).

    Neighbouring pixels are so much alike that dropping single ones changes little. Only in
    training; otherwise the layer costs nothing. Each channel of each image has one random number,
    a pure function of what `Dropout`'s depend on. (J. Tompson et al., "Efficient object
    localization using convolutional networks", 2015.)

    Args:
        rate: the share, at least 0 and below 1.
        data_format: None or "channels_last", the only layout there is.
        seed: of the mask; by default the seed of the model, see `utils.set_random_seed`.

    Input and output: (N, H, W, C).
    """

    operation = "spatial_dropout2d"
    capturable = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.rate = self.check_rate(rate)
        self.data_format = check_data_format(data_format, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._image_sizes(input_shape)
        return tuple(input_shape)

    def is_view(self, training: bool) -> bool:
        """Whether there is nothing to drop."""
        return not training or self.rate == 0.0

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x times the mask of this step."""
        ops.spatial_dropout2d_forward(x, self.rate, **self.drawn_from(context), out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy times the same mask."""
        if dx is not None:
            ops.spatial_dropout2d_backward(dy, self.rate, **self.drawn_from(context), out=dx)
