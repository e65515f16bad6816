"""Scripts of Keras 1 to 3, and of the TensorFlow around them, on convkit.

    >>> from convkit.compat import keras
    >>> from convkit.compat import tensorflow as tf

have the names of Keras's older versions and of the `tf` that stands beside Keras code, as thin
wrappers around convkit's own: `ImageDataGenerator`, `fit_generator`, `lr=`, `tf.data.Dataset`, the
module paths of old. A whole script or notebook runs unchanged by

    python -m convkit.compat SCRIPT.py [arguments]
    python -m convkit.compat NOTEBOOK.ipynb

which serves what it imports of Keras and TensorFlow, and says at the end what could not be given;
with `--check` only the names that are missing are listed, and nothing runs.

Nothing of this is imported by `import convkit`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import tree

if TYPE_CHECKING:
    keras: Any
    tensorflow: Any
    tensorflow_datasets: Any

__all__ = ["keras", "tensorflow", "tensorflow_datasets"]


def __dir__() -> list[str]:
    return __all__


sys.meta_path.insert(0, tree.Finder(f"{__name__}."))

if not TYPE_CHECKING:  # to type checkers, every name would be there

    def __getattr__(name: str) -> Any:
        if name in __all__:
            return import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
