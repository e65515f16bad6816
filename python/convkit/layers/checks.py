"""Checks of the layers' arguments; every error names the layer and what it received."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..core.config import argument_names, suggestion
from ..core.parameters import Shape

if TYPE_CHECKING:
    from .base import Layer

MOST_SIZES = 31  # of a sample: with the batch, what NumPy's arrays may have in all its versions
LARGEST = 2**31 - 1  # the largest filter count, window or stride: what a C int holds


def refuse_options(layer: Layer, unknown: Iterable[str]) -> None:
    """TypeError, with advice, if a constructor was given arguments that it does not know."""
    for option in unknown:
        from ..absent import renamed  # here: only for an error

        hint = renamed(option) or suggestion(option, argument_names(type(layer)))
        raise TypeError(
            f"{type(layer).__name__}() got an unexpected keyword argument {option!r}{hint}"
        )


def positive(value: int, what: str, layer: Layer) -> int:
    """Return `value` as an int in 1 .. LARGEST; ValueError names the layer and the argument."""
    try:
        number = operator.index(value)
    except TypeError:
        raise layer.error(f"{what} must be a positive integer, received {value!r}") from None
    if isinstance(value, bool) or not 1 <= number <= LARGEST:
        raise layer.error(f"{what} must be a positive integer, received {value!r}")
    return number


def not_negative(value: int, what: str, layer: Layer) -> int:
    """Return `value` as an int in 0 .. LARGEST; ValueError names the layer and the argument."""
    if isinstance(value, int) and not isinstance(value, bool) and value == 0:
        return 0
    try:
        return positive(value, what, layer)
    except ValueError:
        raise layer.error(f"{what} must be an integer of at least 0, received {value!r}") from None


def positive_pair(value: int | Sequence[int], what: str, layer: Layer) -> tuple[int, int]:
    """Return an integer or a pair of integers as a pair; ValueError unless both are positive."""
    value = _listed(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise layer.error(f"{what} must be an integer or a pair of them, received {value!r}")
        return positive(value[0], what, layer), positive(value[1], what, layer)
    if isinstance(value, str):
        raise layer.error(f"{what} must be an integer or a pair of them, received {value!r}")
    return positive(value, what, layer), positive(value, what, layer)


Sides = tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))


def check_sides(value: Any, what: str, layer: Layer) -> Sides:
    """Return ((top, bottom), (left, right)), rows and columns at the sides of images.

    One integer is for all sides, (rows, columns) for both sides of each.
    """
    rows, columns = _pair(value, what, layer)
    return (
        _pair_of_integers(rows, f"{what}[0]", layer),
        _pair_of_integers(columns, f"{what}[1]", layer),
    )


def _pair(value: Any, what: str, layer: Layer) -> tuple[Any, Any]:
    """A sequence of two as it is, anything else twice."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != 2:
            raise layer.error(
                f"{what} must be an integer, a pair of them, or ((top, bottom), (left, right)), "
                f"received {value!r}"
            )
        return value[0], value[1]
    return value, value


def _pair_of_integers(value: Any, what: str, layer: Layer) -> tuple[int, int]:
    before, after = _pair(value, what, layer)
    return not_negative(before, what, layer), not_negative(after, what, layer)


def _listed(value: Any) -> Any:
    """An array of NumPy as a list of its numbers, as Keras takes it; anything else as it is."""
    return value.tolist() if hasattr(value, "tolist") else value


def check_padding(value: str, layer: Layer) -> str:
    """Return "same" or "valid" in lower case; ValueError for anything else."""
    if not isinstance(value, str) or value.lower() not in ("same", "valid"):
        number = not isinstance(value, str)
        raise layer.error(
            f"padding must be 'same' or 'valid', received {value!r}"
            f"{'; for so many zeros at each side, put ZeroPadding2D before it' if number else ''}"
        )
    return value.lower()


def output_plane(
    plane: Sequence[int], window: Sequence[int], strides: Sequence[int], padding: str
) -> tuple[int, int]:
    """Return (OH, OW) of a window that walks over (H, W); below 1 where it does not fit."""
    height, width = (
        -(-size // stride) if padding == "same" else (size - extent) // stride + 1
        for size, extent, stride in zip(plane, window, strides, strict=True)
    )
    return height, width


def check_data_format(value: str | None, layer: Layer) -> str:
    """Return "channels_last", NHWC, the only layout there is; ValueError for anything else."""
    if value is not None and not (isinstance(value, str) and value == "channels_last"):
        raise layer.error(
            f"data_format must be 'channels_last' (N, H, W, C), received {value!r}; "
            f"move the channels with numpy.moveaxis(x, 1, -1)"
        )
    return "channels_last"


def check_sample_shape(shape: Sequence[int], layer: Layer) -> tuple[int, ...]:
    """Return the shape of one sample as a tuple of positive ints."""
    shape = _listed(shape)
    if isinstance(shape, str | bytes) or not isinstance(shape, Sequence):
        raise layer.error(
            f"the input shape must be a tuple such as (28, 28, 1), received {shape!r}"
        )
    if not shape:
        raise layer.error("the input shape must have at least one size, received ()")
    if len(shape) > MOST_SIZES:
        raise layer.error(
            f"the input shape may have at most {MOST_SIZES} sizes, received {len(shape)}"
        )
    if None in shape:
        raise layer.error(
            f"every size of the input shape {tuple(shape)} must be a positive integer, received "
            f"None; give the sizes of one sample, without the batch"
        )
    return tuple(
        positive(size, f"every size of the input shape {tuple(shape)}", layer) for size in shape
    )


class ShapeChecks:
    """What layers ask of the shapes of their inputs."""

    def error(self, message: str) -> ValueError:
        """A ValueError that names the layer."""
        raise NotImplementedError

    def expect_rank(self, input_shape: Shape, rank: int, meaning: str) -> None:
        """Raise ValueError unless the input has that rank and no sizes that are open or zero."""
        input_shape = self._whole_shape(input_shape)
        if len(input_shape) != rank:
            hint = {
                (3, 4): "; with the batch, images of one channel have the shape (None, H, W, 1)",
                (2, 4): "; put it before Flatten(), or Reshape((H, W, C)) before it",
            }.get((len(input_shape), rank), "")
            raise self.error(
                f"expected inputs of rank {rank}, {meaning}, received shape "
                f"{tuple(input_shape)}{hint}"
            )
        self._sample_sizes(input_shape)

    def _whole_shape(self, input_shape: Shape) -> Shape:
        """A shape with the batch in front as a tuple; ValueError for what is none."""
        try:
            if isinstance(input_shape, str | bytes):
                raise TypeError
            return tuple(None if size is None else operator.index(size) for size in input_shape)
        except TypeError:
            raise self.error(
                f"the input shape must have the batch in front, such as (None, 28, 28, 1), "
                f"received {input_shape!r}"
            ) from None

    def _sample_sizes(self, input_shape: Shape) -> tuple[int, ...]:
        """The shape without the batch; ValueError if there is no batch, or a size is open or 0."""
        input_shape = self._whole_shape(input_shape)
        sizes = tuple(size for size in input_shape[1:] if size is not None and size >= 1)
        if len(sizes) != len(input_shape) - 1:
            raise self.error(
                f"every size of the input but the batch must be a positive integer, "
                f"received shape {tuple(input_shape)}"
            )
        return sizes

    def _image_sizes(self, input_shape: Shape) -> tuple[int, int, int]:
        """(H, W, C); ValueError unless the input is images."""
        self.expect_rank(input_shape, 4, "(N, H, W, C)")
        height, width, channels = self._sample_sizes(input_shape)
        return height, width, channels

    def _channels(self, input_shape: Shape) -> int:
        """C; ValueError unless the input is (N, ..., C)."""
        input_shape = self._whole_shape(input_shape)
        channels = input_shape[-1] if len(input_shape) > 1 else None
        if channels is None or channels < 1:
            raise self.error(f"expected inputs (N, ..., C), received shape {tuple(input_shape)}")
        return channels
