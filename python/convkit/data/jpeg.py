"""JPEG files decoded by simplejpeg, an optional package, small ones in a fifth of Pillow's time.

Both decode by libjpeg-turbo, with its accurate transform, and give the same pixels. What Pillow
does around that in Python takes longer than decoding a small image, and other threads wait for it.
Where simplejpeg is missing, or says anything against a file, Pillow decides what becomes of it.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from ..core.parameters import Array

_FORMATS = {"rgb": ("RGB", 3), "rgba": ("RGBA", 4), "grayscale": ("GRAY", 1)}
# ITU-T T.81, table B.1, and JFIF 1.02: the segments that most files consist of.
_JFIF = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"
_SCAN, _FRAMES, _TABLES = 0xDA, (0xC0, 0xC1, 0xC2), (0xC4, 0xDB, 0xDD)


class Frame(NamedTuple):
    """What the header of a JPEG file says.

    Attributes:
        height, width: in pixels.
        components: 1 where it is grey, 3 where it has colours, 4 for a press.
    """

    height: int
    width: int
    components: int


@lru_cache(maxsize=1)
def decoder() -> Any:
    """The function simplejpeg.decode_jpeg, or None where the package is not installed."""
    try:
        return import_module("simplejpeg").decode_jpeg
    except ImportError:
        return None


def plain_frame(content: bytes) -> Frame | None:
    """The frame of a JPEG file of 8 bits with nothing before its pixels but how to decode them.

    None of any other file: what else may be there, such as Exif, Pillow reads and may refuse.
    """
    if not content.startswith(b"\xff\xd8\xff"):
        return None
    at, frame = 20 if content.startswith(_JFIF) else 2, None
    while at + 10 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == _SCAN:
            return frame
        if marker in _FRAMES:
            if content[at + 4] != 8:
                return None
            height, width = content[at + 5 : at + 7], content[at + 7 : at + 9]
            frame = Frame(
                int.from_bytes(height, "big"), int.from_bytes(width, "big"), content[at + 9]
            )
        elif marker not in _TABLES:
            return None
        at += 2 + (content[at + 2] << 8 | content[at + 3])
    return None


def decoded(content: bytes, frame: Frame, color_mode: str) -> Array | None:
    """The pixels of a JPEG file, uint8 (H, W, C), or None where they are to be had from Pillow.

    Args:
        content: of the file.
        frame: its size, checked: no more memory is taken than that of such an image.
        color_mode: "rgb", "rgba" or "grayscale".
    """
    decode = decoder()
    # Pillow makes grey of colours in another way than libjpeg, which takes their luminance as is.
    of_colours = color_mode != "grayscale" and frame.components == 3
    if decode is None or not (of_colours or frame.components == 1):
        return None
    name, channels = _FORMATS[color_mode]
    shape = (frame.height, frame.width, channels)
    pixels: Array = np.empty(shape, np.uint8)
    try:
        found = decode(content, name, buffer=pixels)
    except MemoryError:
        raise
    except Exception:  # of damaged files, and of what is odd but can be decoded
        return None
    return pixels if found.shape == shape else None
