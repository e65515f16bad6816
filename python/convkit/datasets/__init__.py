"""Image data sets, ready to train on.

Each module has `load_data()`, which returns `(x_train, y_train), (x_test, y_test)` as Keras does,
and `CLASS_NAMES`, the names of the classes in label order::

    from convkit.datasets import mnist

    (x_train, y_train), (x_test, y_test) = mnist.load_data()

`mnist`, `fashion_mnist` and `cifar10` are read from the folder that the environment variable
`CONVKIT_DATA` names, or else from the user's cache folder; what is not there yet is downloaded.
`digits` comes with scikit-learn and needs no network. A module is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy

if TYPE_CHECKING:
    from . import cifar10, digits, fashion_mnist, mnist

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist"]

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__, submodules=__all__)
