"""Predictions for a service: the bits of `predict_on_batch`, weights of their own, many threads."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits
from convkit import layers


def small() -> convkit.Sequential:
    convkit.utils.set_random_seed(3)
    return convkit.Sequential(
        [
            convkit.Input((12, 12, 3)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def images(count: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).random((count, 12, 12, 3), np.float32)


@pytest.mark.parametrize("batch_size", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 3, 7])
def test_it_predicts_what_the_model_predicts(batch_size: int, count: int) -> None:
    model, x = small(), images(count)
    predict = model.predictor(batch_size)
    assert predict.batch_size == batch_size
    parts = [
        model.predict_on_batch(x[i : i + batch_size]) for i in range(0, count, batch_size)
    ]  # how many are computed together may decide on an algorithm
    for _ in range(3):  # captured, replayed
        assert_same_bits(predict(x), np.concatenate(parts))
    for given in (x.tolist(), x.astype(np.float64), np.asfortranarray(x), x[::-1][::-1]):
        assert_same_bits(predict(given), np.concatenate(parts))


def test_results_are_the_callers_own() -> None:
    predict = small().predictor()
    first = predict(images(1, 1))
    kept = first.copy()
    predict(images(1, 2))
    assert_same_bits(first, kept)


def test_training_does_not_change_it() -> None:
    model, x = small(), images(4)
    model.compile("adam", "sparse_categorical_crossentropy")
    predict = model.predictor(4)
    before = predict(x)
    model.fit(images(32), np.arange(32) % 10, epochs=2, verbose=0)
    assert_same_bits(predict(x), before)
    after = model.predictor(4)(x)
    assert not np.array_equal(after, before)
    np.testing.assert_array_equal(after, model.predict_on_batch(x))


def test_bytes_go_through_the_layers_in_front() -> None:
    model = convkit.Sequential(
        [
            convkit.Input((16, 16, 3)),
            layers.RandomFlip("horizontal"),
            layers.Resizing(12, 12),
            layers.Rescaling(1 / 255),
            *small().layers,
        ]
    )
    x = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    predict = model.predictor(2)
    expected = np.concatenate([model.predict_on_batch(x[i : i + 2]) for i in (0, 2, 4)])
    assert_same_bits(predict(x), expected)
    assert_same_bits(predict(x.astype(np.float32)), expected)


def test_several_inputs_and_outputs() -> None:
    a, b = convkit.Input((4,), name="a"), convkit.Input((6,), name="b")
    x = layers.Concatenate()([layers.Dense(5)(a), layers.Dense(3)(b)])
    model = convkit.Model({"a": a, "b": b}, {"x": x, "y": layers.Dense(2)(x)})
    rng = np.random.default_rng(0)
    data = {"a": rng.random((3, 4), np.float32), "b": rng.random((3, 6), np.float32)}
    found, expected = model.predictor(3)(data), model.predict_on_batch(data)
    assert list(found) == list(expected) == ["x", "y"]
    for name in expected:
        assert_same_bits(found[name], expected[name])


def test_threads_do_not_disturb_each_other() -> None:
    predict = small().predictor()
    inputs = [images(1, seed) for seed in range(8)]
    expected = [predict(x) for x in inputs]
    wrong: list[int] = []
    interval = sys.getswitchinterval()

    def serve(i: int) -> None:
        for _ in range(200):
            if not np.array_equal(predict(inputs[i]), expected[i]):
                wrong.append(i)

    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=serve, args=(i,)) for i in range(8)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    finally:
        sys.setswitchinterval(interval)
    assert wrong == []
    assert 1 <= len(predict._idle) <= 8


def test_nobody_waits_while_the_model_is_locked() -> None:
    model, x = small(), images(1)
    predict = model.predictor()
    done: list[Any] = []

    def hold() -> None:
        thread = threading.Thread(target=lambda: done.append(predict(x)))
        thread.start()
        thread.join(20)

    model._engine.lock.write(hold)  # as a training step does
    assert len(done) == 1


@pytest.mark.parametrize("x", [np.ones((1, 12, 12, 4)), np.ones((0, 12, 12, 3), np.float32), None])
def test_wrong_images_are_refused_as_by_the_model(x: Any) -> None:
    model = small()
    predict = model.predictor()
    with pytest.raises((TypeError, ValueError)) as theirs:
        model.predict_on_batch(x)
    with pytest.raises(type(theirs.value)) as ours:
        predict(x)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize("size", [0, -1, 2**31, 1.5, "8", None, True])
def test_wrong_batch_sizes_are_refused(size: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="batch_size"):
        small().predictor(size)


def test_a_model_that_cannot_be_copied_says_so() -> None:
    class Own(convkit.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model(np.ones((1, 3), np.float32))
    with pytest.raises(ValueError, match="cannot be saved, or copied"):
        model.predictor()
