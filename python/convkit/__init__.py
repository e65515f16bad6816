"""convkit: train convolutional networks on the CPU, fast, with the words that Keras users know.

    >>> import convkit
    >>> model = convkit.zoo.mnist_cnn()
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> (x_train, y_train), (x_test, y_test) = convkit.datasets.mnist.load_data()
    >>> model.fit(x_train[..., None] / 255.0, y_train, epochs=5, validation_split=0.3)

`compat`, `data`, `datasets`, `plots`, `preprocessing`, `interop`, `onnx`, `sklearn`, `bench` and
`reference` are imported when they are first used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"  # the one place: the package's metadata reads it here

from . import runtime  # first: it loads the native module

# isort: split
from . import (
    activations,
    callbacks,
    constraints,
    initializers,
    layers,
    losses,
    metrics,
    models,
    ops,
    optimizers,
    regularizers,
    saving,
    utils,
    zoo,
)
from .layers import Input
from .models import Model, Sequential, files

if TYPE_CHECKING:
    from . import (
        bench,
        compat,
        data,
        datasets,
        interop,
        onnx,
        plots,
        preprocessing,
        reference,
        sklearn,
    )

_LAZY = (
    "bench",
    "compat",
    "data",
    "datasets",
    "interop",
    "onnx",
    "plots",
    "preprocessing",
    "reference",
    "sklearn",
)

files.register(lambda: import_module(f"{__name__}.interop.keras_files"))
del files

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "activations",
    "bench",
    "callbacks",
    "compat",
    "constraints",
    "data",
    "datasets",
    "initializers",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "onnx",
    "ops",
    "optimizers",
    "plots",
    "preprocessing",
    "reference",
    "regularizers",
    "runtime",
    "saving",
    "sklearn",
    "utils",
    "zoo",
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"{__name__}.{name}")
    from .absent import missing  # here: only for an error

    missing(__name__, name)


class _Absent:
    """The last finder of modules, which says what to do instead of one that only Keras has."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Nothing is found here."""
        if name.startswith(f"{__name__}."):
            from .absent import no_module  # here: only for an error

            no_module(name)


sys.meta_path.append(_Absent)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
