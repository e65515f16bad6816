"""Sequential from end to end: building, training, repeatability, and every wrong input."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, losses, optimizers, runtime
from convkit.callbacks import Callback, Logs

SIZES = (8, 8, 1)


def small(seed: int = 0, compiled: bool = True) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    model = convkit.Sequential(
        [
            convkit.Input(SIZES),
            layers.Conv2D(6, 3, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, activation="relu"),
            layers.Flatten(),
            layers.Dropout(0.25),
            layers.Dense(10, activation="relu"),
            layers.Dense(3, activation="softmax"),
        ]
    )
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def stripes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images that a few steps can learn: the class is which third of the rows is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(0, 0.3, (n, *SIZES)).astype(np.float32)
    for i, label in enumerate(y):
        x[i, 3 * label : 3 * label + 2] += 1.0
    return x, y


@pytest.fixture
def restore_threads() -> Iterator[None]:
    former = runtime.get_num_threads()
    yield
    runtime.set_num_threads(former)


# Building.


def test_add_build_and_pop() -> None:
    convkit.utils.clear_session()
    model = convkit.Sequential(name="mine")
    assert not model.built
    model.add(convkit.Input((6,)))
    model.add(layers.Dense(5, "relu"))
    assert model.output_shape == (None, 5)
    model.add(layers.Dense(3))
    assert model.built
    assert [layer.name for layer in model.layers] == ["dense", "dense_1"]
    assert model.count_params() == 6 * 5 + 5 + 5 * 3 + 3
    assert [w.shape for w in model.weights] == [(6, 5), (5,), (5, 3), (3,)]
    assert model.pop().name == "dense_1"
    assert model.output_shape == (None, 5)
    assert repr(model) == "<Sequential mine, 1 layers>"


def test_the_first_layer_may_have_the_input_shape() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3, input_shape=(9, 9, 2)), layers.Flatten()])
    assert model.input_shape == (None, 9, 9, 2)
    assert model.output_shape == (None, 7 * 7 * 4)


def test_build_later() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match=r"not built.*Input\(shape\)"):
        model.count_params()
    with pytest.raises(ValueError, match="not built"):
        _ = model.output_shape
    with pytest.raises(ValueError, match="not built"):
        model.plan()
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert "0 (unbuilt)" in lines[0]
    model.build((None, 6, 6, 2))
    assert model.output_shape == (None, 3)
    model.build((None, 6, 6, 2))
    with pytest.raises(ValueError, match=r"takes inputs of shape \(None, 6, 6, 2\)"):
        model.build((None, 7, 7, 2))


def test_data_build_the_model() -> None:
    x, y = stripes(12)
    model = convkit.Sequential([layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(x, y, verbose=0)
    assert model.input_shape == (None, *SIZES)
    assert list(history.history) == ["loss"]
    other = convkit.Sequential([layers.Flatten(), layers.Dense(3)])
    assert other.predict(x, verbose=0).shape == (12, 3)


def test_a_failed_build_leaves_the_model_as_it_was() -> None:
    model = convkit.Sequential([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(ValueError, match="rank 4"):
        model.build((None, 10))
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        model.build((None, 2, 2, 1))
    assert not model.built
    assert not any(layer.built for layer in model.layers)
    model.build((None, 5, 5, 1))
    started = convkit.Sequential([convkit.Input((4,)), layers.Dense(2)])
    with pytest.raises(ValueError, match="rank 4"):
        started.add(layers.Conv2D(4, 3))
    assert len(started.layers) == 1
    started.add(layers.Dense(3))


def test_layers_that_cannot_be_added() -> None:
    layer = layers.Dense(2, name="once")
    model = convkit.Sequential([convkit.Input((4,)), layer])
    with pytest.raises(ValueError, match="already in this model"):
        model.add(layer)
    with pytest.raises(ValueError, match="already has a layer of this name"):
        model.add(layers.Dense(2, name="once"))
    with pytest.raises(ValueError, match="Input must come before"):
        model.add(convkit.Input((4,)))
    with pytest.raises(TypeError, match=r"received the class Dense; write Dense\(...\)"):
        model.add(layers.Dense)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="one by one"):
        model.add(convkit.Sequential())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"objects of convkit\.layers, received 'relu'"):
        model.add("relu")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has no layer to remove"):
        convkit.Sequential().pop()
    with pytest.raises(ValueError, match="has no layers; give it some"):
        convkit.Sequential([convkit.Input((4,))]).predict(np.zeros((1, 4)))


def test_summary() -> None:
    convkit.utils.clear_session()
    lines: list[str] = []
    small(compiled=False).summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert text.splitlines()[0] == 'Model: "sequential"'
    assert "conv2d (Conv2D)" in text
    assert "(None, 8, 8, 6)" in text
    total = 9 * 6 + 6 + 24 + 9 * 6 * 8 + 8 + 2 * 2 * 8 * 10 + 10 + 33
    assert f"Total params: {total} ({4 * total / 1024:.2f} KB)" in text
    assert f"Trainable params: {total - 12} " in text
    assert "Non-trainable params: 12 (48.00 B)" in text


def test_summary_prints(capsys: pytest.CaptureFixture[str]) -> None:
    small(compiled=False).summary()
    assert "Total params: " in capsys.readouterr().out


def test_set_weights_is_checked() -> None:
    model = small()
    weights = model.get_weights()
    weights[0][:] = 2.0
    model.set_weights(weights)
    assert (model.layers[0].get_weights()[0] == 2.0).all()
    with pytest.raises(ValueError, match=f"expected {len(weights)} weights"):
        model.set_weights(weights[:-1])
    with pytest.raises(ValueError, match=r'model "sequential.*kernel has shape \(3, 3, 1, 6\)'):
        model.set_weights([weights[1], *weights[1:]])


# Training.


def test_it_learns_and_predict_agrees_with_evaluate() -> None:
    model = small()
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
    model = small()
    x, y = stripes(50)
    whole = model.predict(x, batch_size=50, verbose=0)
    for size in (1, 7, 32, 64):
        np.testing.assert_allclose(model.predict(x, size, verbose=0), whole, rtol=1e-5, atol=1e-6)
    parts = [model.predict_on_batch(x[:20]), model.predict_on_batch(x[20:])]
    np.testing.assert_allclose(np.concatenate(parts), whole, rtol=1e-5, atol=1e-6)
    one, two = model.evaluate(x, y, 7, verbose=0), model.evaluate(x, y, 50, verbose=0)
    assert one == pytest.approx(two, rel=1e-5)


def test_predict_returns_an_array_of_its_own() -> None:
    model = small()
    x, _ = stripes(6)
    first = model.predict_on_batch(x[:3])
    copy = first.copy()
    model.predict_on_batch(x[3:])
    np.testing.assert_array_equal(first, copy)


def test_the_logged_loss_is_the_mean_over_samples() -> None:
    # With learning rate 0 the weights stay, and without dropout every pass computes the same.
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential([convkit.Input(SIZES), layers.Flatten(), layers.Dense(3, "softmax")])
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
    model = small(seed)
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
    for threads in (1, 2, 3, 7):
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
                plan = model._plans["train"]
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
        model = small(0)
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
        model = small()
        model.fit(images, y, epochs=2, verbose=0)
        results.append([*model.get_weights(), model.predict(images, verbose=0)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, np.uint16])
def test_integer_images_train_like_their_floats(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    pixels, y = rng.integers(0, 200, (20, *SIZES)), rng.integers(0, 3, 20)
    results = []
    for images in (pixels.astype(np.float32), pixels.astype(dtype)):
        model = small()
        model.fit(images, y, epochs=2, verbose=0)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [lambda y: y[:, None], lambda y: y.astype(float), list])
def test_labels_in_other_forms(make: Any) -> None:
    x, y = stripes(20)
    expected = small().evaluate(x, y, verbose=0)
    assert small().evaluate(x, make(y), verbose=0) == expected


def test_one_hot_labels_train_the_same_model() -> None:
    x, y = stripes(20)
    sparse, dense = small(), small()
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
    model = small()
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

    plain, watched = small(), small()
    one = plain.fit(x, y, batch_size=8, epochs=2, verbose=0)
    two = watched.fit(x, y, batch_size=8, epochs=2, verbose=0, callbacks=Look())
    assert one.history == two.history
    for a, b in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


# What may change between two trainings.


def test_frozen_layers_stay_and_can_be_released() -> None:
    model = small()
    x, y = stripes(20)
    for layer in model.layers[:5]:
        layer.trainable = False
    before = model.get_weights()
    frozen = sum(len(layer.weights) for layer in model.layers[:5])
    model.fit(x, y, epochs=2, verbose=0)
    same = [np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True)]
    assert same == [True] * frozen + [False] * (len(before) - frozen)
    for layer in model.layers:
        layer.trainable = True
    model.fit(x, y, epochs=1, verbose=0)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_shared_by_two_models_follow_both() -> None:
    base = small()
    x, y = stripes(20)
    base.fit(x, y, verbose=0)
    kernel = base.layers[0].get_weights()[0]
    head = convkit.Sequential(
        [convkit.Input(SIZES), *base.layers[:-1], layers.Dense(3, "softmax", name="new_head")]
    )
    head.compile("adam", "sparse_categorical_crossentropy")
    head.fit(x, y, verbose=0)
    shared = base.layers[0].get_weights()[0]
    assert not np.array_equal(shared, kernel)
    assert base.layers[0] is head.layers[0]
    base.fit(x, y, verbose=0)
    assert not np.array_equal(base.layers[0].get_weights()[0], shared)
    np.testing.assert_array_equal(base.layers[0].get_weights()[0], head.layers[0].get_weights()[0])


def test_layers_can_be_exchanged_after_training() -> None:
    model = small()
    x, y = stripes(20)
    model.fit(x, y, verbose=0)
    kept = model.get_weights()[:-2]
    model.pop()
    model.add(layers.Dense(4, "softmax", name="other"))
    for a, b in zip(kept, model.get_weights(), strict=False):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, verbose=0)
    assert model.predict(x, verbose=0).shape == (20, 4)
    assert model.optimizer is not None
    assert model.optimizer.iterations == 1


def test_compiling_again_changes_the_loss() -> None:
    model = small()
    x, y = stripes(20)
    model.fit(x, y, verbose=0)
    model.compile("sgd", "mse")
    model.fit(x, convkit.utils.to_categorical(y), verbose=0)
    assert model.loss is not None
    assert model.loss.name == "mean_squared_error"


def test_an_optimizer_cannot_serve_two_models() -> None:
    optimizer = convkit.optimizers.Adam()
    x, y = stripes(8)
    one, two = small(), small()
    one.compile(optimizer, "sparse_categorical_crossentropy")
    two.compile(optimizer, "sparse_categorical_crossentropy")
    one.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match="already belongs to another model"):
        two.fit(x, y, verbose=0)


# Wrong inputs.


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros((4, 8, 8), np.float32), r"\(N, 8, 8, 1\).*received \(4, 8, 8\).*newaxis"),
        (np.zeros((4, 64), np.float32), r"reshape\(x, \(-1, 8, 8, 1\)\)"),
        (np.zeros((4, 8, 8, 3), np.float32), r"received \(4, 8, 8, 3\)"),
        (np.zeros((4, 9, 8, 1), np.float32), r"received \(4, 9, 8, 1\)"),
        (np.zeros((0, 8, 8, 1), np.float32), "at least one sample"),
        ([], "at least one sample"),
    ],
)
def test_wrong_images(x: Any, message: str) -> None:
    model = small()
    y = np.zeros(len(x), int)
    for call in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.predict(x, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.predict_on_batch(x),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([0, 1, 2, 3], r"labels must lie in 0 .. 2.*received 3 at position 3"),
        ([0, 1, -1, 2], "received -1 at position 2"),
        ([0, 1, 2], "x has 4 samples and y has 3"),
        ([0, 1, 2, 0, 1], "x has 4 samples and y has 5"),
        ([0.5, 1, 2, 0], "whole numbers"),
        (np.eye(3)[[0, 1, 2, 0]], "categorical_crossentropy"),
        (None, "needs y"),
    ],
)
def test_wrong_labels(y: Any, message: str) -> None:
    model = small()
    x = np.zeros((4, *SIZES), np.float32)
    for call in (
        lambda: model.fit(x, y, verbose=0),
        lambda: model.evaluate(x, y, verbose=0),
        lambda: model.train_on_batch(x, y),
        lambda: model.fit(x, [0, 1, 2, 0], verbose=0, validation_data=(x, y)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size must be an integer of at least 1"),
        ({"batch_size": -3}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size must be an integer"),
        ({"epochs": 0}, ValueError, "epochs must be an integer of at least 1"),
        ({"epochs": -1}, ValueError, "epochs"),
        ({"initial_epoch": -1}, ValueError, "initial_epoch"),
        ({"validation_split": 1.0}, ValueError, "validation_split"),
        ({"validation_split": -0.5}, ValueError, "validation_split"),
        ({"validation_split": 0.01}, None, ""),
        ({"validation_split": "0.2"}, ValueError, "validation_split"),
        ({"validation_data": (np.zeros((4, 8, 8)), np.zeros(4))}, ValueError, "in validation_data"),
        ({"validation_data": 3}, ValueError, r"validation_data must be \(x, y\)"),
        ({"validation_batch_size": 0}, ValueError, "batch_size"),
        ({"verbose": 7}, ValueError, "verbose"),
    ],
)
def test_wrong_fit_arguments(arguments: dict[str, Any], error: Any, message: str) -> None:
    model = small()
    x, y = stripes(8)
    if error is None:  # the smallest share still leaves one sample for validation
        model.fit(x, np.zeros(8, int), verbose=0, **arguments)
        return
    with pytest.raises(error, match=message):
        model.fit(x, y, **{"verbose": 0, **arguments})


def test_a_shape_to_build_for_that_is_none() -> None:
    for wrong in (8, (8,), "(8, 8, 1)"):
        with pytest.raises(ValueError, match=r"with the batch in front|must be a positive integer"):
            convkit.Sequential([layers.Flatten()]).build(wrong)  # type: ignore[arg-type]


def test_what_is_no_list_of_layers() -> None:
    for wrong in (layers.Flatten(), layers.Flatten, 3):
        with pytest.raises(TypeError, match="layers must be a list of layers"):
            convkit.Sequential(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"one by one, as \*model.layers"):
        convkit.Sequential([small()])  # type: ignore[list-item]


def test_training_before_compile() -> None:
    model = small(compiled=False)
    x, y = stripes(8)
    for call in (model.fit, model.evaluate, model.train_on_batch, model.test_on_batch):
        with pytest.raises(ValueError, match=r"call compile\(optimizer, loss\) before"):
            call(x, y)
    with pytest.raises(ValueError, match="compile"):
        model.plan(training=True)
    model.compile("adam")
    with pytest.raises(ValueError, match="needs a loss"):
        model.fit(x, y)
    assert model.predict(x, verbose=0).shape == (8, 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adamm"}, "unknown optimizer 'adamm': use one of adam, adamw, rmsprop, sgd"),
        ({"loss": "entropy"}, "unknown loss 'entropy'.*sparse_categorical_crossentropy"),
        ({"metrics": ["accurate"]}, "unknown metric 'accurate'.*accuracy"),
        ({"optimizer": "adamm"}, "did you mean 'adam'"),
        ({"optimizer": optimizers.SGD}, r"for an object of this class write SGD\(...\)"),
        ({"loss": "SparseCategoricalCrossentropy"}, "did you mean 'sparse_categorical_crossent"),
        ({"loss": "cross_entropy"}, "'sparse_categorical_crossentropy' or 'categorical_crosse"),
        ({"metrics": ["acuracy"]}, "did you mean 'accuracy'"),
        ({"metrics": ["accuracy", "accuracy"]}, "different names"),
    ],
)
def test_unknown_names(arguments: dict[str, Any], message: str) -> None:
    model = small(compiled=False)
    with pytest.raises(ValueError, match=message):
        model.compile(**{"loss": "sparse_categorical_crossentropy", **arguments})
    assert model.optimizer is None


def test_a_kernel_larger_than_its_input_names_the_layer() -> None:
    with pytest.raises(ValueError, match=r'"too_large" \(Conv2D\).*larger than the input \(4, 4\)'):
        convkit.Sequential([convkit.Input((4, 4, 1)), layers.Conv2D(4, 5, name="too_large")])


def test_an_output_that_does_not_fit_the_loss() -> None:
    model = convkit.Sequential([convkit.Input(SIZES), layers.Conv2D(3, 3)])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"\(None, 6, 6, 3\).*Flatten"):
        model.fit(np.zeros((4, *SIZES)), [0, 1, 2, 0], verbose=0)


@pytest.mark.parametrize(
    ("end", "loss", "message"),
    [
        ([layers.Dense(3)], "sparse_categorical_crossentropy", "'linear': give.*='softmax'"),
        ([layers.Dense(3, activation="relu")], "categorical_crossentropy", "activation 'relu'"),
        ([layers.Dense(3)], "binary_crossentropy", r"='sigmoid'.*BinaryCrossentropy\(from_logits"),
        (
            [layers.Dense(3), layers.Softmax()],
            losses.SparseCategoricalCrossentropy(from_logits=True),
            r"from_logits=True\) expects an output without.* ends with softmax",
        ),
        ([layers.Dense(3, activation="softmax")], "sparse_categorical_crossentropy", ""),
        ([layers.Dense(3, activation="sigmoid"), layers.Flatten()], "binary_crossentropy", ""),
        ([layers.Dense(3)], losses.CategoricalCrossentropy(from_logits=True), ""),
        ([layers.Dense(3)], "mse", ""),
        ([layers.Dense(3, activation="softmax"), layers.Rescaling(0.5)], "mse", ""),
    ],
)
def test_a_loss_that_expects_another_end(end: list[Any], loss: Any, message: str) -> None:
    x, y = stripes(8)
    model = convkit.Sequential([layers.Flatten(), *end])
    model.compile("adam", loss)
    sparse = "sparse" in model.loss.name if model.loss else False
    targets = y if sparse else convkit.utils.to_categorical(y, 3)
    if not message:
        model.fit(x, targets, verbose=0)
        return
    with pytest.warns(UserWarning, match=message) as record:
        model.fit(x, targets, verbose=0, epochs=2)
    assert [warning.filename for warning in record] == [__file__]


def test_a_loss_that_becomes_nan_warns_once() -> None:
    model = small()
    x, y = stripes(8)
    x[0, 0, 0, 0] = np.nan
    with pytest.warns(UserWarning, match="the loss became nan in epoch 1") as record:
        model.fit(x, y, epochs=3, verbose=0)
    assert [warning.filename for warning in record] == [__file__]


def test_sorted_labels_warn_and_name_the_missing_classes() -> None:
    x, y = stripes(30)
    with pytest.warns(UserWarning, match="shuffle x and y") as record:
        small().fit(x, np.sort(y), verbose=0, validation_split=0.2)
    assert record[0].filename == __file__


def test_after_an_error_the_model_trains_on() -> None:
    model = small()
    x, y = stripes(20)
    with pytest.raises(ValueError, match="labels must lie in"):
        model.fit(x, y + 1, verbose=0)
    with pytest.raises(TypeError, match="real numbers"):
        model.fit(x.astype(complex), y, verbose=0)
    model.fit(x, y, verbose=0)
    reference = small()
    reference.fit(x, y, verbose=0)
    for a, b in zip(model.get_weights(), reference.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_images_pass_through_without_harm_to_the_process() -> None:
    model = small()
    x, y = stripes(8)
    x[0, 0, 0, 0] = np.nan
    loss, _ = model.train_on_batch(x, y)
    assert np.isnan(loss)


def test_a_second_thread_cannot_train_the_same_model() -> None:
    model = small()
    x, y = stripes(16)
    errors: list[BaseException] = []

    def other(call: Any) -> None:
        try:
            call(x, y)
        except BaseException as error:
            errors.append(error)

    class Meanwhile(Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            for call in (model.train_on_batch, lambda x, y: model.predict(x, verbose=0)):
                thread = threading.Thread(target=other, args=(call,))
                thread.start()
                thread.join()

    model.fit(x, y, verbose=0, callbacks=Meanwhile())
    assert [type(error) for error in errors] == [RuntimeError, RuntimeError]
    assert "being trained by another thread" in str(errors[0])
    model.train_on_batch(x, y)


def test_two_threads_may_predict_with_one_model() -> None:
    model = small()
    x, _ = stripes(64)
    expected = model.predict(x, verbose=0)
    results: list[np.ndarray] = []

    def work() -> None:
        for _ in range(10):
            results.append(model.predict(x, batch_size=8, verbose=0))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 30
    for result in results:
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
