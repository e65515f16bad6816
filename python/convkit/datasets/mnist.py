"""MNIST: 70,000 handwritten digits.

Y. LeCun, C. Cortes, C. J. C. Burges, *The MNIST database of handwritten digits*;
Y. LeCun, L. Bottou, Y. Bengio, P. Haffner, *Gradient-based learning applied to document
recognition*, Proceedings of the IEEE 86 (1998). Licence: CC BY-SA 3.0.
"""

from __future__ import annotations

from . import cache, idx

__all__ = [
    "CLASS_NAMES",
    "load_data",
]


def __dir__() -> list[str]:
    return __all__


CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")

_SET = idx.IdxSet(
    folder="mnist",
    mirrors=(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    ),
    files=(
        idx.IdxFile(
            "train-images-idx3-ubyte.gz",
            (60000, 28, 28),
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            9912422,
            "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        idx.IdxFile(
            "train-labels-idx1-ubyte.gz",
            (60000,),
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            28881,
            "d53e105ee54ea40749a09fcbcd1e9432",
        ),
        idx.IdxFile(
            "t10k-images-idx3-ubyte.gz",
            (10000, 28, 28),
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            1648877,
            "9fb629c4189551a2d022fa330f9573f3",
        ),
        idx.IdxFile(
            "t10k-labels-idx1-ubyte.gz",
            (10000,),
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            4542,
            "ec29112dd5afa0611ce80d1b7f02629c",
        ),
    ),
)


def load_data() -> cache.DataSet:
    """The digits, as `(x_train, y_train), (x_test, y_test)`.

    Returns:
        `x_train` uint8 (60000, 28, 28) and `x_test` uint8 (10000, 28, 28), pixels 0 (background) to
        255; `y_train` uint8 (60000,) and `y_test` uint8 (10000,), labels 0 to 9.

    Raises:
        ValueError: a file in the data folder is damaged; the message says which.
        FileNotFoundError: a file is missing and cannot be downloaded.
    """
    return idx.load(_SET)
