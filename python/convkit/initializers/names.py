"""Which initializer a name or a description stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core.config import unknown
from .base import Constant, Initializer, Ones, Zeros
from .filters import Dirac
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

_BY_NAME: dict[str, Callable[[], Initializer]] = {
    "zeros": Zeros,
    "zero": Zeros,
    "ones": Ones,
    "one": Ones,
    "constant": Constant,
    "random_uniform": RandomUniform,
    "uniform": RandomUniform,
    "random_normal": RandomNormal,
    "normal": RandomNormal,
    "truncated_normal": TruncatedNormal,
    "variance_scaling": VarianceScaling,
    "glorot_uniform": GlorotUniform,
    "glorot_normal": GlorotNormal,
    "he_uniform": HeUniform,
    "he_normal": HeNormal,
    "lecun_uniform": LecunUniform,
    "lecun_normal": LecunNormal,
    "orthogonal": Orthogonal,
    "dirac": Dirac,
}


def get(identifier: str | Initializer | dict[str, Any]) -> Initializer:
    """The initializer of that name, or the object itself.

    Also takes what `serialize` returns. Raises ValueError for an unknown name, naming the known.
    """
    if isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, dict):
        made = type(get(str(identifier.get("class_name"))))
        return made(**identifier.get("config", {}))
    if isinstance(identifier, str) and (make := _BY_NAME.get(_snake(identifier))):
        return make()
    raise unknown("initializer", identifier, _BY_NAME)


def _snake(name: str) -> str:
    """GlorotUniform and glorot_uniform are the same name."""
    return "".join("_" + c.lower() if c.isupper() and i else c for i, c in enumerate(name)).lower()
