"""IDX, the file format of MNIST and of Fashion-MNIST.

A file is a big-endian header (two zero bytes, the code of the element type, the number of
dimensions, then each dimension as an unsigned 32-bit integer) and the elements in C order. Only
type code 8, unsigned byte, is used here. Source: http://yann.lecun.com/exdb/mnist/.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import cache

_UNSIGNED_BYTE = 0x08


@dataclass(frozen=True)
class IdxFile:
    """One gzip file of a set: its official name, and what it must be.

    Attributes:
        name: the official file name.
        shape: of the array in it.
        sha256: of the raw (decompressed) content.
        gzip_size: bytes of the official .gz.
        gzip_md5: of the official .gz.
    """

    name: str
    shape: tuple[int, ...]
    sha256: str
    gzip_size: int
    gzip_md5: str

    @property
    def size(self) -> int:
        """Bytes of the raw content."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class IdxSet:
    """A data set of four IDX files.

    Attributes:
        folder: its folder inside the data folder.
        mirrors: base addresses, each ending in "/", first choice first.
        files: training images, training labels, test images, test labels.
    """

    folder: str
    mirrors: tuple[str, ...]
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]


def load(data_set: IdxSet) -> cache.DataSet:
    """Read all four files, downloading what is missing; every content is verified."""
    x_train, y_train, x_test, y_test = (_load(data_set, file) for file in data_set.files)
    return (x_train, y_train), (x_test, y_test)


def _load(data_set: IdxSet, file: IdxFile) -> NDArray[np.uint8]:
    data_file = cache.DataFile(f"{data_set.folder}/{file.name}", file.size, file.sha256)
    urls = tuple(mirror + file.name for mirror in data_set.mirrors)
    cache.fetch(cache.Download(urls, file.gzip_size, f"md5:{file.gzip_md5}"), [data_file])
    return parse(cache.read(data_file), file.shape, data_file.path)


def parse(raw: bytes, shape: tuple[int, ...], name: str) -> NDArray[np.uint8]:
    """The array in the bytes of an IDX file: uint8, of the given shape, writable.

    Raises:
        ValueError: the header is not that of unsigned bytes in this shape, or the number of bytes
            after it does not fit; the message calls the file `name`.
    """
    header = struct.pack(f">HBB{len(shape)}I", 0, _UNSIGNED_BYTE, len(shape), *shape)
    if raw[: len(header)] != header:
        raise ValueError(
            f"{name}: expected the IDX header {header.hex()} (unsigned bytes of shape {shape}), "
            f"got {raw[: len(header)].hex() or 'nothing'}; put the official file in its place"
        )
    if len(raw) != len(header) + math.prod(shape):
        raise ValueError(
            f"{name}: expected {math.prod(shape):,} bytes after the IDX header (shape {shape}), "
            f"got {len(raw) - len(header):,}; put the official file in its place"
        )
    array = np.empty(shape, np.uint8)
    array.reshape(-1)[:] = np.frombuffer(raw, np.uint8, offset=len(header))
    return array
