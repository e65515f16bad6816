"""`keras.datasets.cifar100`: 60,000 small colour photographs of a hundred kinds of things.

A. Krizhevsky, *Learning multiple layers of features from tiny images*, technical report, University
of Toronto (2009). What is read is the binary version: records of a byte for one of 20 kinds, one
for one of 100, and then 1,024 red, 1,024 green and 1,024 blue bytes, each plane row by row.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..core.parameters import Array
from ..datasets.cache import data_folder
from ..utils import get_file

__all__ = ["load_data"]

_ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"
_SHA256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec"
_PIXELS = 3 * 32 * 32


def load_data(label_mode: str = "fine") -> Any:
    """The photographs, as `(x_train, y_train), (x_test, y_test)`.

    They are read from `cifar-100/cifar-100-binary` in the folder of convkit's data sets, and
    downloaded to it if they are not there.

    Args:
        label_mode: "fine" for the labels 0 to 99, "coarse" for 0 to 19.

    Returns:
        `x_train` uint8 (50000, 32, 32, 3) and `x_test` uint8 (10000, 32, 32, 3); `y_train` uint8
        (50000, 1) and `y_test` uint8 (10000, 1).

    Raises:
        ValueError: another `label_mode`, or a file that is damaged.
        OSError: the files are not there and cannot be downloaded.
    """
    if label_mode not in ("fine", "coarse"):
        raise ValueError(f"label_mode must be 'fine' or 'coarse', received {label_mode!r}")
    folder = data_folder() / "cifar-100" / "cifar-100-binary"
    if not folder.is_dir():
        get_file("cifar-100", _ADDRESS, extract=True, file_hash=_SHA256, cache_subdir="")
    column = 1 if label_mode == "fine" else 0
    return _read(folder / "train.bin", column), _read(folder / "test.bin", column)


def _read(path: Path, column: int) -> tuple[Array, Array]:
    data = np.fromfile(path, np.uint8)
    if not len(data) or len(data) % (2 + _PIXELS):
        raise ValueError(f"{path} is damaged: it is no row of records of {2 + _PIXELS} bytes")
    records = data.reshape(-1, 2 + _PIXELS)
    images = records[:, 2:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, column : column + 1].copy()
