"""Transforms of single images, with the parameters of Keras's `ImageDataGenerator`.

Images are (height, width, channels), or with the channels first where the axes say so.
"""

# ruff: noqa: NPY002 - scripts seed `numpy.random`, and are to get the numbers that they got before

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..core.parameters import Array

__all__ = [
    "apply_affine_transform",
    "apply_brightness_shift",
    "apply_channel_shift",
    "flip_axis",
    "random_brightness",
    "random_channel_shift",
    "random_rotation",
    "random_shear",
    "random_shift",
    "random_zoom",
]

_MODES = ("constant", "nearest", "reflect", "wrap")


def affine_matrix(
    height: int,
    width: int,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
) -> Array | None:
    """The matrix (2, 3) from places of the result to places of the image, (row, column, 1).

    It turns by `theta` degrees, shifts by `tx` rows and `ty` columns, shears by `shear` degrees and
    zooms by `zx` along the rows and `zy` along the columns, about the middle; None changes nothing.
    """
    if theta == tx == ty == shear == 0 and zx == zy == 1:
        return None
    matrix = np.eye(3)
    if theta != 0:
        turn = np.deg2rad(theta)
        cos, sin = np.cos(turn), np.sin(turn)
        matrix = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    if tx != 0 or ty != 0:
        matrix = matrix @ np.array([[1, 0, tx], [0, 1, ty], [0, 0, 1.0]])
    if shear != 0:
        slant = np.deg2rad(shear)
        matrix = matrix @ np.array([[1, -np.sin(slant), 0], [0, np.cos(slant), 0], [0, 0, 1]])
    matrix = matrix @ np.diag([zx, zy, 1.0])
    row, column = height / 2 - 0.5, width / 2 - 0.5
    there = np.array([[1, 0, row], [0, 1, column], [0, 0, 1]])
    back = np.array([[1, 0, -row], [0, 1, -column], [0, 0, 1]])
    whole = there @ matrix @ back
    # Keras builds the matrix for (x, y) and exchanges the axes afterwards.
    exchanged: Array = whole[[1, 0, 2]][:, [1, 0, 2]][:2]
    return exchanged


def affine_batch(
    images: Array, drawn: Sequence[Mapping[str, Any]], mode: str, order: int = 1
) -> Array:
    """Images, each turned, shifted, sheared, zoomed and turned over by its own parameters.

    Args:
        images: float32 (n, height, width, channels).
        drawn: the parameters, by their names.
        mode: "nearest" or "reflect".
        order: 0 or 1.
    """
    height, width = images.shape[1:3]
    names = ("theta", "tx", "ty", "shear")
    rows = []
    for each in drawn:
        theta, tx, ty, shear = (each.get(name, 0) for name in names)
        zoom = each.get("zx", 1), each.get("zy", 1)
        matrix = affine_matrix(height, width, theta, tx, ty, shear, *zoom)
        whole = np.eye(3)
        whole[:2] = whole[:2] if matrix is None else matrix
        if each.get("flip_horizontal"):
            whole = whole @ np.array([[1, 0, 0], [0, -1, width - 1], [0, 0, 1.0]])
        if each.get("flip_vertical"):
            whole = whole @ np.array([[-1, 0, height - 1], [0, 1, 0], [0, 0, 1.0]])
        (row, column) = whole[:2]
        rows.append([column[1], column[0], column[2], row[1], row[0], row[2]])
    interpolation = "bilinear" if order else "nearest"
    made = ops.affine_transform(images, np.array(rows), interpolation, mode)
    if order:  # shares that are rounded add up to a little more than 1
        np.clip(made, images.min(), images.max(), out=made)
    return made


def sample(image: Array, matrix: Array, mode: str, cval: float, order: int = 1) -> Array:
    """The image at the places that a matrix gives, interpolated linearly.

    Args:
        image: (height, width, channels).
        matrix: of `affine_matrix`.
        mode: what lies outside: "constant", "nearest", "reflect" or "wrap".
        cval: of "constant".
        order: 0 takes the nearest pixel, 1 interpolates; more needs SciPy.
    """
    if order > 1:
        return _by_scipy(image, matrix, mode, cval, order)
    height, width = image.shape[:2]
    rows, columns = np.arange(height), np.arange(width)
    row = matrix[0, 0] * rows[:, None] + (matrix[0, 1] * columns + matrix[0, 2])
    column = matrix[1, 0] * rows[:, None] + (matrix[1, 1] * columns + matrix[1, 2])
    outside = None
    if mode == "constant":
        outside = (row < 0) | (row > height - 1) | (column < 0) | (column > width - 1)
    row, column = _within(row, height, mode), _within(column, width, mode)
    if order == 0:
        row, column = np.floor(row + 0.5), np.floor(column + 0.5)
    top, left = np.floor(row), np.floor(column)
    below, right = (row - top).astype(np.float32), (column - left).astype(np.float32)
    up, down = _index(top, height, mode) * width, _index(top + 1, height, mode) * width
    west, east = _index(left, width, mode), _index(left + 1, width, mode)
    flat = image.reshape(height * width, -1)
    below, right = below[..., None], right[..., None]
    upper = flat[up + west] * (1 - right) + flat[up + east] * right
    lower = flat[down + west] * (1 - right) + flat[down + east] * right
    made: Array = upper * (1 - below) + lower * below
    if outside is not None:
        made[outside] = cval
    return made.astype(image.dtype, copy=False)


def _within(places: Array, size: int, mode: str) -> Array:
    """Places, those outside brought inside, as far as that is not a matter of single pixels."""
    if mode in ("nearest", "constant"):
        return np.clip(places, 0, size - 1)
    if mode == "wrap" and size > 1:  # as SciPy, whose period is one pixel short
        period = size - 1
        low, high = places < 0, places > period
        places = np.where(low, places + period * ((-places / period).astype(int) + 1), places)
        return np.where(high, places - period * (places / period).astype(int), places)
    return places


def _index(places: Array, size: int, mode: str) -> Array:
    """The numbers of the pixels at whole places."""
    index = places.astype(np.int64)
    if mode == "reflect":
        index = np.mod(index, 2 * size)
        return np.where(index >= size, 2 * size - 1 - index, index)
    return np.clip(index, 0, size - 1)


def _by_scipy(image: Array, matrix: Array, mode: str, cval: float, order: int) -> Array:
    try:
        from scipy import ndimage
    except ImportError as error:
        raise ImportError(
            f"interpolation_order={order} needs SciPy: pip install scipy; or take 0 or 1"
        ) from error
    channels = [
        ndimage.affine_transform(
            image[..., i], matrix[:, :2], matrix[:, 2], order=order, mode=mode, cval=cval
        )
        for i in range(image.shape[-1])
    ]
    return np.stack(channels, axis=-1)


def apply_affine_transform(
    x: Any,
    theta: float = 0,
    tx: float = 0,
    ty: float = 0,
    shear: float = 0,
    zx: float = 1,
    zy: float = 1,
    row_axis: int = 0,
    col_axis: int = 1,
    channel_axis: int = 2,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    order: int = 1,
) -> Array:
    """Turn, shift, shear and zoom an image about its middle.

    Raises:
        ValueError: the image has not three axes, or `fill_mode` is unknown.
    """
    image = np.asarray(x)
    if image.ndim != 3 or sorted((row_axis, col_axis, channel_axis)) != [0, 1, 2]:
        raise ValueError(
            f"an image has three axes, and row_axis, col_axis and channel_axis are 0, 1 and 2 in "
            f"some order, received shape {image.shape} and {(row_axis, col_axis, channel_axis)}"
        )
    if fill_mode not in _MODES:
        raise ValueError(f"fill_mode must be one of {', '.join(_MODES)}, received {fill_mode!r}")
    axes = (row_axis, col_axis, channel_axis)
    image = image.transpose(axes)
    height, width, _ = image.shape
    matrix = affine_matrix(height, width, theta, tx, ty, shear, zx, zy)
    if matrix is None:
        return np.asarray(x)
    made: Array = sample(image, matrix, fill_mode, cval, order).transpose(np.argsort(axes))
    return made


def flip_axis(x: Any, axis: int) -> Array:
    """The image backwards along an axis."""
    return np.flip(np.asarray(x), axis)


def apply_channel_shift(x: Any, intensity: float, channel_axis: int = 0) -> Array:
    """Add a number, within the smallest and the largest of the image."""
    image = np.asarray(x)
    made: Array = np.clip(image + intensity, image.min(), image.max())
    return made.astype(image.dtype, copy=False)


def apply_brightness_shift(x: Any, brightness: float, scale: bool = True) -> Array:
    """Make an image brighter or darker by a factor, in whole steps of 255.

    Args:
        x: an image with its channels last.
        brightness: the factor.
        scale: whether the image's range is 0 .. 255, whatever it was.
    """
    image = np.asarray(x, np.float32)
    low, high = float(image.min()), float(image.max())
    local = low < 0 or high > 255
    if local or scale:
        image = image - low
        image = image / (image.max() or 1.0) * 255
    # As Pillow's, which computes in whole numbers.
    made: Array = np.clip(np.trunc(np.float32(brightness) * image.astype(np.uint8)), 0, 255)
    made = made.astype(np.float32)
    if not scale and local:
        made = made / 255 * (high - low) + low
    return made


def zooms(low: float, high: float) -> Any:
    """Two factors from a range, (1, 1) of 1 to 1."""
    return (1, 1) if low == high == 1 else np.random.uniform(low, high, 2)


def random_rotation(
    x: Any,
    rg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Turn an image by at most so many degrees."""
    return apply_affine_transform(
        x,
        theta=np.random.uniform(-rg, rg),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shift(
    x: Any,
    wrg: float,
    hrg: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Shift an image by at most those shares of its width and height."""
    shape = np.shape(x)
    tx = np.random.uniform(-hrg, hrg) * shape[row_axis]
    ty = np.random.uniform(-wrg, wrg) * shape[col_axis]
    return apply_affine_transform(
        x,
        tx=tx,
        ty=ty,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_shear(
    x: Any,
    intensity: float,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Shear an image by at most so many degrees."""
    return apply_affine_transform(
        x,
        shear=np.random.uniform(-intensity, intensity),
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_zoom(
    x: Any,
    zoom_range: Any,
    row_axis: int = 1,
    col_axis: int = 2,
    channel_axis: int = 0,
    fill_mode: str = "nearest",
    cval: float = 0.0,
    interpolation_order: int = 1,
) -> Array:
    """Zoom an image by factors from a range."""
    zx, zy = zooms(*zoom_range)
    return apply_affine_transform(
        x,
        zx=zx,
        zy=zy,
        row_axis=row_axis,
        col_axis=col_axis,
        channel_axis=channel_axis,
        fill_mode=fill_mode,
        cval=cval,
        order=interpolation_order,
    )


def random_channel_shift(x: Any, intensity_range: float, channel_axis: int = 0) -> Array:
    """Add a number of at most that size, within the smallest and the largest of the image."""
    return apply_channel_shift(x, np.random.uniform(-intensity_range, intensity_range))


def random_brightness(x: Any, brightness_range: Any, scale: bool = True) -> Array:
    """Make an image brighter or darker by a factor from a range."""
    return apply_brightness_shift(x, np.random.uniform(*brightness_range), scale)
