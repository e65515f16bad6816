"""What layers that transform images do in inference, as the operators of ONNX and PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Array
from ..layers.image_layer import ImageLayer
from ..layers.step_context import INFERENCE
from ..ops._image_steps import Affine, Resample
from .layer_operators import operators_of
from .operator import Operator
from .place import Place

_LAYERS: tuple[type[ImageLayer], ...] = (
    layers.CenterCrop,
    layers.RandomBrightness,
    layers.RandomColorJitter,
    layers.RandomContrast,
    layers.RandomCrop,
    layers.RandomErasing,
    layers.RandomFlip,
    layers.RandomGrayscale,
    layers.RandomHue,
    layers.RandomInvert,
    layers.RandomRotation,
    layers.RandomSaturation,
    layers.RandomShear,
    layers.RandomTranslation,
    layers.RandomZoom,
    layers.Resizing,
)


def _transform(layer: Any, place: Place) -> Iterator[Operator]:
    """Nothing for augmentation; a cut or a border is a Pad, a resampling two products."""
    (height, width, _), name = place.sizes[0], layer.name
    for step in layer.image_steps(1, place.sizes[0], INFERENCE):
        yield from place.to_first(name)
        if isinstance(step, Affine):
            left, top = (-int(step.matrices[0, place]) for place in (2, 5))
            if not step.is_within and step.fill_value != 0.0:
                raise layer.error("operators of ONNX and PyTorch that pad do so with zeros")
            bottom, right = step.height - height - top, step.width - width - left
            yield Operator("Pad", (), {"pads": (top, left, bottom, right)}, f"{name}/pad")
            height, width = step.height, step.width
        else:
            assert isinstance(step, Resample)
            turn = {"perm": (0, 1, 3, 2)}
            yield Operator("MatMul", (_matrix(step.columns, width),), {}, f"{name}/columns")
            yield Operator("Transpose", (), turn, f"{name}/turn")
            yield Operator("MatMul", (_matrix(step.rows, height),), {}, f"{name}/rows")
            yield Operator("Transpose", (), turn, name)


def _matrix(axis: tuple[Array, Array], size: int) -> Array:
    """What each of `size` inputs is counted with in each output, (size, out)."""
    indices, weights = axis
    matrix = np.zeros((size, len(indices)), np.float32)
    np.add.at(matrix, (indices, np.arange(len(indices))[:, np.newaxis]), weights)
    return matrix


for _kind in _LAYERS:
    operators_of.register(_kind)(_transform)
