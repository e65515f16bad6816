"""`tf.GradientTape`: gradients as those of training steps and of differences, and steps of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import Array
from convkit.compat import keras
from convkit.compat import tensorflow as tf

layers = keras.layers
RNG = np.random.default_rng(0)
X = RNG.random((6, 6, 6, 2)).astype(np.float32)
Y = np.arange(6) % 3


def chain() -> Any:
    tf.random.set_seed(1)
    model = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3, activation="relu")])
    for each in (layers.BatchNormalization(), layers.MaxPooling2D(), layers.Flatten()):
        model.add(each)
    model.add(layers.Dense(3))
    return model


def branches() -> Any:
    tf.random.set_seed(1)
    inputs = keras.Input((6, 6, 2))
    a = layers.Conv2D(2, 3, padding="same", activation="tanh")(inputs)
    b = layers.Multiply()([layers.Add()([a, inputs]), a])
    inner = keras.Sequential([layers.Conv2D(3, 1), layers.GlobalAveragePooling2D()])
    return keras.Model(inputs, layers.Concatenate()([inner(b), layers.Dense(3)(inner(a))]))


LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.mark.parametrize("make", [chain, branches])
def test_steps_are_those_of_train_on_batch(make: Any) -> None:
    model, twin = make(), make()
    twin.compile(keras.optimizers.SGD(0.1, momentum=0.9), LOSS)
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
    for _ in range(3):
        with tf.GradientTape() as tape:
            loss = LOSS(Y, model(X, training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        assert float(loss) == pytest.approx(twin.train_on_batch(X, Y), rel=1e-5)
    for own, other in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-4, atol=1e-6)


def difference(function: Any, x: Array, at: tuple[int, ...], step: float = 1e-2) -> float:
    values = []
    for sign in (1, -1):
        moved = x.copy()
        moved[at] += sign * step
        values.append(float(np.asarray(function(moved))))
    return (values[0] - values[1]) / (2 * step)


@pytest.mark.parametrize("make", [chain, branches])
def test_gradients_by_the_image_in_inference(make: Any) -> None:
    model = make()
    weights = model.get_weights()
    model.set_weights([each + 0.1 * RNG.random(each.shape) for each in weights])

    def total(images: Any) -> Any:
        return tf.reduce_sum(tf.square(model(images)))

    images = tf.constant(X)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(images)
        value = total(images)
    slopes = tape.gradient(value, images)
    assert type(images) is type(tf.constant(1.0)), "it is a tensor like others again"
    for at in ((0, 0, 0, 0), (3, 2, 4, 1), (5, 5, 5, 0)):
        found = difference(total, X, at)
        np.testing.assert_allclose(slopes[at], found, rtol=0.03, atol=2e-3)
    for weight in model.trainable_weights:
        slope = tape.gradient(value, weight)
        before, at = weight.numpy(), (0,) * len(weight.shape)

        def by_weight(values: Array, weight: Any = weight) -> Any:
            weight.value = values
            return total(X)

        found = difference(by_weight, before, at)
        weight.value = before
        np.testing.assert_allclose(slope[at], found, rtol=0.03, atol=2e-3)


def test_what_is_watched() -> None:
    x, v = tf.constant([1.0, 2.0]), tf.Variable([3.0, 4.0])
    fixed = tf.Variable([1.0, 1.0], trainable=False)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        middle = x * v + fixed
        first = v[0] * 2
        result = tf.reduce_sum(middle * middle)
        with tape.stop_recording():
            still = tf.reduce_sum(v * v)
    sums = x.numpy() * v.numpy() + 1
    np.testing.assert_allclose(tape.gradient(result, middle), 2 * sums)
    found = tape.gradient(result, {"x": x, "v": v})
    np.testing.assert_allclose(found["x"], 2 * sums * v.numpy())
    np.testing.assert_allclose(found["v"], 2 * sums * x.numpy())
    np.testing.assert_allclose(tape.gradient(first, v), [2, 0])
    np.testing.assert_allclose(tape.gradient([first, first], [v], [3, 1])[0], [8, 0])
    assert tape.gradient(result, [fixed, x])[0] is None
    assert tape.gradient(still, v) is None
    zeros = tape.gradient(first, x, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    np.testing.assert_array_equal(zeros, [0, 0])
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        loss = tf.reduce_sum(chain()(X))
    assert tape.gradient(loss, chain().trainable_weights)[0] is None
    assert not isinstance(v * 2, tf.Variable)
    assert float(v[1]) == 4.0
    v += 1.0
    np.testing.assert_array_equal(v, [4, 5])
    assert isinstance(v, tf.Variable)
    with pytest.raises(ValueError, match="takes tensors"), tf.GradientTape() as tape:
        tape.watch(np.ones(2))


def test_a_gradient_of_a_gradient_is_refused() -> None:
    v = tf.Variable(2.0)
    with tf.GradientTape(), tf.GradientTape() as inner:
        y = v * v
        with pytest.raises(ValueError, match="gradient of a gradient"):
            inner.gradient(y, v)


def test_layers_are_recorded_where_they_are_called() -> None:
    first, second = layers.Dense(4, activation="relu"), layers.Dense(1)
    optimizer = keras.optimizers.Adam(0.05)
    x, losses = X.reshape(6, -1), []
    for _ in range(30):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(second(first(x)) - Y[:, np.newaxis]))
        weights = [*first.trainable_weights, *second.trainable_weights]
        grads = tape.gradient(loss, weights)
        optimizer.apply_gradients(zip(grads, weights, strict=True))
        losses.append(float(loss))
    assert losses[-1] < 0.5 * losses[0]


def test_an_optimizer_takes_weights_in_turn_and_remembers() -> None:
    """As one alone for each group, whether it met all from the beginning or one after the other."""
    values = [np.float32([1.0, 2.0]), np.float32([3.0])]
    both, apart = keras.optimizers.SGD(0.1, momentum=0.9), [None, None]
    apart = [keras.optimizers.SGD(0.1, momentum=0.9) for _ in values]
    own, others = ([tf.Variable(each) for each in values] for _ in range(2))
    for step in range(4):
        for i in range(2):
            g = np.full(values[i].shape, step + 1.0)
            both.apply_gradients([(g, own[i])])
            apart[i].apply_gradients([(g, others[i]), (None, own[1 - i])])
    for a, b in zip(own, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    assert both.iterations == 8
    with pytest.raises(ValueError, match="No gradients provided"):
        both.apply_gradients([(None, own[0])])
    rate = keras.optimizers.SGD(0.5)
    rate.apply([np.float32([2.0])], [own[1]])
    rate.minimize(lambda: tf.reduce_sum(own[1] * 0.0), [own[1]])
    np.testing.assert_allclose(own[1], others[1].numpy() - 1.0, rtol=1e-6)


def test_dropout_drops_anew_and_frozen_layers_have_no_gradients() -> None:
    drop = keras.Sequential([keras.Input((100,)), layers.Dropout(0.5)])
    ones = np.ones((2, 100), np.float32)
    made = [drop(ones, training=True).numpy() for _ in range(2)]
    assert not np.array_equal(*made)
    np.testing.assert_array_equal(drop(ones), ones)
    model = chain()
    model.layers[0].trainable = False
    kernel = model.layers[0].weights[0]
    with tf.GradientTape() as tape:
        loss = LOSS(Y, model(X, training=True))
    assert tape.gradient(loss, kernel) is None
    assert len(tape.watched_variables()) == len(model.trainable_weights)


def test_results_do_not_hold_what_they_were_computed_of() -> None:
    model, losses = chain(), []
    for _ in range(2):
        with tf.GradientTape() as tape:
            outputs = model(X, training=True)
            losses.append(LOSS(Y, outputs))
        assert losses[-1].sources
        assert tape.gradient(losses[-1], model.trainable_weights)[0] is not None
    assert not losses[0].sources, "its tape is gone"
    total = sum(losses)
    assert type(total) is type(tf.constant(1.0)), "nothing is recorded outside of a tape"
    assert total == pytest.approx(sum(map(float, losses)))
    assert type(outputs[0]) is type(tf.nn.softmax(outputs)[0]) is type(total)


def test_a_loss_outside_of_the_tape_has_no_gradient() -> None:
    model = chain()
    outputs = model(X, training=True)
    with tf.GradientTape() as tape:
        loss = LOSS(Y, outputs)
    assert tape.gradient(loss, model.trainable_weights) == [None] * len(model.trainable_weights)
