"""Small files read together, in the time that Python would need for one of them."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from convkit import _core


def read_small_files(paths: Sequence[str], largest: int) -> list[bytes | None]:
    """The bytes of files, in one go without the GIL.

    Args:
        paths: of the files.
        largest: bytes, at most 2**20.

    Returns:
        None for each that cannot be read, is no regular file, or is larger.
    """
    names = [os.fsencode(path) + b"\0" for path in paths]
    sizes = np.empty(len(names), np.int64)
    content = _core.read_small_files(np.frombuffer(b"".join(names), np.uint8), largest, sizes)
    found: list[bytes | None] = []
    begin = 0
    for size in sizes.tolist():
        found.append(None if size < 0 else content[begin : begin + size])
        begin += max(size, 0)
    return found
