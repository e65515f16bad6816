"""Layers of one's own beside Keras: the same class bodies, weights, outputs, and training step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from own_layers import classes
from peer_keras import WITH_KERAS

pytestmark = WITH_KERAS


def network(library: Any) -> Any:
    layers = library.layers
    residual, gate = classes(library)
    inputs = library.Input((8, 8, 3), name="images")
    x = residual(4, name="first")(inputs)
    shared = residual(4, name="twice")
    x = shared(shared(x))
    y, z = gate(5, name="gate")([x, inputs])
    y = layers.Flatten(name="flat")(y)
    return library.Model(
        inputs, layers.Dense(3, "softmax", name="classes")(layers.Concatenate(name="both")([y, z]))
    )


def test_the_same_class(keras: Any) -> None:
    """One SGD step from the same weights gives the same weights, to a few roundings of each sum."""
    theirs, ours = network(keras), network(convkit)
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    assert ours.count_params() == theirs.count_params()
    trainable = [[tuple(w.shape) for w in model.trainable_weights] for model in (ours, theirs)]
    assert trainable[0] == trainable[1]
    rng = np.random.default_rng(0)
    weights = [
        weight + rng.normal(0.0, 0.1, weight.shape).astype(np.float32)
        for weight in theirs.get_weights()
    ]
    for i, variable in enumerate(theirs.weights):
        if "variance" in variable.path:
            weights[i] = np.abs(weights[i]) + np.float32(0.1)
    theirs.set_weights(weights)
    ours.set_weights(weights)
    x, y = rng.random((6, 8, 8, 3), np.float32), np.arange(6) % 3
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-6
    )
    losses = []
    for library, model in ((convkit, ours), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        losses.append(np.ravel(model.train_on_batch(x, y))[0])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_model_with_a_call(keras: Any) -> None:
    """Its layers and weights are in the attributes' order, its outputs and steps the same."""
    models = []
    for library in (convkit, keras):
        block = classes(library)[0]

        class Network(library.Model):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.head = library.layers.Dense(3, "softmax")  # noqa: B023
                self.blocks = [block(4), block(4)]  # noqa: B023
                self.flat = library.layers.Flatten()  # noqa: B023

            def call(self, x: Any, training: Any = None) -> Any:
                for each in self.blocks:
                    x = each(x, training=training)  # or Keras's would not train
                return self.head(self.flat(x))

        models.append(Network())
    ours, theirs = models
    x, y = np.random.default_rng(0).random((6, 8, 8, 3), np.float32), np.arange(6) % 3
    theirs(x)
    ours.build((None, 8, 8, 3))
    assert [w.shape for w in ours.weights] == [tuple(w.shape) for w in theirs.weights]
    ours.set_weights(theirs.get_weights())
    kinds = [[type(layer).__name__ for layer in model.layers] for model in models]
    assert kinds[0] == kinds[1]
    for library, model in ((convkit, ours), (keras, theirs)):
        model.compile(library.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=6, shuffle=False, verbose=0)
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_names_and_configurations(keras: Any) -> None:
    keras.utils.clear_session()
    convkit.utils.clear_session()
    theirs, ours = (classes(library)[0](4, trainable=False) for library in (keras, convkit))
    assert ours.name == theirs.name == "residual"
    described = {key: each for key, each in theirs.get_config().items() if key != "dtype"}
    assert described.items() <= ours.get_config().items()
    theirs(keras.Input((8, 8, 4)))
    ours(convkit.Input((8, 8, 4)))
    for kind in ("weights", "trainable_weights", "non_trainable_weights"):
        assert len(getattr(ours, kind)) == len(getattr(theirs, kind)), kind
    assert ours.trainable_weights == []
