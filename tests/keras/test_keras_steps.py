"""One step of SGD beside Keras: every weight of a model in which layers meet others, in float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import random_array
from peer_keras import WITH_KERAS, Make, assert_same_weights, keras

pytestmark = WITH_KERAS


def normalised(m: Any) -> list[Any]:
    return [
        m.layers.Conv2D(8, 3, padding="same"),
        m.layers.LayerNormalization(),
        m.layers.ReLU(),
        m.layers.Conv2D(12, 3, use_bias=False),
        m.layers.GroupNormalization(4, gamma_regularizer="l2"),
        m.layers.Activation("gelu"),
        m.layers.GroupNormalization(-1, scale=False),
        m.layers.MaxPooling2D(),
        m.layers.LayerNormalization((1, 2, 3)),
        m.layers.Flatten(),
        m.layers.LayerNormalization(center=False, scale=False),
    ]


def transposed(m: Any) -> list[Any]:
    return [
        m.layers.Conv2D(8, 3, strides=2, activation="relu"),
        m.layers.Conv2DTranspose(6, 3, strides=2, activation="relu", kernel_regularizer="l2"),
        m.layers.BatchNormalization(),
        m.layers.Conv2DTranspose(4, (4, 2), use_bias=False),
        m.layers.Conv2DTranspose(4, 3, 2, "same", output_padding=1, activation="tanh"),
        m.layers.AveragePooling2D(3),
        m.layers.Conv2DTranspose(5, 3, dilation_rate=2),
        m.layers.ReLU(),
    ]


def separable(m: Any) -> list[Any]:
    return [
        m.layers.SeparableConv2D(8, 3, padding="same", activation="relu"),
        m.layers.SeparableConv2D(6, 3, depth_multiplier=2, depthwise_regularizer="l2"),
        m.layers.BatchNormalization(),
        m.layers.ReLU(),
        m.layers.SeparableConv2D(7, 2, strides=2, use_bias=False, pointwise_regularizer="l2"),
        m.layers.MaxPooling2D(),
    ]


MODELS: list[Make] = [normalised, transposed, separable]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("make", MODELS, ids=lambda make: make.__name__)
def test_one_step(make: Make, frozen: bool) -> None:
    x, y = random_array("images", (12, 8, 8, 3)), np.arange(12) * 7 % 5
    made = []
    for m in (keras, convkit):
        m.utils.set_random_seed(1)
        layers = [m.Input((8, 8, 3)), *make(m), m.layers.Flatten(), m.layers.Dense(5, "softmax")]
        model = m.Sequential(layers)
        if frozen:
            for layer in model.layers[1::2]:
                layer.trainable = False
        model.compile(m.optimizers.SGD(0.5), "sparse_categorical_crossentropy")
        made.append(model)
    theirs, ours = made
    weights = [random_array(w.path, w.shape) * 0.2 + ("gamma" in w.path) for w in ours.weights]
    weights = [
        np.abs(w) if "variance" in p.path else w for w, p in zip(weights, ours.weights, strict=True)
    ]
    for model in (theirs, ours):
        model.set_weights(weights)
    losses = [float(model.train_on_batch(x, y)) for model in (theirs, ours)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=2e-5)
    assert_same_weights(ours, theirs)
    for before, parameter in zip(weights, ours.weights, strict=True):
        if parameter.has_gradient:
            moved = not np.array_equal(before, parameter.value)
            assert moved != parameter.frozen, parameter.path
