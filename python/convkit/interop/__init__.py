"""Models and weights from Keras and PyTorch, and back.

    >>> model = convkit.interop.from_torch(network, input_shape=(3, 32, 32))
    >>> network = convkit.interop.to_torch(model)
    >>> model = convkit.interop.from_keras(keras_model)
    >>> keras_model = convkit.interop.to_keras(model)

Each returns a new model with copies of the weights: architecture, weights, moving statistics and
the settings of the layers, not optimizers or losses. Regularizers go to and from Keras; PyTorch's
layers have none. Keras and PyTorch themselves are imported when a function needs them.
"""

from __future__ import annotations

from .read_keras import from_keras
from .read_torch import from_torch
from .write_keras import to_keras
from .write_torch import to_torch

__all__ = ["from_keras", "from_torch", "to_keras", "to_torch"]


def __dir__() -> list[str]:
    return __all__
