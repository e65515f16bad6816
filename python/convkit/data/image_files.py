"""Files of images as a source of batches, decoded by threads ahead of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from ..core.files import is_whole
from ..core.parameters import Array
from ..core.warn import warn
from ..ops._read_files import read_small_files
from .parallel import cores, ordered
from .pictures import check_mode, decode
from .resize import crop_to, pad_to, resize_each
from .stages import Source

_CHUNK = 32  # files that are read in one go, also where single images are asked for
_SMALL = 1 << 16  # bytes of a file that is read with others
_TOGETHER = 1 << 20  # bytes of images that are resized in one go
_LISTED = 5  # names in a warning


class Reader(NamedTuple):
    """How a file becomes an image of float32.

    Attributes:
        color_mode: "rgb", "rgba" or "grayscale".
        size: (height, width).
        interpolation: of `resize`.
        fit: "stretch", "crop" or "pad".
        skips: whether files that cannot be read are left out.
    """

    color_mode: str
    size: tuple[int, int]
    interpolation: str
    fit: str
    skips: bool

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image."""
        return (*self.size, check_mode(self.color_mode))

    def decode(self, path: str, content: bytes | None) -> Array:
        """The pixels of a file, (H, W, C), of which the whole image is made."""
        pixels = decode(path, self.color_mode, content)
        if self.fit == "crop":
            return crop_to(pixels, self.size)
        return pad_to(pixels, self.size) if self.fit == "pad" else pixels


def _contents(paths: Sequence[str]) -> Iterator[bytes | None]:
    """What is in small files, read a few at a time; None where `decode` has to read by itself."""
    for begin in range(0, len(paths), _CHUNK):
        for content in read_small_files(paths[begin : begin + _CHUNK], _SMALL):
            yield content if content is not None and is_whole(content) else None


class _Batch:
    """Images of a reader's size, added one after the other.

    Small images are resized together, for as long as many of them take: a thread that let others
    run for the time of one would go on before another had woken up.

    Args:
        reader: how they are resized.
        most: so many.
    """

    def __init__(self, reader: Reader, most: int) -> None:
        self._reader, self._images = reader, np.empty((most, *reader.shape), np.float32)
        self._count, self._waiting, self._bytes = 0, list[Array](), 0

    def add(self, pixels: Array) -> None:
        """Add an image of any size; ValueError if it cannot be resized."""
        if self._bytes + pixels.nbytes > _TOGETHER:
            self._resize()
        self._waiting.append(pixels)
        self._bytes += pixels.nbytes
        if self._bytes > _TOGETHER:
            self._resize()

    def images(self) -> Array:
        """All of them."""
        self._resize()
        return self._images[: self._count]

    def _resize(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        end = self._count + len(waiting)
        if waiting:
            out = self._images[self._count : end]
            resize_each(waiting, self._reader.size, self._reader.interpolation, out)
        self._count = end


class ImageFiles(Source):
    """Images, with labels or without.

    Args:
        reader: how they are read.
        paths: of the files.
        labels: (n, ...), or None.
    """

    def __init__(self, reader: Reader, paths: Sequence[str], labels: Array | None) -> None:
        self._reader, self._paths, self._labels = reader, paths, labels
        self._told: set[str] = set()
        self.is_complete = not reader.skips

    def __len__(self) -> int:
        return len(self._paths)

    def elements(self, numbers: Iterator[int]) -> Iterator[Any]:
        def chunks() -> Iterator[Array]:
            while chunk := list(islice(numbers, _CHUNK)):
                yield np.array(chunk)

        for batch in self.batches(chunks()):
            yield from batch if self._labels is None else zip(*batch, strict=True)

    def batches(self, chunks: Iterator[Array]) -> Iterator[Any]:
        workers = cores()
        for images, kept, problems in ordered(self._read, chunks, workers, workers + 2):
            if problems:
                self._tell(problems)
            if len(kept):
                yield images if self._labels is None else (images, self._labels[kept])

    def _read(self, numbers: Array) -> tuple[Array, Array, list[tuple[str, str]]]:
        """The images of those numbers, the numbers of those that could be read, and the others."""
        batch = _Batch(self._reader, len(numbers))
        kept: list[int] = []
        problems = []
        paths = [self._paths[number] for number in numbers]
        for number, path, content in zip(numbers, paths, _contents(paths), strict=True):
            try:
                batch.add(self._reader.decode(path, content))
                kept.append(number)
            except (OSError, ValueError) as error:
                if not self._reader.skips:
                    raise
                problems.append((path, str(error)))
        return batch.images(), np.array(kept, np.int64), problems

    def _tell(self, problems: Sequence[tuple[str, str]]) -> None:
        """Warn of files that were left out, of each once."""
        new = [(path, problem) for path, problem in problems if path not in self._told]
        self._told.update(path for path, _ in new)
        if new:
            more = f"; and {len(new) - _LISTED} more" if len(new) > _LISTED else ""
            listed = "; ".join(problem for _, problem in new[:_LISTED])
            warn(f"left out, for they cannot be read: {listed}{more}")
