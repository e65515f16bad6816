"""CIFAR-10: 60,000 small colour photographs of ten kinds of things.

A. Krizhevsky, *Learning multiple layers of features from tiny images*, technical report, University
of Toronto (2009). The authors state no licence; cite the report where the images are used.

What is read is the binary version of the data set: five training files and one test file of 10,000
records each, a record being a label byte and then 1,024 red, 1,024 green and 1,024 blue bytes, each
plane row by row. (The usual Python version is made of pickles, which can run code when loaded.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import cache

__all__ = [
    "CLASS_NAMES",
    "load_data",
]


def __dir__() -> list[str]:
    return __all__


CLASS_NAMES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)

_RECORDS = 10000
_RECORD_BYTES = 1 + 3 * 32 * 32

_ARCHIVE = cache.Download(
    # The authors' own server comes last: it answers, but at some tens of kilobytes a second.
    urls=(
        "https://storage.googleapis.com/s4tf-hosted-binaries/datasets/CIFAR10/cifar-10-binary.tar.gz",
        "https://mindspore-website.obs.cn-north-4.myhuaweicloud.com/notebook/datasets/cifar-10-binary.tar.gz",
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ),
    size=170052171,
    known_hash="md5:c32a1d4ab5d03f1284b67883e8d87530",
)


def _file(name: str, sha256: str) -> cache.DataFile:
    path = f"cifar-10/cifar-10-batches-bin/{name}"
    return cache.DataFile(path, _RECORDS * _RECORD_BYTES, sha256)


_TRAIN = (
    _file("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    _file("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    _file("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    _file("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    _file("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
)
_TEST = (
    _file("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
)


def load_data() -> cache.DataSet:
    """The photographs, as `(x_train, y_train), (x_test, y_test)`.

    Returns:
        `x_train` uint8 (50000, 32, 32, 3) and `x_test` uint8 (10000, 32, 32, 3), red, green and
        blue from 0 to 255; `y_train` uint8 (50000, 1) and `y_test` uint8 (10000, 1), labels 0 to 9
        in the order of `CLASS_NAMES`.

    Raises:
        ValueError: a file in the data folder is damaged; the message says which.
        FileNotFoundError: a file is missing and cannot be downloaded.
    """
    cache.fetch(_ARCHIVE, (*_TRAIN, *_TEST))
    return _read(_TRAIN), _read(_TEST)


def _read(files: tuple[cache.DataFile, ...]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The images (N, 32, 32, 3) and labels (N, 1) of the files, in order."""
    x = np.empty((len(files), _RECORDS, 32, 32, 3), np.uint8)
    y = np.empty((len(files), _RECORDS, 1), np.uint8)
    for index, file in enumerate(files):
        records = np.frombuffer(cache.read(file), np.uint8).reshape(_RECORDS, _RECORD_BYTES)
        y[index] = records[:, :1]
        x[index] = records[:, 1:].reshape(_RECORDS, 3, 32, 32).transpose(0, 2, 3, 1)
    return x.reshape(-1, 32, 32, 3), y.reshape(-1, 1)
