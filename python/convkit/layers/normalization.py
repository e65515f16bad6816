"""Normalization: data at mean 0 and variance 1, by statistics given or taken beforehand."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..core.config import flag
from ..core.parameters import Array, Parameter, Shape
from ..initializers import Ones, Zeros
from ..ops._image_steps import ImageStep, Scale
from .base import Layer, LayerOptions
from .moments import Moments, first_of_batches
from .step_context import StepContext

if TYPE_CHECKING:
    from typing_extensions import Unpack

_LEAST_DEVIATION = 1e-7  # Keras's epsilon, below which nothing is divided by


class Normalization(Layer):
    """(x - mean) / max(sqrt(variance), 1e-7), in training and otherwise.

    The statistics are given, or taken of data by `adapt`, and are not trained. Until then they are
    0 and 1.

    Args:
        axis: the axis, or axes, whose every position has statistics of its own: -1 for one of each
            channel, (1, 2, 3) for one of each pixel and channel, None for one of all. Never the
            batch.
        mean, variance: both or none: a number, or an array that fits the axes.
        invert: compute x * max(sqrt(variance), 1e-7) + mean instead, the way back.

    Input and output: (N, ..., C).
    Weights: where none are given, mean and variance, with the sizes of the axes; not trainable.

    Example:
        >>> convkit.layers.Normalization(mean=0.1307, variance=0.0949, axis=None)
    """

    operation = "normalization"
    in_place = True
    transforms_images = True
    shaping = Layer.shaping | {"axis"}

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: float | Sequence[Any] | Array | None = None,
        variance: float | Sequence[Any] | Array | None = None,
        invert: bool = False,
        **options: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**options)
        self.axis = self._checked_axis(axis)
        self.mean, self.variance = self._numbers(mean, "mean"), self._numbers(variance, "variance")
        self.invert = flag(invert, "invert", self)
        if (self.mean is None) != (self.variance is None):
            raise self.error(
                f"mean and variance must both be given, or neither, received mean={mean!r} and "
                f"variance={variance!r}"
            )
        shapes = np.shape(self.mean or 0.0), np.shape(self.variance or 0.0)
        if shapes[0] != shapes[1] or len(shapes[0]) > len(self._axes):
            raise self.error(
                f"mean and variance must have the same shape, of at most {len(self._axes)} "
                f"dimensions for axis={axis!r}, received {shapes[0]} and {shapes[1]}"
            )
        if np.any(np.asarray(self.variance or 0.0) < 0):
            raise self.error(f"variance must be at least 0, received {variance!r}")
        self.adapt_mean: Parameter | None = None
        self.adapt_variance: Parameter | None = None

    def _checked_axis(self, axis: Any) -> int | tuple[int, ...] | None:
        if axis is None or (isinstance(axis, tuple | list) and not axis):  # as Keras writes None
            return None
        several = isinstance(axis, Sequence) and not isinstance(axis, str)
        try:
            if isinstance(axis, bool):
                raise TypeError
            axes = tuple(operator.index(each) for each in (axis if several else (axis,)))
        except TypeError:
            raise self.error(
                f"axis must be an integer, several, or None, received {axis!r}"
            ) from None
        return axes if len(axes) > 1 else axes[0]

    def _numbers(self, value: Any, what: str) -> float | list[Any] | None:
        """Finite numbers as Python's, lists for arrays; None as it is."""
        if value is None:
            return None
        try:
            array = np.asarray(value)
            if array.dtype.kind not in "iuf" or not array.size or not np.isfinite(array).all():
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            raise self.error(f"{what} must be finite numbers, received {value!r}") from None
        numbers: float | list[Any] = array.astype(np.float64).tolist()
        return numbers

    @property
    def _axes(self) -> tuple[int, ...]:
        if self.axis is None:
            return ()
        return self.axis if isinstance(self.axis, tuple) else (self.axis,)

    def _kept_axes(self, input_shape: Shape) -> tuple[int, ...]:
        """The axes counted from the front, in order; ValueError if there are none such."""
        rank = len(self._whole_shape(input_shape))
        axes = sorted(axis + rank if axis < 0 else axis for axis in self._axes)
        if len(set(axes)) != len(axes) or any(not 1 <= axis < rank for axis in axes):
            raise self.error(
                f"axis must name axes behind the batch, each once, received {self.axis!r} for "
                f"inputs of shape {tuple(input_shape)}"
            )
        return tuple(axes)

    def _sizes(self, input_shape: Shape) -> tuple[int, ...]:
        """The sizes of the axes."""
        sizes = self._sample_sizes(input_shape)
        return tuple(sizes[axis - 1] for axis in self._kept_axes(input_shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's own shape."""
        self._channels(input_shape)
        sizes = self._sizes(input_shape)
        shape = np.shape(self.mean or 0.0)
        for given, size in zip(reversed(shape), reversed(sizes), strict=False):
            if given not in (1, size):
                raise self.error(
                    f"mean and variance of shape {shape} do not fit the sizes {sizes} of the axes "
                    f"{self.axis!r} of inputs {tuple(input_shape)}"
                )
        return tuple(input_shape)

    def create_parameters(self, input_shape: Shape) -> None:
        """The statistics, where none were given. No other memory: a file may claim any size."""
        if self.mean is not None:
            return
        sizes = self._sizes(input_shape)
        self.adapt_mean = self.add_parameter("mean", sizes, Zeros(), trainable=False)
        self.adapt_variance = self.add_parameter("variance", sizes, Ones(), trainable=False)

    def adapt(self, data: Any) -> None:
        """Take the mean and variance of data, in place of what they were.

        They are computed in float64, as sums in pairs, and kept as float32; of integers without a
        copy of all of them. A layer that is not built yet is built for data of that shape.

        Args:
            data: an array (N, ..., C), or an iterable of such batches, or of pairs of a batch and
                its labels, gone through once.

        Raises:
            ValueError: the constructor was given the statistics; or data of another shape than the
                layer was built for, or none.
            TypeError: data that is no numbers.
        """
        if self.mean is not None:
            raise self.error("its mean and variance were given to the constructor: do not adapt it")
        first, batches = first_of_batches(data, self.error)
        self.build((None, *first.shape[1:]))
        assert self.input_shape is not None
        assert self.adapt_mean is not None
        assert self.adapt_variance is not None
        moments = Moments(self._kept_axes(self.input_shape))
        wanted = self._sizes(self.input_shape)
        for batch in batches:
            fits = batch.ndim == len(self.input_shape) and batch.size > 0
            if not fits or self._sizes((None, *batch.shape[1:])) != wanted:
                raise self.error(
                    f"it was built for inputs of shape {self.input_shape}, received data of shape "
                    f"{batch.shape}"
                )
            moments.add(batch)
        mean, variance = moments.mean_and_variance()
        self.adapt_mean.value = mean
        self.adapt_variance.value = variance

    def statistics(self, sizes: tuple[int, ...]) -> tuple[Array, Array]:
        """Means and deviations, float64, of all positions from the first axis of a sample on.

        They have the shape of these axes, or are one for each channel where there is no axis.
        """
        kept = self._kept_axes((None, *sizes))
        trailing = sizes[kept[0] - 1 :] if kept else sizes[-1:]
        first = kept[0] if kept else len(sizes)
        found = []
        for given, own in (
            (self.mean, self.adapt_mean),
            (self.variance, self.adapt_variance),
        ):
            numbers = np.asarray(given if own is None else own.array, np.float64)
            numbers = numbers.reshape((1,) * (len(kept) - numbers.ndim) + numbers.shape)
            shape = [1] * len(trailing)
            counts: tuple[int, ...] = numbers.shape
            for axis, count in zip(kept, counts, strict=True):
                shape[axis - first] = count
            found.append(np.broadcast_to(numbers.reshape(shape), trailing))
        return found[0], np.maximum(np.sqrt(found[1]), _LEAST_DEVIATION)

    def image_steps(
        self, count: int, sizes: tuple[int, ...], context: StepContext
    ) -> list[ImageStep]:
        """The same of images, as they are gathered."""
        mean, deviation = self.statistics(sizes)
        if mean.ndim > 1:
            mean, deviation = (np.broadcast_to(each, sizes) for each in (mean, deviation))
        mean, deviation = (each.reshape(-1) for each in (mean, deviation))
        numbers = (
            (0.0 * mean, deviation, mean) if self.invert else (mean, 1 / deviation, -0.0 * mean)
        )
        return [Scale(*(each.astype(np.float32) for each in numbers))]

    def forward(self, x: Array, y: Array, saved: tuple[Array, ...], context: StepContext) -> None:
        """y = the normalised x, or the way back."""
        mean, deviation = (each.reshape(-1) for each in self.statistics(x.shape[1:]))
        rows = (-1, mean.size)
        if self.invert:
            ops.rescaling_forward(x.reshape(rows), deviation, mean, out=y.reshape(rows))
        else:
            ops.normalization_forward(x.reshape(rows), mean, 1 / deviation, out=y.reshape(rows))

    def backward(
        self,
        x: Array,
        y: Array,
        dy: Array,
        dx: Array | None,
        saved: tuple[Array, ...],
        context: StepContext,
    ) -> None:
        """dx = dy times what x was multiplied by."""
        if dx is None:
            return
        deviation = self.statistics(dy.shape[1:])[1].reshape(-1)
        scale, rows = deviation if self.invert else 1 / deviation, (-1, deviation.size)
        ops.normalization_backward(dy.reshape(rows), scale, out=dx.reshape(rows))
