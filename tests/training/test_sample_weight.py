"""Weights of samples and of classes: what they do to losses, gradients and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_training, assert_threads_agree
from convkit import layers

SIZES = (6, 6, 2)
N = 37  # batches of 8 leave a small one


def small(loss: str = "sparse_categorical_crossentropy", seed: int = 0) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    last = {"mse": None}.get(loss, "softmax")
    model = convkit.Sequential(
        [
            convkit.Input(SIZES),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(3, activation=last),
        ]
    )
    model.compile(convkit.optimizers.SGD(0.05), loss, metrics=["accuracy"] if last else ["mse"])
    return model


def samples(loss: str = "sparse_categorical_crossentropy", n: int = N) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(n)
    x = rng.normal(size=(n, *SIZES)).astype(np.float32)
    labels = rng.integers(0, 3, n)
    weights = rng.uniform(0.0, 3.0, n).astype(np.float32)
    if loss == "sparse_categorical_crossentropy":
        return x, labels, weights
    if loss == "categorical_crossentropy":
        return x, np.eye(3, dtype=np.float32)[labels], weights
    return x, rng.normal(size=(n, 3)).astype(np.float32), weights


LOSSES = ("sparse_categorical_crossentropy", "categorical_crossentropy", "mse")


# What weights mean.


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_is_the_weighted_sum_over_the_number_of_samples(loss: str) -> None:
    model, (x, y, weights) = small(loss), samples(loss)
    each = np.array([model.evaluate(x[i : i + 1], y[i : i + 1], verbose=0)[0] for i in range(N)])
    got = model.evaluate(x, y, batch_size=8, sample_weight=weights, verbose=0)
    assert got[0] == pytest.approx(float((each * weights).sum() / N), rel=1e-5)
    assert got[1] == model.evaluate(x, y, verbose=0)[1], "metrics count every sample alike"


@pytest.mark.parametrize("loss", LOSSES)
def test_ones_change_nothing_and_zero_takes_a_sample_out(loss: str) -> None:
    x, y, _ = samples(loss)
    plain, ones = small(loss), small(loss)
    plain.fit(x, y, batch_size=8, epochs=2, verbose=0)
    ones.fit(x, y, batch_size=8, epochs=2, verbose=0, sample_weight=np.ones(N))
    assert_same_training(plain, ones)

    kept = np.arange(N) % 3 != 0
    spoilt = x.copy()
    spoilt[~kept] = 100.0
    one, other = small(loss), small(loss)
    for model, images in ((one, x), (other, spoilt)):
        model.fit(images, y, batch_size=8, verbose=0, shuffle=False, sample_weight=kept)
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(one.get_weights()[0], small(loss).get_weights()[0])


@pytest.mark.parametrize("loss", LOSSES[:2])
def test_class_weights_are_sample_weights(loss: str) -> None:
    x, y, _ = samples(loss)
    labels = y if y.ndim == 1 else y.argmax(axis=1)
    table = {0: 0.5, 2: 3.0}  # class 1 is not named and counts 1
    by_sample = np.array([table.get(int(label), 1.0) for label in labels])
    one, two, three = small(loss), small(loss), small(loss)
    one.fit(x, y, batch_size=8, epochs=2, verbose=0, class_weight=table)
    two.fit(x, y, batch_size=8, epochs=2, verbose=0, sample_weight=by_sample)
    assert_same_training(one, two)
    assert one.train_on_batch(x, y, class_weight=table) == two.train_on_batch(x, y, by_sample)
    plain = three.fit(x, y, batch_size=8, epochs=2, verbose=0)
    assert one.history is not None
    assert plain.history != one.history.history


def test_class_weights_of_columns_and_of_numbers() -> None:
    data = convkit.training.data
    x = np.zeros((4, 1), np.float32)
    column = data.Samples([x], [np.array([[0.0], [1.0], [2.0], [1.0]], np.float32)])
    weighted = data.weighted_by_class(column, {1: 2.0, np.int64(2): 4.0}, 1)
    np.testing.assert_array_equal(weighted.weights[0], [1, 2, 4, 2])
    assert data.weighted_by_class(column, None, 1) is column


def test_the_split_takes_the_weights_along_and_class_weights_are_for_training() -> None:
    x, y, weights = samples()
    split = int(N * 0.7)
    one, two = small(), small()
    options: dict[str, Any] = {"batch_size": 8, "verbose": 0, "epochs": 2}
    one.fit(x, y, validation_split=0.3, sample_weight=weights, **options)
    two.fit(
        x[:split],
        y[:split],
        sample_weight=weights[:split],
        validation_data=(x[split:], y[split:], weights[split:]),
        **options,
    )
    assert_same_training(one, two)
    three, four = small(), small()
    three.fit(x, y, validation_split=0.3, class_weight={0: 9.0}, **options)
    four.fit(
        x[:split],
        y[:split],
        class_weight={0: 9.0},
        validation_data=(x[split:], y[split:]),
        **options,
    )
    assert_same_training(three, four)


def test_batch_functions_take_weights() -> None:
    x, y, weights = samples()
    model = small()
    expected = model.evaluate(x, y, sample_weight=weights, batch_size=N, verbose=0)
    assert model.test_on_batch(x, y, weights) == expected
    assert model.test_on_batch(x, y, sample_weight=weights[:, None]) == expected
    trained = model.train_on_batch(x, y, weights, return_dict=True)
    assert list(trained.values()) == pytest.approx(expected, rel=1e-5)


def test_the_same_bits_with_any_number_of_threads() -> None:
    x, y, weights = samples(n=70)

    def train() -> tuple[np.ndarray, ...]:
        model = small()
        history = model.fit(
            x, y, 16, 2, 0, sample_weight=weights, validation_data=(x[:9], y[:9], weights[:9])
        )
        return (*model.get_weights(), *map(np.array, history.history.values()))

    assert_threads_agree(train)


# What is refused.


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(5), ValueError, r"sample_weight must have shape \(37,\).*received \(5,\)"),
        (np.ones((N, 2)), ValueError, "sample_weight must have shape"),
        (2.0, ValueError, "sample_weight must have shape"),
        (np.where(np.arange(N) == 7, np.nan, 1), ValueError, "finite, received nan at position 7"),
        (np.full(N, np.inf), ValueError, "finite, received inf at position 0"),
        (["a"] * N, TypeError, "sample_weight must be numbers"),
    ],
)
def test_wrong_weights(weights: Any, error: type[Exception], message: str) -> None:
    model, (x, y, _) = small(), samples()
    for call in (
        lambda: model.fit(x, y, sample_weight=weights, verbose=0),
        lambda: model.evaluate(x, y, sample_weight=weights, verbose=0),
        lambda: model.fit(x, y, validation_data=(x, y, weights), verbose=0),
        lambda: model.train_on_batch(x, y, weights),
        lambda: model.test_on_batch(x, y, weights),
    ):
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        ([1.0, 2.0, 3.0], TypeError, "class_weight must be a dictionary such as"),
        ({"0": 1.0}, TypeError, "integers as keys, received '0'"),
        ({0.5: 1.0}, TypeError, "integers as keys, received 0.5"),
        ({1: float("nan")}, ValueError, "class_weight of class 1 must be finite"),
        ({0: 1.0, 7: 2.0}, ValueError, "names the class 7, but the model's output has .* 0 .. 2"),
        ({-1: 2.0}, ValueError, "names the class -1"),
    ],
)
def test_wrong_class_weights(table: Any, error: type[Exception], message: str) -> None:
    model, (x, y, weights) = small(), samples()
    with pytest.raises(error, match=message):
        model.fit(x, y, class_weight=table, verbose=0)
    with pytest.raises(ValueError, match="class_weight or sample_weight, not both"):
        model.fit(x, y, class_weight={0: 1.0}, sample_weight=weights, verbose=0)
