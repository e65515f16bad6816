"""Images with their channels first: what scripts that want them so are given.

convkit computes with the channels last. Under `set_image_data_format("channels_first")` shapes of
images are taken as (channels, height, width) where a model is built, and images given to it are
transposed on their way in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.warn import warn

_FIRST = ("channels_first", "th")
_format = "channels_last"


def image_data_format() -> str:
    """ "channels_last" or "channels_first"."""
    return _format


def dimensions_first() -> bool:
    """Whether images have their channels first."""
    return _format == "channels_first"


def set_image_data_format(data_format: str) -> None:
    """Say where images have their channels: "channels_last" or "channels_first".

    Raises:
        ValueError: it is neither.
    """
    global _format
    if data_format not in ("channels_last", "channels_first"):
        raise ValueError(
            f'the format must be "channels_last" or "channels_first", received {data_format!r}'
        )
    if data_format == "channels_first":
        warn(
            "convkit computes with the channels last: images that come with their channels first "
            "are transposed, which takes time; better build them as (height, width, channels)"
        )
    _format = data_format


def is_first(data_format: Any) -> bool:
    """Whether a layer's argument, or else the setting, says that the channels come first."""
    return dimensions_first() if data_format is None else data_format in _FIRST


def sample_shape(shape: Any, first: bool) -> Any:
    """The shape of a sample with its channels last; a single size as a tuple."""
    sizes = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    sizes = tuple(None if each is None else int(each) for each in sizes)
    return (*sizes[1:], sizes[0]) if first and len(sizes) == 3 else sizes


def channels_last(x: Any, sizes: tuple[Any, ...]) -> Any:
    """Images as a model takes them that has inputs of those sizes: transposed if that fits."""
    shape: Any = getattr(x, "shape", ())
    if len(shape) != 4 or len(sizes) != 3 or tuple(shape[1:]) == sizes:
        return x
    fits = (*shape[2:], shape[1]) == sizes
    return np.ascontiguousarray(np.moveaxis(np.asarray(x), 1, -1)) if fits else x
