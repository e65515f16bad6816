"""VGG, ResNet: blue first, without the means of ImageNet's colours."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import layers
from ..tensor import as_tensor, is_symbolic

__all__ = ["preprocess_input"]
_MEANS = np.array([103.939, 116.779, 123.68], np.float32)  # blue, green, red


def preprocess_input(x: Any, data_format: Any = None, mode: str = "caffe") -> Any:
    """Pixels of 0 .. 255 as the weights want them; in a model, a layer that does not learn."""
    if mode != "caffe":
        from . import imagenet, range1

        return (range1 if mode == "tf" else imagenet).preprocess_input(x)
    if not is_symbolic(x):
        return as_tensor(np.asarray(x, np.float32)[..., ::-1] - _MEANS)
    exchange = layers.Conv2D(3, 1, trainable=False)
    made = exchange(x)
    exchange.set_weights([np.eye(3, dtype=np.float32)[::-1].reshape(1, 1, 3, 3), -_MEANS])
    return made
