"""Regularizers: what they are called, what they add to losses and gradients, and when."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_threads_agree
from convkit import layers, ops, regularizers

SIZES = (8, 8, 2)


def model(seed: int = 0, **options: Any) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    made = convkit.Sequential(
        [
            convkit.Input(SIZES),
            layers.Conv2D(16, 3, activation="relu", name="conv", **options),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(20, activation="relu", name="hidden", **options),
            layers.Dense(3, activation="softmax", name="last"),
        ]
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


def samples(n: int = 30) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, *SIZES)).astype(np.float32), rng.integers(0, 3, n)


# Names.


@pytest.mark.parametrize("name", ["l1", "l2", "l1_l2", "L1", "L2", "L1L2"])
def test_by_name(name: str) -> None:
    got = regularizers.get(name)
    assert isinstance(got, getattr(regularizers, name))
    assert regularizers.get(got) is got
    again = regularizers.get(json.loads(json.dumps(regularizers.serialize(got))))
    assert type(again) is type(got)
    assert again is not None
    assert again.get_config() == got.get_config()


def test_defaults_and_none() -> None:
    assert regularizers.l1 is regularizers.L1
    assert regularizers.l2(0.3).get_config() == {"l2": 0.3}
    assert regularizers.l1_l2().get_config() == {"l1": 0.0, "l2": 0.0}
    assert (regularizers.L1().l1, regularizers.L2().l2) == (0.01, 0.01)
    assert regularizers.get(None) is None
    assert regularizers.get(None) is None
    assert repr(regularizers.L1L2(l1=0.01, l2=5e-4)) == "L1L2(l1=0.01, l2=0.0005)"


def test_values() -> None:
    w = np.array([[1.0, -2.0], [0.0, 3.0]], np.float32)
    assert regularizers.L1(0.5)(w) == 3.0
    assert regularizers.L2(0.5)(w) == 7.0
    assert regularizers.L1L2(l1=0.5, l2=0.5)(w.tolist()) == 10.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regularizers.get("l3"), r"unknown regularizer 'l3': use one of L1, L1L2, L2, l1,"),
        (lambda: regularizers.get(0.01), "unknown regularizer 0.01"),  # type: ignore[arg-type]
        (lambda: regularizers.get({"class_name": "Zeros"}), "unknown regularizer"),
        (lambda: layers.Dense(3, kernel_regularizer="ridge"), "unknown regularizer 'ridge'"),
        (lambda: regularizers.L1(-0.1), "L1: l1 must be a finite number of at least 0"),
        (lambda: regularizers.L2(float("nan")), "L2: l2 must be a finite number"),
        (lambda: regularizers.L1L2(l2="a"), "L1L2: l2 must be"),  # type: ignore[arg-type]
    ],
)
def test_wrong_ones(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        (layers.Dense(3, kernel_regularizer="l2", bias_regularizer="l1"), ("kernel", "bias")),
        (layers.Conv2D(3, 2, kernel_regularizer="l2", bias_regularizer="l1"), ("kernel", "bias")),
        (
            layers.BatchNormalization(gamma_regularizer="l2", beta_regularizer="l1"),
            ("gamma", "beta"),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers_hand_them_to_their_parameters(layer: layers.Layer, names: tuple[str, ...]) -> None:
    config = json.loads(json.dumps(layer.get_config()))
    copy = type(layer).from_config(config)
    for each in (layer, copy):
        each.build((None, 4) if isinstance(layer, layers.Dense) else (None, 4, 4, 2))
        kinds = {w.name: type(w.regularizer).__name__ for w in each.weights}
        assert (kinds[names[0]], kinds[names[1]]) == ("L2", "L1")
        assert set(kinds) - set(names) <= {"moving_mean", "moving_variance"}


# In training.


def test_the_loss_is_reported_with_the_penalties() -> None:
    x, y = samples()
    plain, penalised = model(), model(kernel_regularizer="l2", bias_regularizer="l1")
    kernels = [plain.layers[i].get_weights()[0].astype(np.float64) for i in (0, 3)]
    penalty = 0.01 * sum(float(np.square(kernel).sum()) for kernel in kernels)
    expected = plain.evaluate(x, y, verbose=0) + penalty
    assert penalised.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert penalised.evaluate(x, y, batch_size=7, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert penalised.test_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
    # Of the weights before the step.
    assert penalised.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
    np.testing.assert_array_equal(plain.predict(x, verbose=0), model().predict(x, verbose=0))


def test_the_gradient_has_its_term() -> None:
    x, y = samples()
    options = {"kernel_regularizer": regularizers.L1L2(l1=0.02, l2=0.05)}
    plain, penalised = model(), model(**options)
    before = penalised.get_weights()
    for each in (plain, penalised):
        each.compile(convkit.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        each.train_on_batch(x, y)
    for one, two, value in zip(plain.weights, penalised.weights, before, strict=True):
        expected = one.gradient.astype(np.float64)
        if two.regularizer is not None:
            expected = expected + 0.02 * np.sign(value) + 0.1 * value
        np.testing.assert_allclose(two.gradient, expected, rtol=1e-5, atol=1e-7)


def test_strong_penalties_shrink_the_weights() -> None:
    x, y = samples()
    plain, penalised = model(), model(kernel_regularizer=regularizers.L2(1.0))
    for each in (plain, penalised):
        each.fit(x, y, epochs=100, verbose=0)
    sizes = [float(np.abs(each.layers[3].get_weights()[0]).mean()) for each in (plain, penalised)]
    assert sizes[1] < 0.5 * sizes[0]


def test_a_frozen_layer_has_no_penalty() -> None:
    x, y = samples()
    frozen, plain = model(kernel_regularizer="l2"), model()
    frozen.layers[0].trainable = False
    kernel = plain.layers[3].get_weights()[0].astype(np.float64)
    expected = plain.evaluate(x, y, verbose=0) + 0.01 * float(np.square(kernel).sum())
    assert frozen.evaluate(x, y, verbose=0) == pytest.approx(expected, rel=1e-5)
    assert frozen.train_on_batch(x, y) == pytest.approx(expected, rel=1e-5)
    assert "conv/kernel" not in frozen.plan()
    assert "hidden/kernel" in frozen.plan()


def test_the_plan_shows_them() -> None:
    text = model(kernel_regularizer="l2", bias_regularizer=regularizers.L1(0.5)).plan(8)
    rows = [line.split() for line in text.splitlines() if "penalty" in line]
    assert [row[1:] for row in rows] == [
        ["conv/kernel", "penalty", "L2(l2=0.01)", "()"],
        ["conv/bias", "penalty", "L1(l1=0.5)", "()"],
        ["hidden/kernel", "penalty", "L2(l2=0.01)", "()"],
        ["hidden/bias", "penalty", "L1(l1=0.5)", "()"],
    ]
    assert [int(row[0]) for row in rows] == list(range(int(rows[0][0]), int(rows[0][0]) + 4))
    assert "penalty" not in model(kernel_regularizer="l2").plan(8, training=False)
    assert "penalty" not in model().plan(8)


def test_the_same_bits_with_any_number_of_threads() -> None:
    x, y = samples(64)

    def train() -> tuple[np.ndarray, ...]:
        each = model(kernel_regularizer=regularizers.L1L2(l1=1e-3, l2=1e-2))
        history = each.fit(x, y, 16, 2, 0, validation_data=(x[:9], y[:9]))
        return (*each.get_weights(), *map(np.array, history.history.values()))

    assert_threads_agree(train)


def test_no_regularizer_is_no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any, **options: Any) -> float:
        raise AssertionError("nothing has a penalty")

    x, y = samples()
    each = model()
    monkeypatch.setattr(ops, "regularize", fail)
    each.fit(x, y, verbose=0, validation_data=(x[:5], y[:5]))
