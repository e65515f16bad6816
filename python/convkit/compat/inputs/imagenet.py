"""DenseNet: mean 0 and deviation 1 of ImageNet's colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import layers
from ..tensor import as_tensor, is_symbolic

__all__ = ["preprocess_input"]
_MEANS, _DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def preprocess_input(x: Any, data_format: Any = None) -> Any:
    """Pixels of 0 .. 255, standardized; in a model, a layer."""
    scale = 1 / (255 * np.array(_DEVIATIONS))
    offset = -np.array(_MEANS) / _DEVIATIONS
    if is_symbolic(x):
        return layers.Rescaling(scale.tolist(), offset.tolist())(x)
    return as_tensor((np.asarray(x) * scale + offset).astype(np.float32))
