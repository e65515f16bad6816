"""Files of images: opened and checked by Pillow, an optional package, and decoded."""

from __future__ import annotations

import io
from typing import IO, Any

import numpy as np

from ..core.files import open_regular
from ..core.packages import package
from ..core.parameters import Array
from . import jpeg
from .arguments import choice

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_SIGNATURES = (b"BM", b"GIF8", b"\xff\xd8", b"\x89PNG")
_FORMATS = ("BMP", "GIF", "JPEG", "PNG")
# Of each colour mode: Pillow's mode, the modes that stay what they are, and the channels.
_MODES = {
    "grayscale": ("L", ("L", "I;16", "I"), 1),
    "rgb": ("RGB", ("RGB",), 3),
    "rgba": ("RGBA", ("RGBA",), 4),
}


def pillow() -> Any:
    """The module PIL.Image; ImportError says how to install it."""
    return package("PIL.Image")


def check_mode(color_mode: Any) -> int:
    """The channels of a colour mode; ValueError if there is no such mode."""
    choice(color_mode, list(_MODES), "color_mode")
    return _MODES[color_mode][2]


def in_mode(image: Any, color_mode: str) -> Any:
    """A picture of Pillow in a colour mode; grey ones of 16 and 32 bits stay what they are."""
    mode, others, _ = _MODES[color_mode]
    return image if image.mode in others else image.convert(mode)


def opened(file: IO[bytes], name: str, formats: tuple[str, ...] | None = _FORMATS) -> Any:
    """A picture of Pillow, whose pixels are not read yet.

    Args:
        file: open for reading.
        name: of the file, for errors.
        formats: those that it may have.

    Raises:
        ValueError: it is empty, no image, or one with more pixels than Pillow's limit.
    """
    library = pillow()
    try:
        image = library.open(file, formats=formats)
    except library.DecompressionBombError as error:
        raise ValueError(f"{name}: {error}") from None
    except Exception as error:  # whatever the parsers of damaged files raise
        raise ValueError(f"{name}: {_reason(file, error)}") from error
    if _is_large(image.width, image.height):
        raise ValueError(
            f"{name}: it has {image.width} x {image.height} pixels, more than PIL.Image's "
            f"MAX_IMAGE_PIXELS = {library.MAX_IMAGE_PIXELS}; if it is no decompression bomb, set "
            f"that higher"
        )
    return image


def _is_large(width: int, height: int) -> bool:
    most = pillow().MAX_IMAGE_PIXELS
    return most is not None and width * height > most


def _frame(image: Any) -> jpeg.Frame | None:
    """That of a picture of Pillow which was a JPEG file, maybe the first of several pictures."""
    if image.format not in ("JPEG", "MPO"):
        return None
    return jpeg.Frame(image.height, image.width, len(image.getbands()))


def _reason(file: IO[bytes], error: Exception) -> str:
    file.seek(0)
    start = file.read(16)
    if not start:
        return "it is empty"
    if type(error).__name__ != "UnidentifiedImageError" or start.startswith(_SIGNATURES):
        return f"it is damaged or truncated: {error}"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        kind = "a WebP image"
    elif start.lstrip()[:1] == b"<":
        kind = "text, such as a web page that came instead of an image"
    else:
        kind = f"no image of these formats: it begins with {start[:8]!r}"
    return f"it must be a JPEG, PNG, BMP or GIF image, and is {kind}"


def decode(path: str, color_mode: str, content: bytes | None = None) -> Array:
    """The pixels of a file, (H, W, C), uint8, or int32 and uint16 for grey ones of more bits.

    Args:
        path: of the file.
        color_mode: "rgb", "rgba" or "grayscale".
        content: of the file, if it was read before.

    Raises:
        ValueError: the file is empty, damaged, no image, or too large; the message names it.
        OSError: it cannot be opened.
    """
    if content is None:
        with open_regular(path) as file:
            content = file.read()
    image, frame = None, jpeg.plain_frame(content)
    if frame is None or _is_large(frame.width, frame.height):
        image = opened(io.BytesIO(content), path)  # Pillow reads a file in many small pieces
        frame = _frame(image)
    pixels = None if frame is None else jpeg.decoded(content, frame, color_mode)
    if pixels is not None:
        return pixels
    return _decoded(opened(io.BytesIO(content), path) if image is None else image, path, color_mode)


def _decoded(image: Any, path: str, color_mode: str) -> Array:
    try:
        pixels = np.asarray(in_mode(image, color_mode))
    except MemoryError:
        raise
    except Exception as error:  # whatever the decoders of damaged files raise
        raise ValueError(f"{path}: it is damaged or truncated: {error}") from error
    return pixels if pixels.ndim == 3 else pixels[..., np.newaxis]
