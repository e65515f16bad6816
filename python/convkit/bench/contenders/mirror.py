"""A convkit model as the NumPy contender's: the same layers with the same initial weights."""

from __future__ import annotations

from functools import partial

import numpy as np

from ... import layers
from ...models import Sequential
from ..shapes import Step, training_steps
from .numpy_conv2d import Conv2D
from .numpy_layers import Array, BatchNorm, Dense, Dropout, Flatten, MaxPool2D, ReLU
from .numpy_model import NumpyModel, Recipe


def mirror(model: Sequential, batch_size: int) -> NumpyModel:
    """The contender's copy of a built convkit classifier that ends in a softmax.

    Without dropout, whose random numbers are another generator's, it gives convkit's losses and
    weights to float32 accuracy.

    Raises:
        ValueError: a layer, or a setting of one, that the contender does not have.
    """
    if model.input_shape is None:
        raise ValueError("the model has no input shape yet; build it first")
    sample = tuple(size or 0 for size in model.input_shape[1:])
    return NumpyModel([_recipe(step) for step in training_steps(model)], (batch_size, *sample))


def _recipe(step: Step) -> Recipe:
    layer = step.layer
    weights = tuple(np.asarray(weight, np.float32) for weight in layer.get_weights())
    if isinstance(layer, layers.Conv2D):
        if layer.strides != (1, 1) or layer.dilation_rate != (1, 1) or layer.groups != 1:
            raise _missing(layer, "convolutions with strides, dilation or groups")
        _check_biased(layer)
        return Recipe(partial(Conv2D, padding=layer.padding, relu=step.relu), weights)
    if isinstance(layer, layers.Dense):
        _check_biased(layer)
        return Recipe(partial(Dense, relu=step.relu), weights)
    if isinstance(layer, layers.BatchNormalization):
        return _batchnorm(layer, weights, relu=step.relu)
    if isinstance(layer, layers.MaxPooling2D):
        if not layer.pool_size == layer.strides == (2, 2) or layer.padding != "valid":
            raise _missing(layer, "windows other than 2x2 with strides 2x2 and no padding")
        return Recipe(MaxPool2D)
    if isinstance(layer, layers.Flatten):
        return Recipe(Flatten)
    if isinstance(layer, layers.Dropout):
        return Recipe(partial(Dropout, rate=layer.rate))
    if isinstance(layer, layers.Activation) and layer.activation == "relu":
        return Recipe(ReLU)
    raise _missing(layer, "such a layer")


def _batchnorm(
    layer: layers.BatchNormalization, weights: tuple[Array, ...], *, relu: bool
) -> Recipe:
    if not (layer.center and layer.scale):
        raise _missing(layer, "a normalisation without gamma or beta")
    gamma, beta, moving_mean, moving_variance = weights
    make = partial(
        BatchNorm,
        moving_mean=moving_mean,
        moving_variance=moving_variance,
        momentum=layer.momentum,
        epsilon=layer.epsilon,
        relu=relu,
    )
    return Recipe(make, (gamma, beta))


def _check_biased(layer: layers.Conv2D | layers.Dense) -> None:
    if not layer.use_bias:
        raise _missing(layer, "layers without a bias")


def _missing(layer: layers.Layer, what: str) -> ValueError:
    return ValueError(f"the NumPy contender does not have {what}, received {layer!r}")
