"""Targets as the losses take them, and the arguments that several losses share, checked."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.config import as_number
from ..core.parameters import Array
from ..ops._gate import as_array

# What becomes of the losses of a batch's rows; None leaves them as they are.
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None)


def check_labels(
    labels: ArrayLike,
    classes: int,
    positions: tuple[int, ...] = (),
    ignored: int | None = None,
) -> Array:
    """Return integer labels as int64 (N, *positions); where there are positions, uint8 stays uint8.

    Floats are taken if they are whole numbers.

    Args:
        labels: (N, *positions), or with one more axis of one.
        classes: how many there are.
        positions: the sizes between a sample's first axis and its classes, as those of an image.
        ignored: a label that is allowed besides.

    Raises:
        ValueError: another shape, or a label that is not in 0 .. classes-1; it names the first one.
    """
    array = as_numbers(labels)
    if array.ndim == len(positions) + 2 and array.shape[-1] == 1:
        array = array[..., 0]
    if array.shape[1:] != positions or array.ndim == 0:
        raise _wrong_shape(array, classes, positions)
    if array.dtype.kind == "f":
        fractions = array != np.floor(array)
        if fractions.any():
            raise ValueError(
                f"labels must be whole numbers, received {array[fractions][0]} at position "
                f"{int(fractions.argmax())}"
            )
    wrong = (array < 0) | (array >= classes)
    if ignored is not None:
        wrong &= array != ignored
    if wrong.any():
        other = "number the classes from 0"
        if classes == 1:
            other = "take loss='binary_crossentropy' for two classes in one unit"
        raise ValueError(
            f"labels must lie in 0 .. {classes - 1}, because the model's output has {classes} "
            f"classes; received {array[wrong][0]} at position {int(wrong.argmax())}. Give the "
            f"last layer more units, or {other}"
        )
    keeps = bool(positions) and array.dtype == np.uint8
    return np.ascontiguousarray(array, np.uint8 if keeps else np.int64)


def _wrong_shape(array: Array, classes: int, positions: tuple[int, ...]) -> ValueError:
    sizes = ", ".join(map(str, positions))
    wanted = f"(N, {sizes}) or (N, {sizes}, 1)" if positions else "(N,) or (N, 1)"
    if positions and array.ndim == 1:
        hint = (
            f"the model's output is {(None, *positions, classes)}, which has classes at each "
            f"position; end it with Flatten() and Dense(classes) to have them for each sample"
        )
    elif array.shape[1:] == (*positions, classes):
        hint = (
            "use loss='categorical_crossentropy' for one-hot labels, or integer labels "
            f"y.argmax(axis={-1 if positions else 1})"
        )
    else:
        hint = f"give one integer {'for each position' if positions else 'a sample'}"
        if array.ndim == 2 and not positions:
            hint = (
                "use loss='categorical_crossentropy' for one-hot labels, or integer labels "
                "y.argmax(axis=1)"
            )
    return ValueError(f"labels must be integers of shape {wanted}, received {array.shape}; {hint}")


def as_numbers(values: ArrayLike) -> Array:
    """Targets as an array; TypeError unless they are real numbers."""
    array = as_array("targets", values)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"targets must be numbers, received dtype {array.dtype}; number the classes, for "
            f"example with numpy.unique(y, return_inverse=True)[1]"
        )
    return array


def like_output(targets: ArrayLike, output_shape: tuple[int, ...]) -> Array:
    """Targets as an array, with a last axis of one where only that is missing of the output's."""
    values = as_numbers(targets)
    if values.ndim and output_shape == (*values.shape[1:], 1):
        return values[..., None]
    return values


def values_like_output(targets: ArrayLike, output_shape: tuple[int, ...], name: str) -> Array:
    """Targets, one for each value of the output, as float32 in its shape; ValueError for others."""
    values = like_output(targets, output_shape)
    if values.shape[1:] != output_shape or values.ndim == 0:
        hint = ""
        if values.ndim == len(output_shape) == 1:
            hint = (
                "; give the last layer one unit, or for integer labels take "
                "loss='sparse_categorical_crossentropy'"
            )
        raise ValueError(
            f"{name} expects targets of shape {shape_of_samples(output_shape)}, that of the "
            f"model's output, received {values.shape}{hint}"
        )
    return np.ascontiguousarray(values, np.float32)


def shape_of_samples(output_shape: tuple[int, ...]) -> str:
    """The shape of so many samples as errors write it."""
    return f"({', '.join(['N', *map(str, output_shape)])})"


def checked_smoothing(value: Any, name: str) -> float:
    """A label smoothing as a float; ValueError unless it lies in 0 .. 1."""
    number = as_number(value)
    if number is None or not 0.0 <= number <= 1.0:
        raise ValueError(f"{name}: label_smoothing must lie in 0 .. 1, received {value!r}")
    return number


def checked_reduction(value: Any, name: str) -> str | None:
    """A reduction; ValueError names those that there are."""
    if not isinstance(value, str | None) or value not in REDUCTIONS:
        raise ValueError(f"{name}: reduction must be one of {[*REDUCTIONS]}, received {value!r}")
    return None if value is None else str(value)


def checked_axis(value: Any, name: str) -> int:
    """The axis along which classes or values lie; ValueError unless it is the last one."""
    if not isinstance(value, int) or value != -1:
        raise ValueError(
            f"{name}: axis must be -1, for outputs have their classes last, received {value!r}"
        )
    return -1
