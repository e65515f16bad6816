"""Images of any kind as one array: NumPy's, other libraries', and Pillow's.

What is float32 or uint8 in C order is used where it lies, whoever's memory that is; anything else
is copied once.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..ops._gate import as_array

# From so many channels to so many others.
_CHANNELS = {
    (1, 3): "use numpy.repeat(x, 3, axis=-1)",
    (3, 1): "use x.mean(axis=-1, keepdims=True), or Pillow's image.convert('L')",
    (4, 3): "leave out the transparency, x[..., :3]",
    (4, 1): "use x[..., :3].mean(axis=-1, keepdims=True), or Pillow's image.convert('L')",
}


_AS_IT_IS = (np.dtype(np.float32), np.dtype(np.uint8))


def as_images(x: Any) -> Array:
    """Return `x` as a C-contiguous array of float32 or uint8: the one place that converts images.

    Args:
        x: an array of NumPy, or anything with `__array__` or DLPack, such as a PyTorch tensor or a
            JAX array; such memory is used as it is where it holds float32 or uint8 in C order, and
            copied once otherwise. Or a list: of arrays, of PIL images (which become (H, W, C), C
            being 1 for grey ones), or nested lists of numbers; it is copied into one array.

    Raises:
        TypeError: not real numbers, or a tensor that NumPy cannot read, such as one that requires
            gradients.
        ValueError: empty, without a batch axis, or samples of different shapes.
    """
    if (
        type(x) is np.ndarray
        and x.dtype in _AS_IT_IS
        and x.flags.c_contiguous
        and x.ndim
        and x.size
    ):
        return x
    if _is_picture(x):
        raise ValueError("x must be several images: for a single PIL image, give a list of one")
    if isinstance(x, list | tuple) and len(x) and _is_array(x[0]):
        array = _stacked(x)
    else:
        array = as_array("x", x)
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"x must be an array of real numbers, received {type(x).__name__} of dtype "
            f"{array.dtype}{_remedy(x, array)}"
        )
    if array.ndim == 0 or len(array) == 0:
        raise ValueError(f"x must have at least one sample, received shape {array.shape}")
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    return np.ascontiguousarray(array, np.float32)


def _remedy(x: Any, array: Array) -> str:
    """What to do with `x`, of which NumPy made an `array` of no numbers; or ""."""
    if isinstance(x, Mapping):  # such as what numpy.load makes of an .npz file
        return f"; give one of its arrays: {', '.join(f'x[{key!r}]' for key in list(x)[:3])}"
    if array.dtype.kind in "US":
        return "; read the files first, for example x = [PIL.Image.open(name) for name in names]"
    if hasattr(x, "toarray"):
        return "; give a dense array, x.toarray()"
    if callable(x):
        return "; call the generator function, and give what it returns"
    if array.dtype == object and array.ndim and array.size and _is_array(array.flat[0]):
        return "; bring all images to one size, and give numpy.stack(x)"
    return ""


def arranged(images: Array, given: Any, sizes: tuple[int, ...]) -> Array:
    """Samples in the shape that a model takes, where what they were given as says how.

    A table of numbers, such as a frame of pandas, has a sample in each row; tensors of PyTorch may
    have the channels in front.

    Args:
        images: what `as_images` made.
        given: of this.
        sizes: of a sample.
    """
    received = images.shape[1:]
    if received == sizes:
        return images
    if len(received) == 1 and hasattr(given, "columns") and math.prod(sizes) == received[0]:
        return images.reshape(-1, *sizes)
    first = given[0] if isinstance(given, list | tuple) and len(given) else given
    is_tensor = type(first).__module__.partition(".")[0] == "torch"
    if is_tensor and len(received) == 3 and (*received[1:], received[0]) == sizes:
        return np.ascontiguousarray(np.moveaxis(images, 1, -1))
    return images


def _is_array(value: Any) -> bool:
    """Whether a member of a list is an array or a picture, and not a number or a list of them."""
    protocols = ("__array__", "__dlpack__", "__array_interface__")
    return not isinstance(value, np.generic) and any(hasattr(value, name) for name in protocols)


def _is_picture(value: Any) -> bool:
    # A picture can only be there if somebody has imported PIL.
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(value, module.Image)


def _stacked(values: Sequence[Any]) -> Array:
    """Several images as one array, each copied once: uint8 if all are, otherwise float32."""
    first = _member(values[0], 0)
    dtype = np.uint8 if first.dtype == np.uint8 else np.float32
    result: Array = np.empty((len(values), *first.shape), dtype)
    for i, value in enumerate(values):
        image = _member(value, i)
        if image.shape != first.shape:
            raise ValueError(
                f"x cannot become one array: x[{i}] has shape {image.shape}, and x[0] has "
                f"{first.shape}; bring all images to one size and number of channels"
            )
        if image.dtype != np.uint8 and result.dtype == np.uint8:
            result = result.astype(np.float32)
        result[i] = image
    return result


def _member(value: Any, position: int) -> Array:
    name = f"x[{position}]"
    array = as_array(name, value)
    if _is_picture(value):
        if value.mode in ("P", "PA"):
            raise ValueError(
                f"{name} is a PIL image with a palette, whose numbers are no colours; convert it "
                f"with image.convert('RGB')"
            )
        return array if array.ndim == 3 else array[..., np.newaxis]
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must hold real numbers, received dtype {array.dtype}")
    return array


def check_images(images: Array, sizes: tuple[int, ...]) -> None:
    """Raise ValueError unless the samples have the shape that the model takes."""
    received = images.shape[1:]
    if received == sizes:
        return
    expected = ", ".join(["N", *map(str, sizes)])
    if (*received, 1) == sizes:
        hint = "add the channel axis with x[..., numpy.newaxis]"
    elif images.shape == sizes:
        hint = (
            "for a single sample, add the batch axis with x[numpy.newaxis]; an iterable must give "
            "batches, not samples"
        )
    elif (*images.shape, 1) == sizes:
        hint = "for a single sample, add both axes with x[numpy.newaxis, ..., numpy.newaxis]"
    elif len(sizes) == 3 and len(received) == 3 and (*received[1:], received[0]) == sizes:
        hint = "move the channels to the end with numpy.moveaxis(x, 1, -1)"
    elif math.prod(received) == math.prod(sizes):
        hint = f"use numpy.reshape(x, (-1, {', '.join(map(str, sizes))}))"
    elif len(received) == 3 and received[:2] == sizes[:2] and (received[2], sizes[2]) in _CHANNELS:
        hint = f"for {sizes[2]} channels, {_CHANNELS[received[2], sizes[2]]}"
    else:
        hint = "change the images, or the input shape of the model"
    raise ValueError(
        f"x must have shape ({expected}), the model's input, received {images.shape}; {hint}"
    )
