"""Graphs of layers beside Keras: the same script, the same order of layers and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from peer_keras import WITH_KERAS

pytestmark = WITH_KERAS


def network(library: Any) -> Any:
    """Residual blocks, a gate, upsampling, a concatenation, and two outputs."""
    layers = library.layers
    inputs = library.Input((16, 16, 3), name="images")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(inputs)
    for name, filters, strides in (("one", 8, 1), ("two", 16, 2)):
        y = layers.Conv2D(filters, 3, strides, "same", use_bias=False, name=f"{name}_a")(x)
        y = layers.BatchNormalization(name=f"{name}_norm")(y)
        y = layers.Activation("relu", name=f"{name}_relu")(y)
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_b")(y)
        y = layers.BatchNormalization(name=f"{name}_last")(y)
        if strides > 1:
            x = layers.Conv2D(filters, 1, strides, name=f"{name}_short")(x)
        x = layers.ReLU(name=f"{name}_end")(layers.Add(name=f"{name}_add")([x, y]))
    pooled = layers.GlobalAveragePooling2D(name="pooled")(x)
    gate = layers.Dense(16, activation="sigmoid", name="gate")(pooled)
    x = layers.Multiply(name="gated")([x, layers.Reshape((1, 1, 16), name="wide")(gate)])
    side = layers.Conv2D(4, 1, name="side")(inputs)
    x = layers.Concatenate(name="both")([layers.UpSampling2D(2, name="up")(x), side])
    x = layers.SeparableConv2D(8, 3, padding="same", activation="swish", name="separable")(x)
    x = layers.Flatten(name="flat")(layers.AveragePooling2D(4, name="means")(x))
    classes = layers.Dense(5, activation="softmax", name="classes")(x)
    return library.Model(inputs, [classes, layers.Dense(1, name="number")(pooled)])


def test_the_same_network(keras: Any) -> None:
    """One SGD step from the same weights gives the same weights, to a few roundings of each sum."""
    theirs, ours = network(keras), network(convkit)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    rng = np.random.default_rng(0)
    weights = [
        weight + rng.normal(0.0, 0.05, weight.shape).astype(np.float32)
        for weight in theirs.get_weights()
    ]
    for i, variable in enumerate(theirs.weights):
        if "variance" in variable.path:
            weights[i] = np.abs(weights[i]) + np.float32(0.1)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    x = rng.random((8, 16, 16, 3), np.float32)
    y = [np.arange(8) % 5, rng.random((8, 1), np.float32)]
    for one, other in zip(ours.predict(x, verbose=0), theirs.predict(x, verbose=0), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    losses = ["sparse_categorical_crossentropy", "mse"]
    results = []
    for library, model in ((convkit, ours), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), losses, loss_weights=[1.0, 0.3])
        results.append(model.train_on_batch(x, y))
    assert results[0] == pytest.approx(results[1], rel=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=2e-6)
