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

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    from . import cifar10, digits, fashion_mnist, mnist

__all__ = ["cifar10", "digits", "fashion_mnist", "mnist"]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return import_module(f"{__name__}.{name}")
    from convkit.absent import missing  # here: only for an error

    missing(__name__, name)


def __dir__() -> list[str]:
    return __all__
