"""Models beside Keras in float32: the losses of every training step, names, counts, evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, random_array
from peer_keras import WITH_KERAS, Make, keras

pytestmark = WITH_KERAS


OPTIMIZERS: list[Make] = [
    lambda m: m.optimizers.SGD(),
    lambda m: m.optimizers.SGD(0.05, 0.9),
    lambda m: m.optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    lambda m: m.optimizers.SGD(0.05, weight_decay=0.1),
    lambda m: m.optimizers.Adam(),
    lambda m: m.optimizers.Adam(0.01, 0.8, 0.99, 1e-3),
    lambda m: m.optimizers.Adam(learning_rate=0.01, weight_decay=0.1),
    lambda m: m.optimizers.AdamW(),
    lambda m: m.optimizers.AdamW(0.01, 0.2),
    lambda m: m.optimizers.RMSprop(),
    lambda m: m.optimizers.RMSprop(0.003, 0.8),
    lambda m: m.optimizers.RMSprop(0.003, momentum=0.9, epsilon=1e-3),
    *(
        lambda m, name=name: m.optimizers.get(name)
        for name in ("sgd", "adam", "adamw", "rmsprop", "SGD", "RMSprop")
    ),
]


def small(m: Any) -> Any:
    return m.Sequential(
        [
            m.Input((8, 8, 3)),
            m.layers.Conv2D(8, 3, activation="relu"),
            m.layers.MaxPooling2D(),
            m.layers.Flatten(),
            m.layers.Dense(5, activation="softmax"),
        ]
    )


def padded(m: Any) -> Any:
    """A chain of what newer notebooks use: rescaling, padding, depthwise convolutions."""
    return m.Sequential(
        [
            m.layers.Rescaling(1.0 / 2, offset=-0.5, input_shape=(8, 8, 3))
            if m is convkit
            else m.layers.Rescaling(1.0 / 2, offset=-0.5),
            m.layers.ZeroPadding2D(((0, 1), (0, 1))),
            m.layers.Conv2D(16, 3, strides=2, use_bias=False, kernel_initializer="he_normal"),
            m.layers.BatchNormalization(momentum=0.9),
            m.layers.ReLU(),
            m.layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            m.layers.Conv2D(12, 1, activation="elu"),
            m.layers.LeakyReLU(0.1),
            m.layers.GlobalAveragePooling2D(),
            m.layers.Reshape((3, 4)),
            m.layers.Flatten(),
            m.layers.Dense(5, activation="softmax"),
        ]
    )


def averaged(m: Any) -> Any:
    return m.Sequential(
        [
            m.Input((8, 8, 3)),
            m.layers.Conv2D(12, 5, padding="same", activation="tanh"),
            m.layers.AveragePooling2D(2),
            m.layers.Conv2D(20, 3, padding="same"),
            m.layers.Activation("gelu"),
            m.layers.Conv2D(20, 1, activation=m.activations.swish),
            m.layers.PReLU(shared_axes=[1, 2]),
            m.layers.GlobalMaxPooling2D(),
            m.layers.Dense(16, activation="sigmoid"),
            m.layers.Dense(5, activation="softmax"),
        ]
    )


def zoo(name: str) -> Make:
    """One of the three models, without dropout; Keras's is made layer by layer from convkit's."""

    def make(m: Any) -> Any:
        ours = getattr(convkit.zoo, name)()
        for layer in ours.layers:
            if isinstance(layer, convkit.layers.Dropout):
                layer.rate = 0.0
        if m is convkit:
            return ours
        from convkit.bench.contenders.keras_model import to_keras

        return to_keras(ours)

    return make


def data(sizes: tuple[int, ...], classes: int, count: int) -> tuple[Array, Array]:
    return random_array("images", (count, *sizes)), np.arange(count) * 7 % classes


def losses_by_step(
    m: Any, model: Any, x: Array, y: Array, batch_size: int, **options: Any
) -> tuple[Array, Any]:
    """Train; return the loss of each step, and the history."""
    means: list[float] = []

    class Record(m.callbacks.Callback):  # type: ignore[name-defined, misc]
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            means.append(float(logs["loss"]))

    history = model.fit(
        x, y, batch_size=batch_size, shuffle=False, verbose=0, callbacks=[Record()], **options
    )
    # Both sides report the mean since the epoch began.
    steps = np.arange(1, len(means) + 1)
    return np.diff(means * steps, prepend=0.0), history


def train_both(
    make: Make, optimizer: Make, loss: Any, x: Array, y: Array, batch_size: int, **options: Any
) -> tuple[Any, Any]:
    keras.utils.set_random_seed(0)
    convkit.utils.set_random_seed(0)
    results = []
    weights: list[Array] | None = None
    for m in (keras, convkit):
        model = make(m)
        model.build((None, *x.shape[1:]))
        if weights is None:
            weights = model.get_weights()
        model.set_weights(weights)
        chosen = loss(m) if callable(loss) else loss
        model.compile(optimizer=optimizer(m), loss=chosen, metrics=["accuracy"])
        results.append(losses_by_step(m, model, x, y, batch_size, **options))
    return results[0], results[1]


# By how much the losses of the first steps of two float32 trainings may differ, relatively.
#
# A step's loss is a mean of numbers near log(classes), each a sum of a few hundred roundings of
# eps / 2 = 6e-8: some 1e-7 before anything was learnt, and what the weights are off after that. Two
# things make that more: Adam and RMSprop divide a gradient by its own size, so that a weight whose
# gradient is little more than rounding moves a whole step in either direction; and a rounding may
# turn over a ReLU or the maximum of a window, which moves its gradient to another weight. Either
# effect is a multiple of the learning rate: with Adam at 3e-4 Keras's own losses in float32 and
# float64 are up to 1.2e-3 apart after six steps of the CIFAR-10 model, which has a million ReLUs a
# step. So the three large models are trained at small rates, the small ones at any.
STEP = 2e-5


@pytest.mark.parametrize("case", range(len(OPTIMIZERS)))
def test_optimizers(case: int) -> None:
    x, y = data((8, 8, 3), 5, 64)
    expected, actual = train_both(
        small, OPTIMIZERS[case], "sparse_categorical_crossentropy", x, y, 8
    )
    assert len(actual[0]) == len(expected[0]) == 8
    np.testing.assert_allclose(actual[0], expected[0], rtol=STEP)
    assert actual[0][-1] != actual[0][0]


CAREFUL: list[Make] = [
    lambda m: m.optimizers.SGD(0.001, 0.9),
    lambda m: m.optimizers.Adam(1e-5),
    lambda m: m.optimizers.RMSprop(1e-5),
]


@pytest.mark.parametrize("name", ["mnist_cnn", "fashion_mnist_cnn", "cifar10_cnn"])
@pytest.mark.parametrize("case", range(len(CAREFUL)))
def test_trainings_of_the_three_models(name: str, case: int) -> None:
    sizes = (32, 32, 3) if name == "cifar10_cnn" else (28, 28, 1)
    x, y = data(sizes, 10, 96)
    x = 0.5 + x / 8  # the size of pixels
    loss = "sparse_categorical_crossentropy"
    expected, actual = train_both(zoo(name), CAREFUL[case], loss, x, y, 16)
    assert len(actual[0]) == len(expected[0]) == 6
    np.testing.assert_allclose(actual[0], expected[0], rtol=STEP)


SCRIPTS: list[tuple[Make, Any, Callable[[Array], Array]]] = [
    (padded, "sparse_categorical_crossentropy", lambda y: y),
    (averaged, "sparse_categorical_crossentropy", lambda y: y[:, None]),
    (padded, "categorical_crossentropy", lambda y: np.eye(5)[y]),
    (
        averaged,
        lambda m: m.losses.CategoricalCrossentropy(label_smoothing=0.1),
        lambda y: np.eye(5)[y],
    ),
    (small, "mse", lambda y: np.eye(5)[y]),
    (small, "mae", lambda y: np.eye(5)[y]),
    (averaged, "binary_crossentropy", lambda y: np.eye(5)[y]),
]


@pytest.mark.parametrize("case", range(len(SCRIPTS)))
def test_trainings_of_other_models(case: int) -> None:
    """With what `fit` returns: the same keys, and the same numbers, over two epochs."""
    make, loss, targets = SCRIPTS[case]
    x, y = data((8, 8, 3), 5, 60)
    expected, actual = train_both(
        make, lambda m: "adam", loss, x, targets(y), 8, epochs=2, validation_split=0.2
    )
    theirs, ours = expected[1], actual[1]
    assert ours.epoch == theirs.epoch == [0, 1]
    assert set(ours.history) == set(theirs.history)
    for key, values in theirs.history.items():
        np.testing.assert_allclose(ours.history[key], values, rtol=STEP, err_msg=key)


def test_a_binary_classifier() -> None:
    def cats_and_dogs(m: Any) -> Any:
        return m.Sequential(
            [
                m.Input((8, 8, 3)),
                m.layers.Conv2D(8, 3, activation="relu"),
                m.layers.Flatten(),
                m.layers.Dense(1, activation="sigmoid"),
            ]
        )

    x, y = data((8, 8, 3), 2, 60)
    for loss in ("binary_crossentropy", "mse"):
        expected, actual = train_both(
            cats_and_dogs, lambda m: "rmsprop", loss, x, y, 8, validation_split=0.2
        )
        assert set(actual[1].history) == set(expected[1].history)
        for key, values in expected[1].history.items():
            np.testing.assert_allclose(actual[1].history[key], values, rtol=STEP, err_msg=key)


# What users do with a model besides.


def test_names_counts_and_shapes_of_models() -> None:
    for name, make in [("mnist_cnn", zoo("mnist_cnn")), ("small", small), ("averaged", averaged)]:
        keras.utils.clear_session()
        convkit.utils.clear_session()
        theirs, ours = make(keras), make(convkit)
        assert ours.count_params() == theirs.count_params(), name
        assert ours.output_shape == theirs.output_shape
        assert ours.input_shape == theirs.input_shape
        assert [tuple(w.shape) for w in ours.get_weights()] == [
            tuple(w.shape) for w in theirs.get_weights()
        ]
        if make is not zoo:
            assert [type(la).__name__ for la in ours.layers] == [
                type(la).__name__ for la in theirs.layers
            ]
        for attribute in ("weights", "trainable_weights", "non_trainable_weights"):
            assert len(getattr(ours, attribute)) == len(getattr(theirs, attribute))
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert ours.get_layer("dense").units == theirs.get_layer("dense").units
    assert ours.get_layer(index=1).name == theirs.get_layer(index=1).name
    for model in (theirs, ours):
        with pytest.raises(ValueError, match="nothing"):
            model.get_layer("nothing")
        with pytest.raises(ValueError, match="99"):
            model.get_layer(index=99)
        for wrong in ({}, {"name": "dense", "index": 0}):
            with pytest.raises(ValueError, match="name"):
                model.get_layer(**wrong)
        assert model.pop().name == "dense_1"
        assert len(model.layers) == 8


def test_evaluate_and_predict() -> None:
    x, y = data((8, 8, 3), 5, 40)
    y = np.eye(5)[y]
    outcomes = []
    weights = None
    for m in (keras, convkit):
        model = averaged(m)
        weights = weights or model.get_weights()
        model.set_weights(weights)
        model.compile("sgd", "categorical_crossentropy", metrics=["accuracy", "mse"])
        outcomes.append(
            (
                model.evaluate(x, y, verbose=0),
                model.evaluate(x, y, batch_size=16, verbose=0, return_dict=True),
                model.predict(x, verbose=0),
                model.predict_on_batch(x[:3]),
            )
        )
    theirs, ours = outcomes
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert ours[1] == pytest.approx(theirs[1], rel=1e-6)
    np.testing.assert_allclose(ours[2], theirs[2], atol=1e-6)
    np.testing.assert_allclose(ours[3], theirs[3], atol=1e-6)
