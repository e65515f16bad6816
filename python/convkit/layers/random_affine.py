"""RandomFlip, RandomTranslation, RandomRotation, RandomZoom and RandomShear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..core.config import flag
from ..core.parameters import Array
from ..ops._image_steps import FILL_MODES, INTERPOLATIONS, Affine, ImageStep
from .base import Layer, LayerOptions
from .image_layer import RandomImageLayer, Range
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_FLIPS = ("horizontal", "vertical", "horizontal_and_vertical")


class RandomFlip(RandomImageLayer):
    """Flip a random half of the images, in training.

    Args:
        mode: "horizontal" (left and right change places), "vertical", or "horizontal_and_vertical",
            which does both, to the same images, as Keras 3.
        seed: of the random numbers; by default the seed of the model.
        data_format: None or "channels_last", the only layout there is.
        alternating: decide once for each image at random, and have what is flipped in one epoch of
            `fit` as it is in the next, so that two epochs show each image both ways (K. Jordan,
            "94 % on CIFAR-10 in 3.29 seconds on a single GPU", 2024). Called on images, each call
            counts as an epoch. Keras has no such argument.

    Input and output: (N, H, W, C).

    Raises:
        ValueError: in `fit`, if `alternating` and what is trained on are batches of an iterable,
            which do not say which images they are of.
    """

    operation = "random_flip"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        *,
        alternating: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(seed=seed, data_format=data_format, **options)
        self.mode = self.check_choice(mode, "mode", _FLIPS)
        self.alternating = flag(alternating, "alternating", self)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`flips`: which images are flipped, (n,)."""
        if self.alternating:
            return {"flips": self._alternate(count, context)}
        (number,) = self.uniform(count, context, (0.0, 1.0))
        return {"flips": number < 0.5}

    def _alternate(self, count: int, context: StepContext) -> Array:
        """Flips by the image's index and the epoch: an image's random number is that of step 0."""
        if context.epoch is None:
            raise self.error(
                "alternating=True needs to know which images a batch has; give fit arrays, not an "
                "iterable of batches"
            )
        indices = np.arange(count) if context.indices is None else context.indices
        place = {**self.drawn_from(context), "step": 0}
        numbers = ops.uniform(int(indices.max()) + 1, **place)[indices]
        return (numbers < 0.5) ^ (context.epoch % 2 == 1)

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform, without blending pixels."""
        flips = np.asarray(parameters["flips"])
        height, width = sizes[:2]
        matrices = np.zeros((len(flips), 6))
        matrices[:, ::4] = 1.0
        if self.mode != "vertical":
            matrices[flips, 0], matrices[flips, 2] = -1.0, width - 1
        if self.mode != "horizontal":
            matrices[flips, 4], matrices[flips, 5] = -1.0, height - 1
        return [Affine(matrices, height, width, is_within=True, is_flip=True)]


class _RandomAffine(RandomImageLayer):
    """A transform whose outputs may lie beside the image, and between its pixels."""

    def __init__(
        self,
        *,
        fill_mode: str,
        interpolation: str,
        fill_value: float,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.fill_mode = self.check_choice(fill_mode, "fill_mode", FILL_MODES)
        self.interpolation = self.check_choice(interpolation, "interpolation", INTERPOLATIONS)
        self.fill_value = self.check_number(fill_value, "fill_value")

    def affine(self, rows: Sequence[Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform, by the six columns of its matrices."""
        matrices = np.empty((max(map(np.size, rows)), 6))
        for column, row in enumerate(rows):
            matrices[:, column] = row
        height, width = sizes[:2]
        options = (self.interpolation, self.fill_mode, self.fill_value)
        return [Affine(matrices, height, width, *options)]


class RandomTranslation(_RandomAffine):
    """Shift images by random parts of their sizes, in training.

    Args:
        height_factor: how far down, as a part of the height, at most 1: one number f for -f .. f,
            or two for the least and the most; below 0 is up.
        width_factor: likewise to the right, as a part of the width.
        fill_mode: what is around an image: "reflect", "wrap", "constant" or "nearest".
        interpolation: "bilinear" or "nearest".
        seed: of the random numbers; by default the seed of the model.
        fill_value: the constant.
        data_format: None or "channels_last", the only layout there is.

    Input and output: (N, H, W, C).
    """

    operation = "random_translation"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **options,
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._ranges()

    def _ranges(self) -> tuple[Range, Range]:
        return (
            self.check_range(self.height_factor, "height_factor", -1.0, 1.0),
            self.check_range(self.width_factor, "width_factor", -1.0, 1.0),
        )

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`translations`: pixels to the right and down, (n, 2)."""
        down, right = self.uniform(count, context, *self._ranges())
        return {"translations": np.array((right * sizes[1], down * sizes[0])).T}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform."""
        right, down = np.asarray(parameters["translations"], np.float64).T
        return self.affine((1.0, 0.0, -right, 0.0, 1.0, -down), sizes)


class RandomRotation(_RandomAffine):
    """Turn images about their centers by random angles, in training.

    Args:
        factor: the angle as a part of a whole turn, counterclockwise, at most 1: one number f for
            -f .. f, or two for the least and the most.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomTranslation`.

    Input and output: (N, H, W, C).
    """

    operation = "random_rotation"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        factor: float | Sequence[float],
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **options,
        )
        self.factor = self.check_range(factor, "factor", -1.0, 1.0)

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`angle`: in degrees, (n,)."""
        (turns,) = self.uniform(count, context, self.factor)
        return {"angle": turns * 360.0}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform."""
        angle = np.radians(np.asarray(parameters["angle"], np.float64))
        cosine, sine = np.cos(angle), np.sin(angle)
        y, x = ((size - 1) / 2 for size in sizes[:2])
        rows = (cosine, -sine, x - x * cosine + y * sine, sine, cosine, y - x * sine - y * cosine)
        return self.affine(rows, sizes)


class RandomZoom(_RandomAffine):
    """Zoom into images or out of them by random factors, in training.

    Args:
        height_factor: how much higher the part is that is seen, above -1 and at most 1: one number
            f for -f .. f, or two for the least and the most; below 0 zooms in.
        width_factor: likewise of the width; None for that of the height, which keeps proportions.
        fill_mode, interpolation, seed, fill_value, data_format: as of `RandomTranslation`.

    Input and output: (N, H, W, C).
    """

    operation = "random_zoom"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        height_factor: float | Sequence[float],
        width_factor: float | Sequence[float] | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: float = 0.0,
        data_format: str | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **options,
        )
        self.height_factor, self.width_factor = height_factor, width_factor
        self._ranges()

    def _ranges(self) -> list[Range]:
        given = [(self.height_factor, "height_factor"), (self.width_factor, "width_factor")]
        return [
            self.check_range(factor, what, -1.0, 1.0, excludes_low=True)
            for factor, what in given[: 1 if self.width_factor is None else 2]
        ]

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`height_zoom` and `width_zoom`: how much larger what is seen becomes, (n,) each."""
        ranges = [(1.0 + low, 1.0 + high) for low, high in self._ranges()]
        zooms = self.uniform(count, context, *ranges)
        return {"height_zoom": zooms[0], "width_zoom": zooms[-1]}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform."""
        down, across = (
            np.asarray(parameters[name], np.float64).reshape(-1)
            for name in ("height_zoom", "width_zoom")
        )
        y, x = ((size - 1) / 2 * (1.0 - zoom) for size, zoom in zip(sizes, (down, across)))  # noqa: B905
        return self.affine((across, 0.0, x, 0.0, down, y), sizes)


class RandomShear(_RandomAffine):
    """Shear images by random parts of their sizes, in training.

    Args:
        x_factor: how far a row is shifted against the one above it, 0 to 1: one number f for
            -f .. f, or two for the least and the most, with a random sign.
        y_factor: likewise a column against the one to the left.
        interpolation, fill_mode, fill_value, data_format, seed: as of `RandomTranslation`.

    Input and output: (N, H, W, C).
    """

    operation = "random_shear"
    transforms_images = True
    shaping = Layer.shaping | {"data_format"}

    def __init__(
        self,
        x_factor: float | Sequence[float] = 0.0,
        y_factor: float | Sequence[float] = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(
            fill_mode=fill_mode,
            interpolation=interpolation,
            fill_value=fill_value,
            seed=seed,
            data_format=data_format,
            **options,
        )
        self.x_factor = self._signed(x_factor, "x_factor")
        self.y_factor = self._signed(y_factor, "y_factor")

    def _signed(self, factor: Any, what: str) -> Range:
        """-f .. f of one number, 0 to 1; two may be below 0, as these are in a configuration."""
        if isinstance(factor, Sequence | np.ndarray):
            return self.check_range(factor, what, -1.0, 1.0)
        _, high = self.check_range(factor, what, 0.0, 1.0)
        return -high, high

    def draw(self, count: int, sizes: tuple[int, ...], context: StepContext) -> dict[str, Any]:
        """`shear_factor`: of x and of y, (n, 2)."""
        sign, x, y = self.uniform(count, context, (0.0, 1.0), self.x_factor, self.y_factor)
        factors = np.stack([x, y], axis=-1)
        return {"shear_factor": np.where(sign[:, np.newaxis] > 0.5, -factors, factors)}

    def steps_of(self, parameters: Mapping[str, Any], sizes: tuple[int, ...]) -> list[ImageStep]:
        """One transform, about the first pixel as in Keras."""
        x, y = np.asarray(parameters["shear_factor"], np.float64).T
        return self.affine((1.0, x, 0.0, y, 1.0, 0.0), sizes)
