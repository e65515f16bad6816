"""What `keras` itself has: its version, and the names of models and inputs."""

from __future__ import annotations

from ..losses import Loss
from ..metrics import Metric
from ..optimizers import Optimizer
from ..regularizers import Regularizer
from ..utils import set_random_seed
from .layers import Input, InputLayer
from .models import Model, Sequential
from .own_layers import Layer
from .tensor import Tensor

__version__ = "2.9.0"
KerasTensor = Tensor

__all__ = [
    "Input",
    "InputLayer",
    "KerasTensor",
    "Layer",
    "Loss",
    "Metric",
    "Model",
    "Optimizer",
    "Regularizer",
    "Sequential",
    "__version__",
    "set_random_seed",
    "version",
]


def version() -> str:
    """The version of Keras whose names these are."""
    return __version__
