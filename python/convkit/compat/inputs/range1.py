"""Inception, Xception, MobileNet: -1 .. 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import layers
from ..tensor import as_tensor, is_symbolic

__all__ = ["preprocess_input"]


def preprocess_input(x: Any, data_format: Any = None) -> Any:
    """Pixels of 0 .. 255 as -1 .. 1; in a model, a layer."""
    if is_symbolic(x):
        return layers.Rescaling(1 / 127.5, -1.0)(x)
    return as_tensor(np.asarray(x, np.float32) / 127.5 - 1)
