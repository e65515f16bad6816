"""What transforms images one by one: the base of augmentation, resizing and cropping."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from .. import ops
from ..core import random
from ..core.config import as_number
from ..core.parameters import Array, Shape
from ..core.processes import Share
from ..ops._image_steps import ImageStep, fused
from .base import Layer
from .checks import check_data_format
from .dropout import RandomLayer
from .graph import symbolic
from .step_context import StepContext

Range = tuple[float, float]


class TransformsImages(Protocol):
    """A layer that a pass over single images can do."""

    operation: ClassVar[str]

    @property
    def names(self) -> tuple[str, ...]: ...
    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]: ...
    def output_sizes(self, input_sizes: tuple[int, ...]) -> tuple[int, ...]: ...


class ImageChain:
    """What layers make of images one after the other, in one pass over them.

    Args:
        stages: the layers, one or more.
        sizes: (H, W, C) of the images.
    """

    def __init__(self, stages: Sequence[TransformsImages], sizes: tuple[int, ...]) -> None:
        self.stages = tuple(stages)
        self._sizes = [sizes]
        for stage in stages:
            self._sizes.append(stage.output_sizes(self._sizes[-1]))

    def __call__(
        self,
        images: Array,
        context: StepContext,
        indices: Array | None = None,
        out: Array | None = None,
    ) -> Array:
        """The transformed images.

        Args:
            images: uint8 or float32 (M, H, W, C).
            context: of the training step, or of inference.
            indices: of the images that are wanted; by default all.
            out: float32 to write into.
        """
        count = len(images) if indices is None else len(indices)
        steps: list[ImageStep] = []
        for stage, sizes in zip(self.stages, self._sizes, strict=False):
            steps += stage.image_steps(count, sizes, context)
        steps = fused(steps, self._sizes[-1][-1])
        return ops.transform_images(images, steps, indices=indices, out=out)


class ImageLayer(Layer):
    """A layer that transforms each image by itself.

    Where such layers, Rescaling and Normalization come first in a model, a plan has them done while
    a batch is gathered, in one native pass over its images.

    Attributes:
        transforms_images: whether `image_steps` says what the layer does. Not inherited, for a
            subclass may do something else.
    """

    transforms_images: ClassVar[bool] = False

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """What is done to each of `count` images of sizes (H, W, C)."""
        raise NotImplementedError

    def check_choice(self, value: Any, what: str, names: Sequence[str]) -> str:
        """One of some names; ValueError for anything else."""
        if not isinstance(value, str) or value not in names:
            raise self.error(f"{what} must be one of {', '.join(names)}, received {value!r}")
        return value

    def check_number(self, value: Any, what: str) -> float:
        """A finite number as a float; ValueError for anything else."""
        number = as_number(value)
        if number is None or not abs(number) <= 3.4028234663852886e38:
            raise self.error(f"{what} must be a finite number, received {value!r}")
        return number

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._image_sizes(input_shape)
        return tuple(input_shape)

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = the transformed images."""
        ImageChain([self], x.shape[1:])(x, context, out=y)

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """Nothing: there is no gradient of images."""
        if dx is not None:
            raise self.error(
                "it passes no gradient on to trainable layers before it; put it before them, or "
                "freeze them with trainable = False"
            )

    def __call__(self, inputs: Any, training: bool | None = None) -> Any:
        """Become part of a model, or transform images at once.

        Args:
            inputs: a symbolic tensor; or images, (N, H, W, C) or a single one (H, W, C); or a
                dictionary of "images" and "labels", which stay as they are.
            training: of images, whether to do what is done in training, which is the default, as in
                Keras. Each call draws other random numbers.

        Raises:
            ValueError: the layer cannot take such inputs.
        """
        if symbolic(inputs) is not None:
            return super().__call__(inputs, training)
        if isinstance(inputs, Mapping):
            others = [key for key in inputs if key not in ("images", "labels")]
            if others or "images" not in inputs:
                raise self.error(
                    f'of a dictionary it takes "images" and "labels", received {[*inputs]}'
                )
            return {**inputs, "images": self(inputs["images"], training)}
        training = self.has_phases if training is None else training
        if np.ndim(inputs) == 3:
            return super().__call__(np.asarray(inputs)[np.newaxis], training)[0]
        return super().__call__(inputs, training)


def _rows_of(value: Any, share: Share) -> Any:
    """What is this process's of the parameters that were drawn for a whole batch."""
    of_images = isinstance(value, np.ndarray) and value.ndim > 0 and len(value) == share.samples
    return value[share.rows] if of_images else value


class RandomImageLayer(RandomLayer, ImageLayer):
    """An image layer that depends on random numbers, and does nothing but in training.

    They are pure functions of the seed, the training step, the position of the layer and of the
    image in its batch.
    """

    in_place = False

    def __init__(self, *, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = check_data_format(data_format, self)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        return ImageLayer.compute_output_shape(self, input_shape)

    def is_view(self, training: bool) -> bool:
        """Whether it does nothing: but in training."""
        return not training

    def next_step(self) -> int:
        """What a call on arrays counts as: one after the other."""
        return random.next_call()

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """The random parameters of `count` images."""
        raise NotImplementedError

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """What is done to images of sizes (H, W, C) with such parameters."""
        raise NotImplementedError

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """What is done to each of `count` images of sizes (H, W, C); nothing but in training."""
        if not context.training:
            return []
        share = context.share
        if share is None:
            return self.steps_of(self.draw(count, sizes, context), sizes)
        drawn = self.draw(share.samples, sizes, context)
        own = {name: _rows_of(value, share) for name, value in drawn.items()}
        return self.steps_of(own, sizes)

    def uniform(self, count: int, context: StepContext, *ranges: Range) -> list[Array]:
        """For each of some ranges as many numbers as there are images, float64."""
        numbers = ops.uniform(count * len(ranges), **self.drawn_from(context))
        low, high = np.array(ranges, np.float64).T
        return list((low + (high - low) * numbers.reshape(count, len(ranges))).T)

    def check_range(
        self, value: Any, what: str, low: float, high: float, *, excludes_low: bool = False
    ) -> Range:
        """Two numbers as they are in order, one as -f .. f within the bounds.

        Raises:
            ValueError: they are no numbers, or beyond low .. high.
        """
        if type(value) is float and max(low, 0.0) < value <= high:
            return max(-value, low), value
        several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        given = list(value) if several else [value]
        numbers = [number for number in map(as_number, given) if number is not None]
        fits = all(low <= n <= high and not (excludes_low and n == low) for n in numbers)
        if not fits or len(numbers) != len(given) or len(given) != (2 if several else 1):
            bracket = "above" if excludes_low else "from"
            raise self.error(
                f"{what} must be a number, or two, {bracket} {low:g} to {high:g}, received "
                f"{value!r}"
            )
        if several:
            return min(numbers), max(numbers)
        return max(-abs(numbers[0]), low), abs(numbers[0])

    def check_value_range(self, value: Any) -> Range:
        """Two finite numbers, in order."""
        several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
        numbers = [as_number(each) for each in value] if several else []
        found = [number for number in numbers if number is not None and np.isfinite(number)]
        if len(numbers) != 2 or len(found) != 2:
            raise self.error(
                f"value_range must be the lowest and the highest value of the images, such as "
                f"(0, 255), received {value!r}"
            )
        return min(found), max(found)
