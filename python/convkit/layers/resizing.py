"""Resizing, CenterCrop and RandomCrop: images of another size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.config import flag
from ..core.parameters import Shape
from ..ops._image_steps import Affine, ImageStep
from ..ops.transform_images import resample
from .base import Layer, LayerOptions
from .checks import check_data_format, positive
from .image_layer import ImageLayer, RandomImageLayer
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_INTERPOLATIONS = ("bilinear", "nearest", "bicubic")


class Resizing(ImageLayer):
    """Images of another size, in training and otherwise.

    Args:
        height, width: of the outputs.
        interpolation: "bilinear", "nearest" or "bicubic".
        crop_to_aspect_ratio: whether the largest part in the middle that has the output's
            proportions is taken, so that nothing is stretched.
        pad_to_aspect_ratio: whether borders are put around the image instead.
        fill_mode: "constant", for those borders.
        fill_value: what they are made of.
        antialias: whether the pixels of smaller images are means of all that become one, in place
            of the nearest ones' ("bilinear" and "bicubic").
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, height, width, C).

    Example:
        >>> convkit.layers.Resizing(32, 32)
    """

    operation = "resizing"
    transforms_images = True
    shaping = Layer.shaping | {"data_format", "height", "width"}

    def __init__(
        self,
        height: int,
        width: int,
        interpolation: str = "bilinear",
        crop_to_aspect_ratio: bool = False,
        pad_to_aspect_ratio: bool = False,
        fill_mode: str = "constant",
        fill_value: float = 0.0,
        antialias: bool = False,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.height = positive(height, "height", self)
        self.width = positive(width, "width", self)
        self.interpolation = self.check_choice(interpolation, "interpolation", _INTERPOLATIONS)
        self.crop_to_aspect_ratio = flag(crop_to_aspect_ratio, "crop_to_aspect_ratio", self)
        self.pad_to_aspect_ratio = flag(pad_to_aspect_ratio, "pad_to_aspect_ratio", self)
        if self.crop_to_aspect_ratio and self.pad_to_aspect_ratio:
            raise self.error(
                "crop_to_aspect_ratio and pad_to_aspect_ratio are two ways to keep the "
                "proportions: give one of them"
            )
        self.fill_mode = self.check_choice(fill_mode, "fill_mode", ("constant",))
        self.fill_value = self.check_number(fill_value, "fill_value")
        self.antialias = flag(antialias, "antialias", self)
        self.data_format = check_data_format(data_format, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, height, width, C)."""
        channels = self._image_sizes(input_shape)[2]
        return (input_shape[0], self.height, self.width, channels)

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """What is cut off or put around, and the resampling."""
        steps: list[ImageStep] = []
        plane, size = sizes[:2], (self.height, self.width)
        if self.crop_to_aspect_ratio:
            steps, plane = cropped_to_aspect_ratio(count, plane, size)
        elif self.pad_to_aspect_ratio:
            wanted = (
                max(plane[0], int(plane[1] * self.height / self.width)),
                max(plane[1], int(plane[0] * self.width / self.height)),
            )
            top, left = ((outer - inner) // 2 for outer, inner in zip(wanted, plane, strict=True))
            plane = (plane[0] + 2 * top, plane[1] + 2 * left)
            if top or left:
                matrices = _shifts(count, -top, -left)
                steps = [Affine(matrices, *plane, "nearest", "constant", self.fill_value)]
        if plane != size:
            steps.append(resample(plane, size, self.interpolation, self.antialias))
        return steps


class CenterCrop(ImageLayer):
    """The middle of images, in training and otherwise.

    Of smaller images, the largest part in the middle that has the output's proportions is resized.

    Args:
        height, width: of the outputs.
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, height, width, C).
    """

    operation = "center_crop"
    transforms_images = True
    shaping = Layer.shaping | {"data_format", "height", "width"}

    def __init__(
        self,
        height: int,
        width: int,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.height = positive(height, "height", self)
        self.width = positive(width, "width", self)
        self.data_format = check_data_format(data_format, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, height, width, C)."""
        channels = self._image_sizes(input_shape)[2]
        return (input_shape[0], self.height, self.width, channels)

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """A cut, and a resampling of smaller images."""
        size = (self.height, self.width)
        rows, columns = sizes[0] - self.height, sizes[1] - self.width
        if rows >= 0 and columns >= 0:
            return crop(count, rows // 2, columns // 2, size)
        return resized_to_aspect_ratio(count, sizes[:2], size)


class RandomCrop(RandomImageLayer):
    """A part of the images at a random place, the same for a whole batch, in training.

    Otherwise, and of images that are not larger in both directions, the largest part in the middle
    that has the output's proportions is resized.

    Args:
        height, width: of the outputs.
        seed: of the random numbers; by default the seed of the model.
        data_format: None or "channels_last", the only layout there is.

    Input: (N, H, W, C). Output: (N, height, width, C).
    """

    operation = "random_crop"
    transforms_images = True
    shaping = Layer.shaping | {"data_format", "height", "width"}

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.height = positive(height, "height", self)
        self.width = positive(width, "width", self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(N, height, width, C)."""
        channels = self._image_sizes(input_shape)[2]
        return (input_shape[0], self.height, self.width, channels)

    def is_view(self, training: bool) -> bool:
        """Never."""
        return False

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`top`, `left`: of the parts, (n,), whole numbers."""
        rows, columns = sizes[0] - self.height + 1, sizes[1] - self.width + 1
        top, left = self.uniform(1, context, (0.0, float(rows)), (0.0, float(columns)))
        return {"top": np.repeat(np.floor(top), count), "left": np.repeat(np.floor(left), count)}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One cut."""
        top, left = parameters["top"], parameters["left"]
        return crop(len(top), top, left, (self.height, self.width))

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """A cut at a random place in training, one in the middle otherwise."""
        if context.training and sizes[0] > self.height and sizes[1] > self.width:
            return self.steps_of(self.draw(count, sizes, context), sizes)
        return resized_to_aspect_ratio(count, sizes[:2], (self.height, self.width))


def _shifts(count: int, down: Any, right: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    matrices = np.tile([1.0, 0.0, 0.0, 0.0, 1.0, 0.0], (count, 1))
    matrices[:, 2], matrices[:, 5] = right, down
    return matrices


def crop(count: int, top: Any, left: Any, size: tuple[int, ...]) -> list[ImageStep]:
    """A part of each image, which lies within it."""
    return [Affine(_shifts(count, top, left), size[0], size[1], is_within=True)]


def cropped_to_aspect_ratio(
    count: int, plane: tuple[int, ...], size: tuple[int, ...]
) -> tuple[list[ImageStep], tuple[int, ...]]:
    """The largest part in the middle that has the proportions of `size`, and its own size."""
    height = max(min(plane[0], int(plane[1] * size[0] / size[1])), 1)
    width = max(min(plane[1], int(plane[0] * size[1] / size[0])), 1)
    if (height, width) == tuple(plane):
        return [], plane
    top, left = (plane[0] - height) // 2, (plane[1] - width) // 2
    return crop(count, top, left, (height, width)), (height, width)


def resized_to_aspect_ratio(
    count: int, plane: tuple[int, ...], size: tuple[int, ...]
) -> list[ImageStep]:
    """The same part, resized."""
    steps, cut = cropped_to_aspect_ratio(count, plane, size)
    return steps if tuple(cut) == size else [*steps, resample(cut, size, "bilinear", False)]
