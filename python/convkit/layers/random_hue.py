"""RandomGrayscale, RandomHue, RandomSaturation and RandomColorJitter: what mixes channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..core.parameters import Array
from ..ops._image_steps import Colors, Gray, ImageStep
from .base import Layer, LayerOptions
from .image_layer import RandomImageLayer, Range
from .random_color import brightened, contrasted
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_UNIT = (0.0, 1.0)
_EPSILON = 1e-7  # Keras's


def _hue(columns: Sequence[Array]) -> Array:
    """How far hues are turned, half of them backwards: by at most half a turn."""
    way, factor = columns
    return np.where(way > 0.5, -0.5, 0.5) * factor


def _saturation(factor: Array) -> Array:
    """What saturations are multiplied by: 1 for a half, 0 for nothing."""
    made: Array = factor / (1.0 - factor + _EPSILON)
    return made


def _turned(turns: Any, value_range: Range) -> Colors:
    low, high = value_range
    turns = np.asarray(turns, np.float32).reshape(-1)
    return Colors(turns, np.ones_like(turns), low=low, high=high, clips=True)


def _saturated(factors: Any, value_range: Range) -> Colors:
    # Values are not brought into 0 .. 1, and the range is that of saturations, as in Keras.
    least, most = value_range
    factors = np.asarray(factors, np.float32).reshape(-1)
    return Colors(np.zeros_like(factors), factors, least, most)


class _MixesChannels(RandomImageLayer):
    """A change of colours, of images that have some."""

    transforms_images: ClassVar[bool] = False
    shaping = Layer.shaping | {"data_format"}
    _allowed_channels: tuple[int, ...] = (3,)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """The input's own shape; ValueError if it has other channels than the layer takes."""
        channels = self._image_sizes(input_shape)[2]
        if self._allowed_channels and channels not in self._allowed_channels:
            allowed = " or ".join(map(str, self._allowed_channels))
            raise self.error(
                f"images must have {allowed} channels, red, green and blue, received shape "
                f"{tuple(input_shape)}"
            )
        return tuple(input_shape)

    def check_width(self, value: Any) -> Range:
        """As `check_value_range`, and two different numbers."""
        low, high = self.check_value_range(value)
        if low == high:
            raise self.error(f"value_range must be two different numbers, received {value!r}")
        return low, high


class RandomGrayscale(_MixesChannels):
    """Make random images grey, in training.

    Their three channels become 0.2989 red + 0.587 green + 0.114 blue. Images of one channel stay
    as they are.

    Args:
        factor: how probable that is, 0 to 1.
        data_format: None or "channels_last", the only layout there is.
        seed: of the random numbers; by default the seed of the model.

    Input and output: (N, H, W, 3) or (N, H, W, 1).
    """

    operation = "random_grayscale"
    transforms_images = True
    _allowed_channels = (1, 3)

    def __init__(
        self,
        factor: float = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        if isinstance(factor, Sequence | np.ndarray):
            raise self.error(f"factor must be one number, from 0 to 1, received {factor!r}")
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)[1]

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`apply_grayscale`: which images, (n,)."""
        (number,) = self.uniform(count, context, _UNIT)
        return {"apply_grayscale": number < self.factor}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step, or none for images of one channel."""
        return [Gray(np.asarray(parameters["apply_grayscale"]))] if sizes[2] == 3 else []


class RandomHue(_MixesChannels):
    """Turn the hues of images by random angles, in training.

    (A. R. Smith, "Color gamut transform pairs", 1978.)

    Args:
        factor: hues are turned by up to this part of half a turn, forwards or backwards, 0 to 1: a
            random number between two for each image, or from 0 to one.
        value_range: the lowest and the highest value of the images, within which they stay.
        data_format: None or "channels_last", the only layout there is.
        seed: of the random numbers; by default the seed of the model.

    Input and output: (N, H, W, 3).
    """

    operation = "random_hue"
    transforms_images = True

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.factor = self.check_range(factor, "factor", 0.0, 1.0)
        self.value_range = self.check_width(value_range)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`factor`: what is added to hues, in whole turns, (n,)."""
        return {"factor": _hue(self.uniform(count, context, _UNIT, self.factor))}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step."""
        return [_turned(parameters["factor"], self.value_range)]


class RandomSaturation(_MixesChannels):
    """Make the colours of images stronger or weaker by random factors, in training.

    Args:
        factor: -1 to 1: a random number f between two for each image; one number counts as
            (-factor, factor), as in Keras 3. Saturations are multiplied by f / (1 - f): a half
            changes nothing, and where values are at least 0, f of 0 or below makes images grey.
        value_range: the lowest and the highest value of the images. Saturations stay within it, as
            in Keras 3: with (0, 1) colours become pure at most, with (0, 255) values may leave
            the range.
        data_format: None or "channels_last", the only layout there is.
        seed: of the random numbers; by default the seed of the model.

    Input and output: (N, H, W, 3).
    """

    operation = "random_saturation"
    transforms_images = True

    def __init__(
        self,
        factor: float | Sequence[float],
        value_range: Sequence[float] = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.factor = self.check_range(factor, "factor", -1.0, 1.0)
        self.value_range = self.check_value_range(value_range)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`factor`: what saturations are multiplied by, (n,)."""
        (factor,) = self.uniform(count, context, self.factor)
        return {"factor": _saturation(factor)}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One step."""
        return [_saturated(parameters["factor"], self.value_range)]


class RandomColorJitter(_MixesChannels):
    """Change brightness, contrast, saturation and hue of images at random, in training.

    What `RandomBrightness`, `RandomContrast`, `RandomSaturation` and `RandomHue` do, in this order.

    Args:
        value_range: the lowest and the highest value of the images.
        brightness_factor, contrast_factor, saturation_factor, hue_factor: the layers' `factor`;
            None for a change that is left out.
        seed: of the random numbers; by default the seed of the model.
        data_format: None or "channels_last", the only layout there is.

    Input and output: (N, H, W, C); C is 3 where saturation or hue change.
    """

    operation = "random_color_jitter"
    transforms_images = True
    _derived = ("_allowed_channels",)

    def __init__(
        self,
        value_range: Sequence[float] = (0, 255),
        brightness_factor: float | Sequence[float] | None = None,
        contrast_factor: float | Sequence[float] | None = None,
        saturation_factor: float | Sequence[float] | None = None,
        hue_factor: float | Sequence[float] | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.value_range = self.check_width(value_range)
        self.brightness_factor = self._checked(brightness_factor, "brightness_factor", -1.0)
        self.contrast_factor = self._checked(contrast_factor, "contrast_factor", 0.0)
        self.saturation_factor = self._checked(saturation_factor, "saturation_factor", -1.0)
        self.hue_factor = self._checked(hue_factor, "hue_factor", 0.0)
        self._allowed_channels = () if self.saturation_factor is self.hue_factor is None else (3,)

    def _checked(self, value: Any, what: str, low: float) -> Range | None:
        return None if value is None else self.check_range(value, what, low, 1.0)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """What the four layers draw, (n,) each: of those that there are."""
        no = (0.0, 0.0)
        lower, upper = self.contrast_factor or no
        brightness, contrast, saturation, *hue = self.uniform(
            *(count, context, self.brightness_factor or no, (1.0 - lower, 1.0 + upper)),
            *(self.saturation_factor or no, _UNIT, self.hue_factor or no),
        )
        low, high = self.value_range
        drawn = {
            "brightness_factor": brightness * (high - low),
            "contrast_factor": contrast,
            "saturation_factor": _saturation(saturation),
            "hue_factor": _hue(hue),
        }
        return {name: numbers for name, numbers in drawn.items() if getattr(self, name) is not None}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """A step of each."""
        makers: dict[str, Any] = {
            "brightness_factor": lambda given: brightened(given, self.value_range, sizes),
            "contrast_factor": lambda given: contrasted(given, self.value_range, sizes),
            "saturation_factor": lambda given: _saturated(given, self.value_range),
            "hue_factor": lambda given: _turned(given, self.value_range),
        }
        return [make(parameters[name]) for name, make in makers.items() if name in parameters]
