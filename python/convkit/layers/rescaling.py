"""Rescaling: a fixed factor and a fixed offset, such as 1 / 255 for pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..core.parameters import Array, Shape
from ..ops._image_steps import ImageStep, Scale
from .base import Layer, LayerOptions
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Rescaling(Layer):
    """y = x * scale + offset, in training and otherwise.

    Args:
        scale: a number, or one for each channel, such as 1 / 255.
        offset: likewise.

    Input and output: any shape, (N, ..., C).

    Example:
        >>> convkit.layers.Rescaling(1 / 127.5, offset=-1)
    """

    operation = "rescaling"
    in_place = True
    transforms_images = True

    def __init__(
        self,
        scale: float | Sequence[float],
        offset: float | Sequence[float] = 0.0,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.scale = _numbers(scale, "scale", self)
        self.offset = _numbers(offset, "offset", self)
        self._scale: Array | None = None
        self._offset: Array | None = None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        channels = self._channels(input_shape)
        for what, values in (("scale", self.scale), ("offset", self.offset)):
            if isinstance(values, tuple) and len(values) not in (1, channels):
                raise self.error(
                    f"{what} has {len(values)} values, one for each channel, the last axis of the "
                    f"input, received shape {tuple(input_shape)}"
                )
        return tuple(input_shape)

    def _set(self, name: str, value: Any) -> None:
        super()._set(name, value)
        if self.input_shape is not None:
            self.create_parameters(self.input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """None. Nor any other memory yet: a file may claim any number of channels."""
        self._scale, self._offset = None, None

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """The same of images, as they are gathered."""
        scale, offset = self._factors(sizes[-1])
        return [Scale(np.zeros_like(scale), scale, offset)]

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = x * scale + offset."""
        ops.rescaling_forward(x, *self._factors(x.shape[-1]), out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy * scale."""
        if dx is not None:
            ops.rescaling_backward(dy, self._factors(dy.shape[-1])[0], out=dx)

    def _factors(self, channels: int) -> tuple[Array, Array]:
        """The factors and offsets as the op reads them, (C,) each."""
        if self._scale is None or self._offset is None:
            self._offset = np.resize(np.asarray(self.offset, np.float32), channels)
            self._scale = np.resize(np.asarray(self.scale, np.float32), channels)
        return self._scale, self._offset


def _numbers(value: Any, what: str, layer: Layer) -> float | tuple[float, ...]:
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    values = list(value) if several else [value]
    try:
        if not values or any(isinstance(v, bool | str) for v in values):
            raise TypeError
        numbers = [float(v) for v in values]
    except (TypeError, ValueError):
        numbers = [math.nan]
    if not all(math.isfinite(number) for number in numbers):
        raise layer.error(f"{what} must be a finite number, or one a channel, received {value!r}")
    return tuple(numbers) if several else numbers[0]
