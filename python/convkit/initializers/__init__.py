"""Initial values of parameters, with Keras's names, formulas and defaults.

An initializer is called with a shape and returns a float32 array. `Dirac` and `whitening_kernel`
are convkit's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core import lazy
from ..core.config import serialize  # Keras has it here
from .base import Constant, Initializer, Ones, Zeros
from .filters import Dirac, whitening_kernel
from .names import get
from .random import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
)

__all__ = [
    "Constant",
    "Dirac",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "lecun_normal",
    "lecun_uniform",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "variance_scaling",
    "whitening_kernel",
    "zeros",
]

if not TYPE_CHECKING:  # to type checkers, every name would be there
    __getattr__, __dir__ = lazy.attach(__name__, __all__)

# Keras's second names.
zeros = Zeros
ones = Ones
constant = Constant
random_uniform = RandomUniform
random_normal = RandomNormal
truncated_normal = TruncatedNormal
variance_scaling = VarianceScaling
glorot_uniform = GlorotUniform
glorot_normal = GlorotNormal
he_uniform = HeUniform
he_normal = HeNormal
lecun_uniform = LecunUniform
lecun_normal = LecunNormal
orthogonal = Orthogonal
