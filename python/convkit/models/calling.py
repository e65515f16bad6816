"""What a model does when it is called on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..core import random
from ..core.config import flag
from ..core.parameters import Array
from ..layers.image_layer import ImageChain
from ..layers.step_context import StepContext
from ..training.images import as_images, check_images


def compute(model: Any, inputs: Any, training: Any) -> Any:
    """The outputs for one batch, as in inference.

    A model of layers that only transform images does what it does in training, as in Keras, unless
    `training` is False; each call draws other random numbers.

    Raises:
        ValueError: `training` is True of any other model.
    """
    if training is None or flag(training, "training", f'model "{model.name}"'):
        images = _augmented(model, inputs)
        if images is not None:
            return images
        if training is not None:
            raise ValueError("a model computes as in inference when it is called; fit trains")
    return model.predict_on_batch(inputs)


def _augmented(model: Any, inputs: Any) -> Array | None:
    """What layers that transform images make of them; None if a model has others."""
    layers = _opened(model)
    if isinstance(inputs, Mapping) or not any(layer.has_phases for layer in layers):
        return None
    if not all(vars(type(layer)).get("transforms_images") for layer in layers):
        return None
    images = as_images(inputs)
    is_single = images.ndim == 3
    images = images[np.newaxis] if is_single else images
    graph = model._build_for([images])
    chain = graph.as_chain()
    if chain is None:
        return None
    check_images(images, graph.inputs[0].sizes)
    context = StepContext(True, random.seed(), random.next_call())
    made = ImageChain(chain, images.shape[1:])(images, context)
    return made[0] if is_single else made


def _opened(model: Any) -> list[Any]:
    """The layers that compute, those of models that are layers in their place."""
    found: list[Any] = []
    for layer in model.layers:
        if hasattr(layer, "_engine"):
            found += _opened(layer)
        elif type(layer).__name__ != "InputLayer":
            found.append(layer)
    return found
