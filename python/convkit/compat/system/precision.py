"""`keras.mixed_precision`: everything is float32."""

from __future__ import annotations

from typing import Any

from .. import notes
from ..optimizers import LossScaleOptimizer

__all__ = [
    "LossScaleOptimizer",
    "Policy",
    "dtype_policy",
    "experimental_global_policy",
    "global_policy",
    "set_dtype_policy",
    "set_global_policy",
    "set_policy",
]


class Policy:
    """What types layers compute with; float32 in any case.

    Attributes:
        name: as it was given.
        compute_dtype, variable_dtype: "float32".
    """

    compute_dtype = variable_dtype = "float32"

    def __init__(self, name: str = "float32", *arguments: Any, **options: Any) -> None:
        self.name = name


def set_global_policy(policy: Any) -> None:
    """Everything is float32; another type is noted."""
    name = getattr(policy, "name", policy)
    if name != "float32":
        notes.ignored(f"mixed_precision {name!r}", "everything is float32")


set_policy = set_dtype_policy = set_global_policy


def global_policy() -> Policy:
    """float32."""
    return Policy()


dtype_policy = experimental_global_policy = global_policy
