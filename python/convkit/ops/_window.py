"""Strides, padding and output sizes of sliding windows, shared by convolutions and pools."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

IntPair: TypeAlias = int | Sequence[int]
Padding: TypeAlias = str | Sequence[Sequence[int]]
Pads: TypeAlias = tuple[int, int, int, int]

_MAX = 2**31 - 1


class Window(NamedTuple):
    """A resolved window: output size, strides, (top, bottom, left, right) padding and dilation."""

    size: tuple[int, int]
    strides: tuple[int, int]
    pads: Pads
    dilation: tuple[int, int]


def pair(name: str, value: IntPair) -> tuple[int, int]:
    """An int or a pair of ints as a pair, each between 1 and 2**31 - 1."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        numbers = tuple(_integer(name, v) for v in value)
    else:
        number = _integer(name, value)
        numbers = (number, number)
    if len(numbers) != 2:
        raise ValueError(f"{name} must be an int or a pair of ints, but is {value!r}")
    if not all(1 <= v <= _MAX for v in numbers):
        raise ValueError(f"{name} must be between 1 and {_MAX}, but is {value!r}")
    return numbers[0], numbers[1]


def _integer(name: str, value: object) -> int:
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int or a pair of ints, but is {value!r}") from None


def _freeze(padding: Padding) -> str | tuple[tuple[int, int], tuple[int, int]]:
    if isinstance(padding, str):
        return padding
    try:
        (top, bottom), (left, right) = padding
    except (TypeError, ValueError):
        raise ValueError(
            f"padding must be 'same', 'valid' or ((top, bottom), (left, right)), but is {padding!r}"
        ) from None
    return (
        (_integer("padding", top), _integer("padding", bottom)),
        (_integer("padding", left), _integer("padding", right)),
    )


def resolve(
    size: tuple[int, int],
    kernel: tuple[int, int],
    strides: IntPair,
    padding: Padding,
    dilation: IntPair = (1, 1),
) -> Window:
    """The window that slides over an image of ``size`` (H, W).

    ``padding`` is "valid", "same" (TensorFlow's rule: OH = ceil(H / stride), and an odd padding has
    its larger half below and to the right) or ((top, bottom), (left, right)).

    Raises:
        ValueError: the window does not fit the padded input, or a value is out of range.
    """
    strides, dilation = pair("strides", strides), pair("dilation", dilation)
    padding = _freeze(padding)
    pads: list[int] = []
    result: list[int] = []
    for axis in (0, 1):
        window = (kernel[axis] - 1) * dilation[axis] + 1
        before, after = _axis_padding(size[axis], window, strides[axis], padding, axis)
        padded = size[axis] + before + after
        if window > padded:
            raise ValueError(
                f"the window of {window} {('rows', 'columns')[axis]} does not fit the padded input "
                f"of {padded}; use a smaller kernel or dilation, or padding='same'"
            )
        pads += [before, after]
        result.append((padded - window) // strides[axis] + 1)
    return Window((result[0], result[1]), strides, (pads[0], pads[1], pads[2], pads[3]), dilation)


def _axis_padding(
    size: int,
    window: int,
    stride: int,
    padding: str | tuple[tuple[int, int], tuple[int, int]],
    axis: int,
) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        return total // 2, total - total // 2
    if isinstance(padding, str):
        raise ValueError(f"padding must be 'same' or 'valid', but is {padding!r}")
    before, after = padding[axis]
    if not (0 <= before <= _MAX and 0 <= after <= _MAX):
        raise ValueError(f"padding must be between 0 and {_MAX}, but is {padding!r}")
    return before, after


def image_shape(name: str, shape: Sequence[int]) -> tuple[int, int, int, int]:
    """Four positive sizes (N, H, W, C)."""
    return four_sizes(name, shape, "(N, H, W, C)")


def four_sizes(name: str, shape: Sequence[int], meaning: str) -> tuple[int, int, int, int]:
    """Four positive sizes as a tuple; ValueError or TypeError for anything else."""
    if isinstance(shape, str | bytes) or not isinstance(shape, Iterable):
        raise TypeError(f"{name} must be four positive sizes {meaning}, but is {shape!r}")
    sizes = tuple(_integer(name, v) for v in shape)
    if len(sizes) != 4 or min(sizes) < 1:
        raise ValueError(f"{name} must be four positive sizes {meaning}, but is {sizes}")
    return sizes[0], sizes[1], sizes[2], sizes[3]
