"""Training from end to end: what is learnt, what is returned, and the same bits every time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, runtime
from convkit.callbacks import Callback, Logs
from some_models import SMALL_IMAGES, small_cnn, stripes


def test_it_learns_and_predict_agrees_with_evaluate() -> None:
    model = small_cnn()
    x, y = stripes(200)
    history = model.fit(x, y, epochs=12, validation_split=0.2, verbose=0)
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(x, y, batch_size=33, verbose=0)
    assert accuracy > 0.9
    probabilities = model.predict(x, batch_size=50, verbose=0)
    assert probabilities.dtype == np.float32
    assert probabilities.shape == (200, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert accuracy == (probabilities.argmax(axis=1) == y).mean()
    expected = -np.log(probabilities[np.arange(200), y].astype(np.float64)).mean()
    assert loss == pytest.approx(expected, rel=1e-4)


def test_results_do_not_depend_on_the_batch_size() -> None:
    model = small_cnn()
    x, y = stripes(50)
    whole = model.predict(x, batch_size=50, verbose=0)
    for size in (1, 7, 32, 64):
        np.testing.assert_allclose(model.predict(x, size, verbose=0), whole, rtol=1e-5, atol=1e-6)
    parts = [model.predict_on_batch(x[:20]), model.predict_on_batch(x[20:])]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)
    one, two = model.evaluate(x, y, 7, verbose=0), model.evaluate(x, y, 50, verbose=0)
    assert one == pytest.approx(two, rel=1e-5)


def test_predict_returns_an_array_of_its_own() -> None:
    model = small_cnn()
    x, _ = stripes(6)
    first = model.predict_on_batch(x[:3])
    copy = first.copy()
    model.predict_on_batch(x[3:])
    np.testing.assert_array_equal(first, copy)


def test_the_logged_loss_is_the_mean_over_samples() -> None:
    # With learning rate 0 the weights stay, and without dropout every pass computes the same.
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential(
        [convkit.Input(SMALL_IMAGES), layers.Flatten(), layers.Dense(3, "softmax")]
    )
    model.compile(
        convkit.optimizers.SGD(0.0), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    x, y = stripes(37)
    history = model.fit(x, y, batch_size=8, verbose=0, validation_data=(x, y))
    loss, accuracy = model.evaluate(x, y, verbose=0)
    for prefix in ("", "val_"):
        assert history.history[prefix + "loss"][0] == pytest.approx(loss, rel=1e-5)
        assert history.history[prefix + "accuracy"][0] == pytest.approx(accuracy)


def train(threads: int, dtype: Any = np.float32, seed: int = 4) -> list[np.ndarray]:
    runtime.set_num_threads(threads)
    model = small_cnn(seed)
    x, y = stripes(70)
    model.fit(x.astype(dtype), y, batch_size=16, epochs=4, verbose=0, validation_split=0.1)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 16
    model.fit(x.astype(dtype), y, batch_size=20, epochs=1, verbose=0)
    assert model.optimizer.iterations == 20
    return model.get_weights()


def test_twenty_steps_give_the_same_bits_for_any_number_of_threads(restore_threads: None) -> None:
    first = train(1)
    for threads in (2, 3, 1):
        for a, b in zip(first, train(threads), strict=True):
            np.testing.assert_array_equal(a, b)
    other = train(1, seed=5)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("name", ["mnist_cnn", "fashion_mnist_cnn", "cifar10_cnn"])
def test_fifty_steps_of_the_real_models_too(name: str, restore_threads: None) -> None:
    """Batches of 32, and one of 5 in every epoch."""
    results = []
    for threads in (1, 2, 3, 5, 6, 7, 12, 16, 64):
        runtime.set_num_threads(threads)
        convkit.utils.set_random_seed(0)
        model = getattr(convkit.zoo, name)()
        model.compile("adam", "sparse_categorical_crossentropy")
        rng = np.random.default_rng(0)
        x = rng.random((32 * 9 + 5, *model.input_shape[1:]), np.float32)
        model.fit(x, rng.integers(0, 10, len(x)), batch_size=32, epochs=5, verbose=0)
        assert model.optimizer.iterations == 50
        results.append(model.get_weights())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_shuffling_depends_on_the_seed_and_can_be_switched_off() -> None:
    orders: list[list[int]] = []

    def order(seed: int, shuffle: bool, epochs: int = 1) -> list[int]:
        convkit.utils.set_random_seed(seed)
        model = convkit.Sequential([convkit.Input((1,)), layers.Dense(1, name=f"d{len(orders)}")])
        model.compile(convkit.optimizers.SGD(0.0), "mse")
        model.layers[0].set_weights([np.zeros((1, 1)), np.zeros(1)])
        seen: list[int] = []

        class See(Callback):
            def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
                plan = model._engine.training_plan
                seen.append(int(plan.bind(1).x[0, 0]))

        x = np.arange(10.0)[:, None]
        for _ in range(epochs):
            model.fit(x, np.zeros(10), batch_size=1, shuffle=shuffle, verbose=0, callbacks=See())
        orders.append(seen)
        return seen

    assert order(1, False) == list(range(10))
    first = order(1, True)
    assert sorted(first) == list(range(10))
    assert first != list(range(10))
    assert order(1, True) == first
    assert order(2, True) != first
    twice = order(1, True, epochs=2)
    assert twice[:10] == first
    assert twice[10:] != first, "a second fit has another order"


def test_the_seed_of_a_model_can_be_its_own() -> None:
    x, y = stripes(20)
    results = []
    for process_seed in (1, 2):
        model = small_cnn(0)
        model.seed = 9
        convkit.utils.set_random_seed(process_seed)
        model.fit(x, y, verbose=0, epochs=2)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.astype(np.float64),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=0)[::2],
        lambda x: np.repeat(x, 2, axis=1)[:, ::2],
        lambda x: x.tolist(),
    ],
)
def test_other_layouts_and_dtypes_give_the_same_results(make: Any) -> None:
    x, y = stripes(20)
    results = []
    for images in (x, make(x)):
        model = small_cnn()
        model.fit(images, y, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(images, verbose=0)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_integer_images_train_like_their_floats(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    pixels, y = rng.integers(0, 200, (20, *SMALL_IMAGES)), rng.integers(0, 3, 20)
    results = []
    for images in (pixels.astype(np.float32), pixels.astype(dtype)):
        model = small_cnn()
        model.fit(images, y, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda y: y[:, None], lambda y: y.astype(float), list])
def test_labels_in_other_forms(make: Any) -> None:
    x, y = stripes(20)
    expected = small_cnn().evaluate(x, y, verbose=0)
    assert small_cnn().evaluate(x, make(y), verbose=0) == expected


def test_one_hot_labels_train_the_same_model() -> None:
    x, y = stripes(20)
    sparse, dense = small_cnn(), small_cnn()
    dense.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    one = sparse.fit(x, y, epochs=2, verbose=0).history
    two = dense.fit(x, convkit.utils.to_categorical(y), epochs=2, verbose=0).history
    assert one["loss"] == pytest.approx(two["loss"], rel=1e-5)
    assert one["accuracy"] == two["accuracy"]


def test_regression() -> None:
    convkit.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 3))
    y = x @ [1.0, -2.0, 0.5] + 0.25
    model = convkit.Sequential([convkit.Input((3,)), layers.Dense(1)])
    model.compile(convkit.optimizers.SGD(0.1), "mse", metrics=["mse"])
    assert model.metrics[0].name == "mse"
    history = model.fit(x, y, epochs=30, verbose=0)
    assert history.history["loss"][-1] < 1e-4
    np.testing.assert_allclose(model.get_weights()[0][:, 0], [1.0, -2.0, 0.5], atol=0.02)
    assert history.history["loss"] == pytest.approx(history.history["mse"], rel=1e-4, abs=1e-9)


def test_what_evaluate_and_the_batch_functions_return() -> None:
    model = small_cnn()
    x, y = stripes(40)
    both = model.evaluate(x, y, verbose=0)
    assert [type(v) for v in both] == [float, float]
    assert model.evaluate(x, y, verbose=0, return_dict=True) == dict(
        zip(["loss", "accuracy"], both, strict=True)
    )
    assert model.test_on_batch(x, y) == pytest.approx(both, rel=1e-5)
    first = model.train_on_batch(x, y, return_dict=True)
    assert set(first) == {"loss", "accuracy"}
    again = model.train_on_batch(x, y)
    assert again[0] != first["loss"]
    model.compile("adam", "sparse_categorical_crossentropy")
    assert type(model.evaluate(x, y, verbose=0)) is float
    assert type(model.train_on_batch(x, y)) is float


def test_evaluation_in_a_callback_does_not_disturb_training() -> None:
    x, y = stripes(40)

    class Look(Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            self.model.evaluate(x[:5], y[:5], verbose=0)
            self.model.predict(x[:3], verbose=0)

    plain, watched = small_cnn(), small_cnn()
    one = plain.fit(x, y, batch_size=8, epochs=2, verbose=0)
    two = watched.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=Look())
    assert one.history == two.history
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
