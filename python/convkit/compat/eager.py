"""A model called on numbers: what its layers compute, one after the other, recorded or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import models
from .feeding import as_arrays
from .layerwise import through
from .recorded import numbers
from .records import open_tapes
from .tensor import as_tensor, is_recorded, standing


def compute(model: Any, inputs: Any, training: Any) -> Any:
    """The outputs for some numbers, as tensors; recorded ones while a `GradientTape` is open.

    A chain of layers that only transform images takes a single one, too, and images of any size;
    it changes them at random unless `training` is False. Other layers do what they do in training
    only if it is True.
    """
    x = as_arrays(standing(inputs), model)
    if not _transforms(model) and (training or open_tapes()):
        return _recorded(model, x, bool(training))
    if isinstance(model, models.Sequential) and (training or _transforms(model)):
        result = _chain(model, np.asarray(x), training)
    else:
        result = model.predict_on_batch(x)
    if isinstance(result, list | tuple):
        return [as_tensor(each) for each in result]
    return as_tensor(result)


def _recorded(model: Any, inputs: Any, training: bool) -> Any:
    several = list(inputs.values()) if isinstance(inputs, Mapping) else inputs
    given = list(several) if isinstance(several, list | tuple) else [several]
    if not is_recorded(given[0]):
        given = [each if is_recorded(each) else np.asarray(each) for each in given]
    graph = model._build_for([numbers(each) for each in given])
    return model._packed(through(graph, given, training))


def _transforms(model: Any) -> bool:
    """Whether all layers only transform images."""
    return bool(model.layers) and all(
        _transforms(layer) if isinstance(layer, models.Model) else _is_transform(layer)
        for layer in model.layers
    )


def _is_transform(layer: Any) -> bool:
    return bool(vars(type(layer)).get("transforms_images"))


def _chain(model: Any, x: Any, training: Any) -> Any:
    single = x.ndim == 3 and _transforms(model)
    x = x[np.newaxis] if single else x
    for layer in model.layers:
        if isinstance(layer, models.Sequential):
            x = _chain(layer, x, training)
        elif layer.has_phases and _is_transform(layer):
            x = layer(x, training=training is None or bool(training))
        else:
            x = layer(x, training=bool(training))
    return np.asarray(x)[0] if single else np.asarray(x)
