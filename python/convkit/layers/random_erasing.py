"""RandomErasing: boxes of images become noise or a constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops._image_steps import Erase, ImageStep
from ..ops.dropout import MASK
from .base import Layer, LayerOptions
from .image_layer import RandomImageLayer
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_NOISE = 1 << 47  # what the noise of a layer has its own numbers by


class RandomErasing(RandomImageLayer):
    """Fill a random box of random images with noise or a constant, in training.

    (Z. Zhong et al., "Random erasing data augmentation", 2017.)

    Args:
        factor: how probable that is, 0 to 1: a random number between two for each image, or from 0
            to one.
        scale: the squares of the box's height and width, as parts of the image's, lie between these
            two, 0 to 1.
        fill_value: what a box is filled with, a number or three for the channels; None for normally
            distributed noise, with the highest value as its standard deviation.
        value_range: the lowest and the highest value of the images, within which the filling stays.
        seed: of the random numbers; by default the seed of the model.
        data_format: None or "channels_last", the only layout there is.

    Input and output: (N, H, W, C).
    """

    operation = "random_erasing"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        factor: float | Sequence[float] = 1.0,
        scale: float | Sequence[float] = (0.02, 0.33),
        fill_value: float | Sequence[float] | None = None,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)
        self.scale = self.check_range(scale, "scale", 0.0, 1.0)
        self.fill_value = self._checked_fill(fill_value)
        self.value_range = self.check_value_range(value_range)

    def _checked_fill(self, value: Any) -> float | tuple[float, ...] | None:
        if value is None:
            return None
        if isinstance(value, Sequence | np.ndarray) and not isinstance(value, str):
            if len(value) != 3:
                raise self.error(
                    f"fill_value must be a number, three of them, or None, received {value!r}"
                )
            return tuple(self.check_number(each, "fill_value") for each in value)
        return self.check_number(value, "fill_value")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape; ValueError if the filling has other channels."""
        channels = self._image_sizes(input_shape)[2]
        if isinstance(self.fill_value, tuple) and channels != len(self.fill_value):
            raise self.error(
                f"fill_value has {len(self.fill_value)} numbers, one for each channel, received "
                f"shape {tuple(input_shape)}"
            )
        return tuple(input_shape)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`boxes`: top, bottom, left and right, (n, 4); `noise`: seed and step of the filling."""
        unit = (0.0, 1.0)
        ranges = (self.scale, self.scale, unit, unit, self.factor, unit)
        across, down, left, top, probability, number = self.uniform(count, context, *ranges)
        size = np.array(sizes[:2])[:, np.newaxis]
        length = np.sqrt((down, across)) * size
        begin = np.array((top, left)) * (size - length)
        # First pixels of boxes and first ones behind them, (2, axes, n).
        edges = np.ceil((begin, begin + length)) * (number < probability)
        boxes = edges.astype(np.int64).transpose(2, 1, 0).reshape(count, 4)
        drawn = self.drawn_from(context)
        seed = int(drawn["seed"][0]) if isinstance(drawn["seed"], np.ndarray) else drawn["seed"]
        step = (int(drawn["step"][0]) + drawn["offset"] + _NOISE) & MASK
        return {"boxes": boxes, "noise": (seed, step)}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step."""
        boxes = np.asarray(parameters["boxes"], np.int64)
        low, high = self.value_range
        if self.fill_value is None:
            seed, step = parameters["noise"]
            return [Erase(boxes, None, abs(high), seed, step, low, high)]
        fill = np.broadcast_to(np.float32(np.clip(self.fill_value, low, high)), (sizes[2],))
        return [Erase(boxes, np.ascontiguousarray(fill))]
