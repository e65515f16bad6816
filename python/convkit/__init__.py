"""convkit: train convolutional networks on the CPU, fast, with the words that Keras users know.

    >>> import convkit
    >>> model = convkit.zoo.mnist_cnn()
    >>> model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    >>> (x_train, y_train), (x_test, y_test) = convkit.datasets.mnist.load_data()
    >>> model.fit(x_train[..., None] / 255.0, y_train, epochs=5, validation_split=0.3)

What not every program uses is imported when it is first used.
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
)
from .core import lazy
from .layers import Input
from .models import Model, Sequential, files

if TYPE_CHECKING:
    from . import (
        bench,
        compat,
        data,
        datasets,
        distribution,
        interop,
        onnx,
        plots,
        preprocessing,
        reference,
        saving,
        sklearn,
        utils,
        zoo,
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
    "distribution",
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

if not TYPE_CHECKING:  # to type checkers, every name would be there
    # What is not imported above is a module.
    __getattr__, __dir__ = lazy.attach(__name__, [*__all__, "__version__"], submodules=__all__)


class _Absent:
    """The last finder of modules, which says what to do instead of one that only Keras has."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> None:
        """Nothing is found here."""
        if name.startswith(f"{__name__}."):
            from .absent import no_module  # here: only for an error

            no_module(name)


sys.meta_path.append(_Absent)
