"""ONNX's convolutions and pools by convkit's, which are two-dimensional and channels-last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import ops
from ..core.parameters import Array
from ..ops._window import resolve

_Result = tuple[Array, ...]
_Inputs = Sequence[Array | None]


def to_last(x: Array) -> Array:
    """(N, C, ...) as (N, ..., C)."""
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def to_first(x: Array) -> Array:
    """(N, ..., C) as (N, C, ...)."""
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


@dataclass(frozen=True)
class _Windows:
    """Sliding windows over a plane: (rows, columns) of everything.

    Attributes:
        pads: ((top, bottom), (left, right)), as the ops take them.
        extra: rows below and columns to the right that ceil_mode's last windows hang over.
    """

    size: tuple[int, int]
    strides: tuple[int, int]
    dilation: tuple[int, int]
    pads: tuple[tuple[int, int], tuple[int, int]]
    extra: tuple[int, int]

    @property
    def covering(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """The pads with the extra."""
        (top, bottom), (left, right) = self.pads
        return (top, bottom + self.extra[0]), (left, right + self.extra[1])


def _windows(
    given: dict[str, Any], plane: tuple[int, int], size: Sequence[int], ranks: int
) -> _Windows:
    """What a node's attributes say of its windows; a 1-D node's windows have one row."""
    if ranks not in (1, 2):
        raise ValueError(f"convkit's windows have two dimensions, received {ranks}")

    def two(name: str, default: Sequence[int], filler: int) -> tuple[int, int]:
        values = tuple(given.get(name, default))
        return (filler, values[0]) if ranks == 1 else (values[0], values[1])

    strides, dilation = two("strides", (1, 1), 1), two("dilations", (1, 1), 1)
    window = (1, size[0]) if ranks == 1 else (size[0], size[1])
    raw = tuple(given.get("pads", (0,) * 2 * ranks))
    pads = ((0, 0), (raw[0], raw[1])) if ranks == 1 else ((raw[0], raw[2]), (raw[1], raw[3]))
    automatic = given.get("auto_pad", b"NOTSET")
    if automatic == b"VALID":
        pads = ((0, 0), (0, 0))
    elif automatic != b"NOTSET":
        top, bottom, left, right = resolve(plane, window, strides, "same", dilation).pads
        lower = automatic == b"SAME_LOWER"  # the larger half comes first
        pads = ((bottom, top), (right, left)) if lower else ((top, bottom), (left, right))
    windows = _Windows(window, strides, dilation, pads, (0, 0))
    if not given.get("ceil_mode", 0):
        return windows
    return replace(windows, extra=(_overhang(windows, plane, 0), _overhang(windows, plane, 1)))


def _overhang(windows: _Windows, plane: tuple[int, int], axis: int) -> int:
    """How far the last window of ceil_mode reaches beyond the padded image."""
    extent = (windows.size[axis] - 1) * windows.dilation[axis] + 1
    stride, covered = windows.strides[axis], plane[axis] + sum(windows.pads[axis])
    steps = -(-(covered - extent) // stride)
    # A window that would begin in the padding behind the image is left out.
    if steps * stride >= plane[axis] + windows.pads[axis][0]:
        steps -= 1
    return max(steps * stride + extent - covered, 0)


def _images(x: Array) -> Array:
    """(N, C, W) or (N, C, H, W) as (N, H, W, C)."""
    return to_last(x[:, :, None] if x.ndim == 3 else x)


def _plane(images: Array) -> tuple[int, int]:
    return images.shape[1], images.shape[2]


def _like(y: Array, x: Array) -> Array:
    """(N, H, W, C) in the layout of x."""
    images = to_first(y)
    return images[:, :, 0] if x.ndim == 3 else images


def _input(inputs: _Inputs) -> Array:
    x = inputs[0]
    assert x is not None
    return x


def conv(given: dict[str, Any], inputs: _Inputs, opset: int) -> _Result:
    """Conv, 1-D and 2-D."""
    x, kernel, bias, *_ = (*inputs, None)
    assert x is not None
    assert kernel is not None
    images = _images(x)
    windows = _windows(given, _plane(images), kernel.shape[2:], x.ndim - 2)
    y = ops.conv2d_forward(
        images,
        np.ascontiguousarray((kernel[:, :, None] if x.ndim == 3 else kernel).transpose(2, 3, 1, 0)),
        bias,
        strides=windows.strides,
        padding=windows.pads,
        dilation=windows.dilation,
        groups=given.get("group", 1),
    )
    return (_like(y, x),)


def max_pool(given: dict[str, Any], inputs: _Inputs, opset: int) -> _Result:
    """MaxPool, 1-D and 2-D, and where in x the maxima are."""
    x = _input(inputs)
    images = _images(x)
    windows = _windows(given, _plane(images), given["kernel_shape"], x.ndim - 2)
    if windows.dilation != (1, 1):
        return (_like(_dilated_max_pool(images, windows), x),)
    y, places = ops.max_pool2d_forward(
        images, windows.size, strides=windows.strides, padding=windows.covering
    )
    return _like(y, x), _positions(places, images.shape, windows, x, given.get("storage_order", 0))


def _positions(
    places: Array, shape: Sequence[int], windows: _Windows, x: Array, column_major: int
) -> Array:
    """ONNX's index of each maximum in the flat (N, C, H, W), from its place in its window."""
    n, height, width, channels = shape
    rows, columns = np.divmod(places.astype(np.int64), windows.size[1])
    down, right = (np.arange(count) for count in places.shape[1:3])
    rows += (down * windows.strides[0] - windows.pads[0][0])[:, None, None]
    columns += (right * windows.strides[1] - windows.pads[1][0])[None, :, None]
    inside = rows + columns * height if column_major else rows * width + columns
    image = np.arange(n)[:, None, None, None] * channels + np.arange(channels)
    return _like(image * height * width + inside, x)


def _dilated_max_pool(images: Array, windows: _Windows) -> Array:
    """A pool with dilation d: on every d-th row and column, a pool without.

    It is computed with stride 1, and the windows that the strides leave out are dropped. Every
    d-th window lies on the same rows: those from its residue on.
    """
    (top, bottom), (left, right) = windows.covering
    edges = ((0, 0), (top, bottom), (left, right), (0, 0))
    padded = np.pad(images, edges, constant_values=-np.inf)
    down, across = windows.dilation
    n, height, width, channels = padded.shape
    result = (
        height - (windows.size[0] - 1) * down,
        width - (windows.size[1] - 1) * across,
    )
    y = np.empty((n, *result, channels), np.float32)
    for row in range(min(down, result[0])):
        for column in range(min(across, result[1])):
            part = np.ascontiguousarray(padded[:, row::down, column::across])
            y[:, row::down, column::across] = ops.max_pool2d_forward(part, windows.size, strides=1)[
                0
            ]
    return np.ascontiguousarray(y[:, :: windows.strides[0], :: windows.strides[1]])


def average_pool(given: dict[str, Any], inputs: _Inputs, opset: int) -> _Result:
    """AveragePool, 1-D and 2-D."""
    x = _input(inputs)
    images = _images(x)
    windows = _windows(given, _plane(images), given["kernel_shape"], x.ndim - 2)
    pads = windows.covering
    if given.get("count_include_pad", 0):
        # Zeros of the image's own count; what a last window hangs over does not.
        images = np.pad(images, ((0, 0), *windows.pads, (0, 0)))
        pads = ((0, windows.extra[0]), (0, windows.extra[1]))
    if windows.dilation != (1, 1):
        return (_like(_dilated_average_pool(images, windows, pads), x),)
    y = ops.average_pool2d_forward(images, windows.size, strides=windows.strides, padding=pads)
    return (_like(y, x),)


def _dilated_average_pool(
    images: Array, windows: _Windows, pads: tuple[tuple[int, int], tuple[int, int]]
) -> Array:
    """A convolution of every channel with ones, divided by how many of them met the image."""
    channels = images.shape[-1]
    ones = np.ones((*windows.size, 1, channels), np.float32)

    def sums(x: Array) -> Array:
        return ops.conv2d_forward(
            x,
            ones,
            strides=windows.strides,
            padding=pads,
            dilation=windows.dilation,
            groups=channels,
        )

    mean: Array = sums(images) / sums(np.ones_like(images))
    return mean


def global_average_pool(given: dict[str, Any], inputs: _Inputs, opset: int) -> _Result:
    """GlobalAveragePool, 1-D and 2-D, to (N, C, 1) and (N, C, 1, 1)."""
    x = _input(inputs)
    return (ops.global_average_pool2d_forward(_images(x)).reshape(_pooled(x)),)


def global_max_pool(given: dict[str, Any], inputs: _Inputs, opset: int) -> _Result:
    """GlobalMaxPool, likewise."""
    x = _input(inputs)
    return (ops.global_max_pool2d_forward(_images(x))[0].reshape(_pooled(x)),)


def _pooled(x: Array) -> tuple[int, ...]:
    return (*x.shape[:2], *(1,) * (x.ndim - 2))
