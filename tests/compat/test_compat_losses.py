"""Losses of scripts: their derived gradients against differences, and what has none."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.compat import keras
from convkit.compat import tensorflow as tf
from convkit.compat.losses import for_training
from convkit.compat.recorded import Recorded, derived, gradient
from convkit.compat.records import loss_of_a_script

K = keras.backend
RNG = np.random.default_rng(0)
P = RNG.uniform(0.1, 0.9, (5, 4, 3))
Y = (RNG.random((5, 4, 3)) > 0.5).astype(np.float64)
MASK = np.array([True, False, False, True])
WEIGHTS = RNG.random((5, 4))

# Functions of (y_true, y_pred), of NumPy's and of the backend's functions.
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "squares": lambda y, p: K.mean(K.square(p - y), axis=-1),
    "dice": lambda y, p: 1 - 2 * K.sum(K.flatten(y) * K.flatten(p)) / (K.sum(y) + K.sum(p)),
    "powers": lambda y, p: K.pow(1 - p, 2.5) * K.log(K.clip(p, 0.2, 0.7)) + 2.0**p + p**p,
    "extremes": lambda y, p: K.max(p, axis=1) - 3 * K.min(p, axis=1) + K.maximum(p, 0.5)[:, 0],
    "minima": lambda y, p: tf.minimum(p, y + 0.5) * tf.math.divide_no_nan(p, y),
    "places": lambda y, p: p[:, 1] * p[:, 0:1, 2] + tf.transpose(p, (1, 0, 2))[2] - p[..., 0, 1:2],
    "joined": lambda y, p: K.concatenate([p, 2 * p, y], 1) * K.stack([p[:, 0]] * 12, 1),
    "parts": lambda y, p: tf.split(p, [1, 2], axis=-1)[1] * tf.unstack(p, axis=2)[0][..., None],
    "taken": lambda y, p: tf.gather(p, [0, 0, 3], axis=1) * tf.tile(p[:, :1], [1, 3, 1]),
    "masked": lambda y, p: tf.boolean_mask(p, y > 0.5) * 2,
    "columns": lambda y, p: K.concatenate([tf.boolean_mask(p, MASK, axis=1), p[:, :2] * 2]),
    "own places": lambda y, p: tf.gather(p, K.argmax(y), batch_dims=2) * p[:, :, 1],
    "conditions": lambda y, p: K.switch(K.sum(y, axis=(1, 2)) > 5, p, p * p),
    "shapes": lambda y, p: K.batch_flatten(p) * K.expand_dims(K.reshape(p, (-1,))[7:12]),
    "squeezed": lambda y, p: tf.squeeze(p[:, :1]) * tf.repeat(p[:, 0], 1, axis=1),
    "spread": lambda y, p: K.std(p, axis=1) + K.var(p, axis=1) + tf.norm(p, axis=1),
    "waves": lambda y, p: tf.sin(p) * tf.cos(p) + tf.exp(-p) + tf.math.expm1(p),
    "roots": lambda y, p: K.sqrt(p) / p + tf.math.log1p(p) + K.abs(p - 0.5) - tf.math.rsqrt(p),
    "products": lambda y, p: tf.matmul(p, tf.transpose(p, (0, 2, 1))),
    "chosen": lambda y, p: tf.where(p > 0.5, p[:, :1], 2 * p) + K.switch(y > 0.5, p, p * p),
    "steps": lambda y, p: K.round(p) * p + tf.sign(p - 0.5) * p + K.cast(p > 0.5, "float32") * p,
    "shares": lambda y, p: p / tf.reduce_sum(p, axis=-1, keepdims=True) * [1.0, 2.0, 3.0] + p[0],
    "sums": lambda y, p: tf.add_n([p, y, p * p]) * tf.math.l2_normalize(p, axis=-1),
    "factors": lambda y, p: K.prod(p, axis=1) * K.prod(p - p[:, :1]) + tf.cumsum(p, axis=1)[:, 1],
    "borders": lambda y, p: tf.pad(p, [[0, 0], [1, 2], [0, 0]])[:, 1:5] * tf.reduce_logsumexp(p),
    "mirrored": lambda y, p: tf.pad(p, [[0, 0], [1, 1], [0, 0]], "REFLECT")[:, :4] * p,
    "largest": lambda y, p: tf.nn.top_k(p, 2).values * tf.sort(p, axis=-1)[..., :2],
    "lengths": lambda y, p: (
        tf.norm(p, ord=1, axis=1) * tf.nn.l2_loss(p) + tf.clip_by_norm(p[0], 2)[0]
    ),
    "transposed": lambda y, p: tf.matmul(p, p, transpose_b=True) + K.batch_dot(p, p, axes=(2, 2)),
    "listed": lambda y, p: tf.reduce_sum([tf.reduce_mean(p), K.sum(p * p), 1.0]) * K.sum(y),
    "several": lambda y, p: sum(each.mean(axis=0) for each in p) + (-p).sum(),
    "entropies": lambda y, p: (
        K.binary_crossentropy(y, p) + K.categorical_crossentropy(y, p)[..., None]
    ),
}
# These are computed by convkit's kernels, in float32.
KERNELS: dict[str, Callable[[Any, Any], Any]] = {
    "activations": lambda y, p: (
        K.sigmoid(p) * K.softmax(p) + tf.tanh(p) + tf.nn.relu(p - 0.5) + tf.nn.softplus(p)
    ),
    "axes": lambda y, p: (
        tf.nn.softmax_cross_entropy_with_logits(y, p, axis=1) * tf.nn.softmax(p, axis=-1)[:, 0]
    ),
    "logits": lambda y, p: (
        tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=p)
        + tf.reduce_sum(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=p))
    ),
    "functions": lambda y, p: (
        keras.losses.binary_crossentropy(y, p) * K.sum(p, axis=-1)
        + keras.losses.categorical_crossentropy(y, p, from_logits=True)
        + 0.1 * keras.losses.mse(y, p)
    ),
    "rows": lambda y, p: (
        K.sum(p) * keras.losses.binary_crossentropy(K.flatten(y), K.flatten(p))
        + keras.losses.MeanSquaredError()(y_pred=K.flatten(p), y_true=K.flatten(y))
    ),
    "weighted": lambda y, p: (
        keras.losses.MeanSquaredError()(y, p, sample_weight=WEIGHTS)
        + keras.losses.Poisson(reduction="mean_with_sample_weight")(y, p, WEIGHTS[:, 0])
    ),
    "numbers": lambda y, p: tf.sigmoid(K.mean(p)) * np.float64(2) + tf.tanh(p[0, 0, 0]),
    "binary": lambda y, p: (
        keras.losses.BinaryCrossentropy(from_logits=True)(y, p)
        + keras.losses.BinaryFocalCrossentropy(reduction="none")(y, p)
    ),
    "objects": lambda y, p: keras.losses.Huber(0.3)(y, p) + K.mean(p) * keras.losses.Dice()(y, p),
}


def differences(function: Callable[[Any, Any], Any], step: float) -> Array:
    """The gradient of the sum of a function of Y and P, element by element."""
    found = np.zeros_like(P)
    for place in np.ndindex(*P.shape):
        sums = []
        for sign in (1, -1):
            moved = P.copy()
            moved[place] += sign * step
            sums.append(np.sum(np.asarray(function(Y, tf.constant(moved, np.float64)))))
        found[place] = (sums[0] - sums[1]) / (2 * step)
    return found


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_of_differences(name: str) -> None:
    function = FUNCTIONS[name]
    values, slopes = derived(function, name, Y, P)
    np.testing.assert_allclose(values, function(Y, tf.constant(P, np.float64)), rtol=1e-12)
    np.testing.assert_allclose(slopes, differences(function, 1e-6), rtol=1e-6, atol=1e-7)
    assert slopes.shape == P.shape


@pytest.mark.parametrize("name", KERNELS)
def test_gradients_of_convkits_own_functions(name: str) -> None:
    slopes = derived(KERNELS[name], name, Y, P)[1]
    scale = np.abs(slopes).max()
    np.testing.assert_allclose(slopes, differences(KERNELS[name], 1e-2), atol=0.03 * scale)


def test_what_does_not_change_is_left_out() -> None:
    x = Recorded(P)
    with loss_of_a_script():
        slopes = gradient(K.sum(K.stop_gradient(x) * x), x)
    np.testing.assert_array_equal(slopes, P)
    assert K.is_tensor(x)
    assert K.int_shape(x) == x.get_shape() == tuple(tf.shape(x)) == P.shape
    assert not isinstance(x > 0.5, Recorded)


def test_places_and_conditions_are_those_of_keras() -> None:
    rows = np.float32([[1, 5, 2], [7, 3, 4], [0, 6, 8]])
    np.testing.assert_array_equal(K.argmax(rows), [1, 0, 2])
    np.testing.assert_array_equal(K.argmin(rows), [0, 1, 0])
    assert K.concatenate([rows, rows]).shape == (3, 6)
    np.testing.assert_array_equal(tf.gather(rows, [2, 0, 1], axis=1, batch_dims=1), [2, 7, 6])
    np.testing.assert_array_equal(tf.gather(rows, [[2], [0], [1]], batch_dims=-1), [[2], [7], [6]])
    np.testing.assert_array_equal(tf.boolean_mask(rows, [True, False, True], 1), rows[:, ::2])
    chosen = K.switch(np.array([True, False, True]), rows, -rows)
    np.testing.assert_array_equal(chosen, rows * [[1], [-1], [1]])
    with pytest.raises(ValueError, match="places along axis 1"):
        tf.gather(rows, [0, 0, 0], axis=0, batch_dims=1)
    one_hot = np.eye(3)[[0, 2, 1]]
    logits = np.float32([[1, 2, 0], [0, 1, 0], [3, 0, 0]])
    found = tf.nn.softmax_cross_entropy_with_logits(one_hot, logits, axis=0)
    wanted = np.log(np.exp(logits).sum(0)) - (one_hot * logits).sum(0)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_bounds_may_be_wider() -> None:
    x = Recorded([0.2, 0.6])
    with loss_of_a_script():
        made = K.clip(x, 0.0, np.array([[0.5, 0.5], [0.1, 0.7], [0.3, 0.9]]))
    np.testing.assert_array_equal(gradient(made, x), [2, 2])


def test_the_mean_of_nothing_is_no_number() -> None:
    values, slopes = derived(
        lambda y, p: tf.reduce_mean(tf.boolean_mask(p, y > 2)) + K.mean(p), "loss", Y, P
    )
    assert np.isnan(values)
    np.testing.assert_allclose(slopes, np.full(P.shape, 1 / P.size))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda y, p: np.sort(p), "no derivative of sort"),
        (lambda y, p: K.mean(y), "'loss' does not depend on the predictions"),
        (lambda y, p: np.asarray(p), "through operators and functions of keras.backend"),
        (lambda y, p: tf.nn.elu(p, 0.5), "no derivative of elu with arguments"),
        (lambda y, p: np.logaddexp(p, y), "no derivative of logaddexp"),
        (lambda y, p: np.sum(p, axis=-1, where=y > 0), "unexpected keyword argument 'where'"),
        (lambda y, p: np.max(p, axis=-1, initial=0.7), "unexpected keyword argument 'initial'"),
        (lambda y, p: np.std(p, axis=-1, ddof=1), "unexpected keyword argument 'ddof'"),
        (lambda y, p: np.add(p, 1, out=y, where=y > 0), "no derivative of add with where"),
    ],
)
def test_what_has_no_derivative_is_refused(function: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        derived(function, "loss", Y, P)


def trained(loss: Any) -> tuple[list[float], list[Array]]:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.layers.Dense(4, activation="tanh", input_dim=3)])
    model.add(keras.layers.Dense(3, activation="softmax"))
    model.compile("sgd", loss)
    x, y = RNG_X, np.eye(3)[np.arange(40) % 3]
    history = model.fit(x, y, 8, 3, 0, sample_weight=np.linspace(0.5, 2, 40))
    return history.history["loss"], model.get_weights()


RNG_X = np.random.default_rng(1).random((40, 3))


class Squares(keras.losses.Loss):  # type: ignore[misc, name-defined]
    """The mean square, of a script's own."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return tf.reduce_mean(tf.square(y_true - y_pred), axis=-1)


@pytest.mark.parametrize(
    ("own", "known"),
    [
        (lambda t, p: K.mean(K.square(p - t), axis=-1), "mse"),
        (lambda t, p: K.mean(K.abs(p - t), axis=-1), "mae"),
        (lambda t, p: K.categorical_crossentropy(t, p), "categorical_crossentropy"),
        (lambda t, p: keras.losses.poisson(t, p), "poisson"),
        (lambda t, p: (np.mean((p - t) ** 2, -1), 2 * (p - t) / 3), "mse"),
        (Squares(), "mse"),
        (Squares, "mse"),
        (keras.losses.mean_squared_error, "mse"),
    ],
)
def test_a_model_trains_alike(own: Any, known: str) -> None:
    losses, weights = trained(own)
    others, wanted = trained(known)
    np.testing.assert_allclose(losses, others, rtol=1e-5)
    for one, other in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_weights_of_losses_that_mix_samples() -> None:
    def centered(t: Any, p: Any) -> Any:
        return K.mean(K.square(p - K.mean(p, axis=0, keepdims=True) - t), axis=(1, 2))

    weights = np.arange(5.0)
    wanted = differences(lambda y, p: centered(y, p) * weights / 5, 1e-6)
    for loss in (for_training(centered), type("Centered", (keras.losses.Loss,), {})()):
        loss.call = centered
        dy = np.empty(P.shape, np.float32)
        losses = loss.compute(P.astype(np.float32), Y, dy=dy, sample_weight=weights)
        np.testing.assert_allclose(dy, wanted, atol=1e-6)
        np.testing.assert_allclose(losses, centered(Y, tf.constant(P)) * weights, rtol=1e-5)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
def test_weights_of_one_number_for_a_batch(reduction: str) -> None:
    def one(t: Any, p: Any) -> Any:
        return K.mean(K.square(p - t))

    weights = np.arange(5.0)
    share = {"sum": weights.sum(), "mean_with_sample_weight": 1.0}.get(reduction, weights.mean())
    for loss in (for_training(one), type("One", (keras.losses.Loss,), {})()):
        loss.call, loss.reduction = one, reduction
        dy = np.empty(P.shape, np.float32)
        losses = loss.compute(P.astype(np.float32), Y, dy=dy, sample_weight=weights)
        np.testing.assert_allclose(losses.mean(), one(Y, P) * share, rtol=1e-5)
        np.testing.assert_allclose(dy, 2 * (P - Y) / P.size * share, rtol=1e-4)
    with pytest.raises(ValueError, match="does not fit losses"):
        loss.compute(P.astype(np.float32), Y, sample_weight=np.ones((5, 4)))


def test_activations_of_one_number() -> None:
    values, slopes = derived(lambda y, p: tf.sigmoid(K.mean(p)), "loss", Y, P)
    assert values.shape == ()
    assert slopes.shape == P.shape


def test_losses_of_more_axes_than_predictions() -> None:
    p = P[:, 0].astype(np.float32)
    made = for_training(lambda t, p: K.square(K.expand_dims(p, 1) - K.expand_dims(p * 2, 0)))
    dy = np.empty(p.shape, np.float32)
    made.compute(p, p, dy=dy)
    pairs = 2 * (p[:, np.newaxis] - 2 * p[np.newaxis])
    wanted = (pairs.sum(axis=1) - 2 * pairs.sum(axis=0)) / pairs.size
    np.testing.assert_allclose(dy, wanted, rtol=1e-4, atol=1e-6)


def test_a_file_holds_no_loss_of_a_script(tmp_path: Any) -> None:
    for loss in (lambda t, p: K.mean(K.square(p - t)), Squares()):
        model = keras.Sequential([keras.layers.Dense(3, input_dim=3)])
        model.compile("sgd", loss)
        model.fit(RNG_X, RNG_X, verbose=0)
        with pytest.warns(UserWarning, match="compile it again after loading"):
            model.save(tmp_path / "model.h5")
        again = convkit.models.load_model(tmp_path / "model.h5")
        assert again.optimizer is None
        np.testing.assert_array_equal(again.predict(RNG_X), model.predict(RNG_X))


def test_labels_may_be_noisy() -> None:
    noisy = np.float32([[1.2], [-0.1], [0.9]])
    p = np.float32([[0.8], [0.3], [0.6]])
    wanted = -(noisy * np.log(p) + (1 - noisy) * np.log(1 - p)).mean()
    for loss in ("binary_crossentropy", "bce", keras.losses.BinaryCrossentropy()):
        made = for_training(loss)
        targets = made.prepare(noisy, (1,))
        losses = made.compute(p, targets)
        np.testing.assert_allclose(losses.mean(), wanted, rtol=1e-5)
        copy.deepcopy(made)
    with pytest.raises(ValueError, match="binary_crossentropy expects targets"):
        convkit.losses.BinaryCrossentropy()(noisy, p)
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid", input_dim=3)])
    model.compile("adam", "binary_crossentropy")
    model.set_weights([np.zeros((3, 1)), np.zeros(1)])
    found = model.train_on_batch(np.ones((3, 3)), noisy)
    np.testing.assert_allclose(found, np.log(2), rtol=1e-5)
