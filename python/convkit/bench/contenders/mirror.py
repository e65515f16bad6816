"""A convkit model as the NumPy contenders': the same layers with the same present weights."""

from __future__ import annotations

from functools import partial

import numpy as np

from ... import layers
from ...models import Model
from ..shapes import Step, training_steps
from . import numpy_plain as plain
from .numpy_conv2d import Conv2D
from .numpy_layers import Array, BatchNorm, Dense, Dropout, Flatten, MaxPool2D, ReLU
from .numpy_model import NumpyModel, Recipe
from .numpy_plain import PlainModel


def mirror(model: Model, batch_size: int) -> NumpyModel:
    """The tuned contender's copy of a built convkit classifier that ends in a softmax.

    Without dropout, whose random numbers are another generator's, it gives convkit's losses and
    weights to float32 accuracy.

    Raises:
        ValueError: a layer, or a setting of one, that the contender does not have.
    """
    if model.input_shape is None:
        raise ValueError("the model has no input shape yet; build it first")
    sample = tuple(size or 0 for size in model.input_shape[1:])
    recipes = [_recipe(step) for step in _supported_steps(model)]
    return NumpyModel(recipes, (batch_size, *sample))


def plain_mirror(model: Model, convolution: type[plain.Conv2D] = plain.Conv2D) -> PlainModel:
    """The same for the textbook contender, for batches of any size.

    Another class of convolutions makes it another contender.
    """
    made: list[plain.Layer] = []
    for step in _supported_steps(model):
        made.append(_plain(step, convolution))
        if step.relu:
            made.append(plain.ReLU())
    return PlainModel(made)


def _recipe(step: Step) -> Recipe:
    layer, weights = step.layer, _weights(step.layer)
    if isinstance(layer, layers.Conv2D):
        return Recipe(partial(Conv2D, padding=layer.padding, relu=step.relu), weights)
    if isinstance(layer, layers.Dense):
        return Recipe(partial(Dense, relu=step.relu), weights)
    if isinstance(layer, layers.BatchNormalization):
        gamma, beta, moving_mean, moving_variance = weights
        make = partial(
            BatchNorm,
            moving_mean=moving_mean,
            moving_variance=moving_variance,
            momentum=layer.momentum,
            epsilon=layer.epsilon,
            relu=step.relu,
        )
        return Recipe(make, (gamma, beta))
    if isinstance(layer, layers.MaxPooling2D):
        return Recipe(MaxPool2D)
    if isinstance(layer, layers.Dropout):
        return Recipe(partial(Dropout, rate=layer.rate))
    return Recipe(Flatten if isinstance(layer, layers.Flatten) else ReLU)


def _plain(step: Step, convolution: type[plain.Conv2D]) -> plain.Layer:
    layer, weights = step.layer, _weights(step.layer)
    if isinstance(layer, layers.Conv2D):
        return convolution(*weights, padding=layer.padding)
    if isinstance(layer, layers.Dense):
        return plain.Dense(*weights)
    if isinstance(layer, layers.BatchNormalization):
        return plain.BatchNorm(*weights, momentum=layer.momentum, epsilon=layer.epsilon)
    if isinstance(layer, layers.MaxPooling2D):
        return plain.MaxPool2D()
    if isinstance(layer, layers.Dropout):
        return plain.Dropout(layer.rate)
    return plain.Flatten() if isinstance(layer, layers.Flatten) else plain.ReLU()


def _weights(layer: layers.Layer) -> tuple[Array, ...]:
    return tuple(np.asarray(weight, np.float32) for weight in layer.get_weights())


def _supported_steps(model: Model) -> list[Step]:
    """The steps up to the logits, all of which the contenders have."""
    steps = training_steps(model)
    for layer in (step.layer for step in steps):
        if isinstance(layer, layers.Conv2D):
            if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or layer.groups != 1:
                raise _missing(layer, "convolutions with strides, dilation or groups")
            _check_biased(layer)
        elif isinstance(layer, layers.Dense):
            _check_biased(layer)
        elif isinstance(layer, layers.BatchNormalization):
            if not (layer.center and layer.scale):
                raise _missing(layer, "a normalisation without gamma or beta")
        elif isinstance(layer, layers.MaxPooling2D):
            if not layer.pool_size == layer.strides == (2, 2) or layer.padding != "valid":
                raise _missing(layer, "windows other than 2x2 with strides 2x2 and no padding")
        elif not (
            isinstance(layer, layers.Flatten | layers.Dropout)
            or (isinstance(layer, layers.Activation) and layer.activation == "relu")
        ):
            raise _missing(layer, "such a layer")
    return steps


def _check_biased(layer: layers.Conv2D | layers.Dense) -> None:
    if not layer.use_bias:
        raise _missing(layer, "layers without a bias")


def _missing(layer: layers.Layer, what: str) -> ValueError:
    return ValueError(f"the NumPy contenders do not have {what}, received {layer!r}")
