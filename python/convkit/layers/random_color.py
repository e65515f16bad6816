"""RandomBrightness, RandomContrast and RandomInvert."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..ops._image_steps import Adjust, ImageStep
from .base import LayerOptions
from .image_layer import RandomImageLayer, Range
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack


def _adjusted(scale: Any, offset: Any, sizes: tuple[int, ...], **options: Any) -> Adjust:
    """One step, by a number an image each."""
    pair = np.broadcast_arrays(
        np.asarray(scale, np.float32).reshape(-1), np.asarray(offset, np.float32).reshape(-1)
    )
    one, other = (np.repeat(each[:, np.newaxis], sizes[2], axis=1) for each in pair)
    return Adjust(one, other, **options)


def brightened(delta: Any, value_range: Range, sizes: tuple[int, ...]) -> Adjust:
    """A number more, for each image, within a range."""
    return _adjusted(1.0, delta, sizes, low=value_range[0], high=value_range[1])


def contrasted(factor: Any, value_range: Range, sizes: tuple[int, ...]) -> Adjust:
    """The distance from the mean of a channel times a number, for each image, within a range."""
    low, high = value_range
    return _adjusted(factor, 0.0, sizes, low=low, high=high, around_mean=True)


class RandomBrightness(RandomImageLayer):
    """Make images brighter or darker by random parts of their range, in training.

    Args:
        factor: the part of the range that is added, -1 to 1: one number f for -f .. f, or two for
            the least and the most.
        value_range: the lowest and the highest value of the images, within which they stay.
        seed: of the random numbers; by default the seed of the model.

    Input and output: (N, H, W, C).
    """

    operation = "random_brightness"
    transforms_images = True

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.factor = self.check_range(factor, "factor", -1.0, 1.0)
        self.value_range = self.check_value_range(value_range)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`rgb_delta`: what is added, (n,)."""
        low, high = self.value_range
        (part,) = self.uniform(count, context, self.factor)
        return {"rgb_delta": part * (high - low)}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step."""
        return [brightened(parameters["rgb_delta"], self.value_range, sizes)]


class RandomContrast(RandomImageLayer):
    """Move the values of each channel away from its mean, or towards it, in training.

    Args:
        factor: values are multiplied, about the mean of the image's channel, by a random number
            from 1 - factor[0] to 1 + factor[1]; one number f, 0 to 1, counts as (0, f), as in
            Keras 3.
        value_range: the lowest and the highest value of the images, within which they stay.
        seed: of the random numbers; by default the seed of the model.

    Input and output: (N, H, W, C).
    """

    operation = "random_contrast"
    transforms_images = True

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, **options)
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)
        self.value_range = self.check_value_range(value_range)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`contrast_factor`, (n,)."""
        lower, upper = self.factor
        (factor,) = self.uniform(count, context, (1.0 - lower, 1.0 + upper))
        return {"contrast_factor": factor}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step."""
        return [contrasted(parameters["contrast_factor"], self.value_range, sizes)]


class RandomInvert(RandomImageLayer):
    """Turn random images into their negatives, in training.

    Args:
        factor: how probable that is, 0 to 1: a random number between two for each image, or from 0
            to one.
        value_range: the lowest and the highest value of the images.
        seed: of the random numbers; by default the seed of the model.
        data_format: None or "channels_last", the only layout there is.

    Input and output: (N, H, W, C).
    """

    operation = "random_invert"
    transforms_images = True

    def __init__(
        self,
        factor: float | Sequence[float] = 1.0,
        value_range: Sequence[float] = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)
        self.value_range = self.check_value_range(value_range)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`apply_inversion`: which images, (n,)."""
        probability, number = self.uniform(count, context, self.factor, (0.0, 1.0))
        return {"apply_inversion": number < probability}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step: the highest value less the image's."""
        chosen = np.asarray(parameters["apply_inversion"])
        offset = np.where(chosen, self.value_range[1], 0.0)
        return [_adjusted(np.where(chosen, -1.0, 1.0), offset, sizes)]
