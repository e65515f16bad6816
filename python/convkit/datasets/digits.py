"""Digits: 1,797 handwritten digits of 8x8 pixels, which come with scikit-learn.

They are the test part of E. Alpaydin, C. Kaynak, *Optical recognition of handwritten digits*, UCI
Machine Learning Repository (1998), and are always at hand: no network is needed.
"""

from __future__ import annotations

import numpy as np

from . import cache

__all__ = [
    "CLASS_NAMES",
    "load_data",
]


def __dir__() -> list[str]:
    return __all__


CLASS_NAMES = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


def load_data() -> cache.DataSet:
    """The small digits, as `(x_train, y_train), (x_test, y_test)`.

    The split is fixed: of the images of each digit, in their order, every fifth is a test image.
    Both parts therefore have all ten digits in equal shares, from the whole collection.

    Returns:
        `x_train` uint8 (1442, 8, 8) and `x_test` uint8 (355, 8, 8), pixels 0 (background) to 16;
        `y_train` uint8 (1442,) and `y_test` uint8 (355,), labels 0 to 9.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ImportError(
            "the digits data set comes with scikit-learn, which is not installed; "
            'install it with: pip install "convkit[examples]"'
        ) from error
    bunch = load_digits()
    x = bunch.images.astype(np.uint8)
    y = bunch.target.astype(np.uint8)
    rank_in_class = np.empty(len(y), np.int64)
    for label in range(10):
        of_this_class = y == label
        rank_in_class[of_this_class] = np.arange(np.count_nonzero(of_this_class))
    test = rank_in_class % 5 == 4
    return (x[~test], y[~test]), (x[test], y[test])
