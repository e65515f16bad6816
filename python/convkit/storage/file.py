"""One safetensors file: the arrays, and the document as JSON in its metadata.

https://github.com/huggingface/safetensors describes the format: eight bytes with the length of the
header, the header as JSON, and the arrays' bytes. `header` makes and checks what stands in front,
here are the arrays. The file is byte for byte what the safetensors library writes, without a copy
of the arrays in between. It is read through one open file: whatever takes its place meanwhile, the
document and the arrays are of one model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from ..core.files import open_regular, write_atomically
from ..core.parameters import Array
from . import header
from .document import Arrays


def write(
    path: str | os.PathLike[str],
    document: Mapping[str, Any],
    arrays: Mapping[str, Array],
    overwrite: bool = True,
) -> None:
    """Write the document and the arrays, as `convkit.core.files.write_atomically` writes.

    Args:
        path: of the file.
        document: anything that JSON can hold.
        arrays: float32, of any memory layout, by name.
        overwrite: whether there may be such a file.

    Raises:
        FileExistsError: `overwrite` is False and there is such a file.
        TypeError: an array is not float32.
        ValueError: the header would be longer than `reading` accepts, or the path leads to what is
            no regular file.
        OSError: the system could not write it; what was there before is there.
    """
    for name, array in arrays.items():
        if (array.dtype.kind, array.dtype.itemsize) != ("f", 4):
            raise TypeError(f"the array {name!r} is {array.dtype} and must be float32")
    start = header.make(document, {name: array.shape for name, array in arrays.items()})
    write_atomically(path, _pieces(start, arrays), overwrite)


def _pieces(start: bytes, arrays: Mapping[str, Array]) -> Iterator[Any]:
    """What is written, one after the other: the header, and the arrays in its order."""
    yield start
    for name in sorted(arrays):
        yield np.ascontiguousarray(arrays[name], "<f4")


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Open a file that `write` wrote, check its header, and hand out the document and the arrays.

    Whatever goes wrong while it is open, with the file or with what is made of it, becomes a
    ValueError that names the file.

    Raises:
        ValueError: the file is truncated, damaged, changed while it is read, no regular file, or
            not one of convkit's.
        OSError: the file cannot be opened.
    """
    name = os.fsdecode(path)
    with open_regular(name) as file:
        try:
            state = _state(file)
            entries, start = header.read(file, state[0])
            places = header.places_of(entries, start, state[0])
            text = header.document_of(entries)
            del entries  # it may be large, and so may be what is made of the text
            shapes = {key: place.shape for key, place in places.items()}
            read = _reader(file, places, state)
            yield header.parse(text), Arrays(shapes, read)
        except (OSError, MemoryError):
            raise
        except Exception as error:
            raise ValueError(f"cannot load {name}: {error}") from error


def _reader(
    file: IO[bytes], places: Mapping[str, header.Place], state: tuple[int, int]
) -> Callable[[str], Array]:
    """What reads an array of an open file, as long as the file stays in that state."""

    def read(name: str) -> Array:
        shape, start = places[name]
        array = np.empty(shape, "<f4")
        file.seek(start)
        received = file.readinto(array)  # type: ignore[attr-defined]
        if received != array.nbytes or _state(file) != state:
            raise ValueError("it was changed while it was read; load it again")
        return array.astype(np.float32, copy=False)

    return read


def _state(file: IO[bytes]) -> tuple[int, int]:
    """The size of an open file, and when it was last written."""
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
