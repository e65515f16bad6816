"""Initializers by the names of Keras 1 and 2, and of TensorFlow 1."""

from __future__ import annotations

from typing import Any

from ...initializers import (
    Constant,
    GlorotNormal,
    GlorotUniform,
    Initializer,
    Ones,
    RandomNormal,
    RandomUniform,
    TruncatedNormal,
    VarianceScaling,
    Zeros,
)
from ...initializers import get as _get

glorot_normal_initializer, glorot_uniform_initializer = GlorotNormal, GlorotUniform
constant_initializer, ones_initializer, zeros_initializer = Constant, Ones, Zeros
normal = random_normal_initializer = RandomNormal
uniform = random_uniform_initializer = RandomUniform
truncated_normal_initializer = TruncatedNormal
variance_scaling_initializer = VarianceScaling
one, zero = Ones, Zeros

__all__ = [
    "constant_initializer",
    "get",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "modern",
    "normal",
    "one",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
    "uniform",
    "variance_scaling_initializer",
    "zero",
    "zeros_initializer",
]

_NAMES = {"normal": "random_normal", "one": "ones", "uniform": "random_uniform", "zero": "zeros"}


def modern(identifier: Any) -> Any:
    """The initializer as convkit takes it: a name of old becomes today's."""
    return _NAMES.get(identifier, identifier) if isinstance(identifier, str) else identifier


def get(identifier: Any) -> Initializer:
    """The initializer of that name, old or new."""
    return _get(modern(identifier))
