"""EfficientNet, ConvNeXt, MobileNetV3: what they want is part of their models."""

from __future__ import annotations

from typing import Any

from ..tensor import as_tensor

__all__ = ["preprocess_input"]


def preprocess_input(x: Any, data_format: Any = None) -> Any:
    """The pixels as they are."""
    return as_tensor(x)
