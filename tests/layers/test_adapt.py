"""Normalization takes its statistics of data: beside NumPy, beside Keras, and in a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, random_array
from convkit.layers import Normalization

AXES: list[Any] = [-1, None, 1, (1, 3), (-3, -2, -1), 3, (2,)]


def statistics(data: Array, axis: Any) -> tuple[Array, Array]:
    axes = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
    kept = {each % data.ndim for each in axes}
    others = tuple(each for each in range(data.ndim) if each not in kept)
    wide = data.astype(np.float64)
    return wide.mean(axis=others), wide.var(axis=others)


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.float16, np.int64])
def test_statistics_are_numpy_s_in_float64(axis: Any, dtype: Any) -> None:
    data = (np.abs(random_array("data", (70, 6, 5, 4))) * 50 + 7).astype(dtype)
    mean, variance = statistics(data, axis)
    pieces = [data[:1], data[1:40], data[40:]]
    for given in (data, pieces, iter(pieces), [(piece, len(piece)) for piece in pieces]):
        layer = Normalization(axis)
        layer.adapt(given)
        assert [w.name for w in layer.weights] == ["mean", "variance"]
        np.testing.assert_allclose(layer.weights[0].value, mean, rtol=1e-7)
        np.testing.assert_allclose(layer.weights[1].value, variance, rtol=1e-7)
        assert not layer.trainable_weights


def test_many_numbers_far_from_zero() -> None:
    """Sums of float32 would be off in the third digit, and squares of 20000 leave no variance."""
    data = (20_000 + random_array("data", (300_000, 2))).astype(np.float32)
    mean, variance = statistics(data, -1)
    layer = Normalization()
    layer.adapt(data)
    np.testing.assert_allclose(layer.weights[0].value, mean, rtol=1e-7)
    np.testing.assert_allclose(layer.weights[1].value, variance, rtol=1e-7)
    model = convkit.Sequential([convkit.Input((2,)), layer])
    y = model.predict(data, batch_size=4096, verbose=0)
    # The mean, a float32 near 20000, is off by up to 1e-3.
    np.testing.assert_allclose(y.mean(axis=0, dtype=np.float64), 0, atol=1e-3)
    np.testing.assert_allclose(y.std(axis=0, dtype=np.float64), 1, rtol=1e-5)


def test_a_channel_that_is_constant_becomes_zero() -> None:
    layer = Normalization()
    layer.adapt(np.full((8, 3), 7.0))
    model = convkit.Sequential([convkit.Input((3,)), layer])
    np.testing.assert_array_equal(model.predict(np.full((2, 3), 7.0), verbose=0), np.zeros((2, 3)))


def make(layer: Normalization) -> convkit.Sequential:
    convkit.utils.set_random_seed(2)
    end = [convkit.layers.Flatten(), convkit.layers.Dense(3, "softmax")]
    model = convkit.Sequential([convkit.Input((6, 5, 4)), layer, *end])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def test_a_model_that_is_adapted_computes_with_it_at_once() -> None:
    x, y = random_array("x", (20, 6, 5, 4)) * 3 + 5, np.arange(20) % 3
    model, layer = make(early := Normalization()), Normalization()
    before = model.predict(x, verbose=0)
    model.fit(x, y, verbose=0)
    trained = model.get_weights()
    np.testing.assert_array_equal(trained[0], np.zeros(4))
    early.adapt(x)
    assert not np.array_equal(model.predict(x, verbose=0), before)
    layer.adapt(x)
    other = make(layer)
    other.set_weights([*layer.get_weights(), *trained[2:]])
    np.testing.assert_array_equal(other.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("axis", AXES, ids=str)
@pytest.mark.parametrize("invert", [False, True])
def test_statistics_are_in_the_file(axis: Any, invert: bool, tmp_path: Path) -> None:
    x, y = random_array("x", (20, 6, 5, 4)) * 3 + 5, np.arange(20) % 3
    layer = Normalization(axis, invert=invert)
    layer.adapt(x)
    model = make(layer)
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "model")
    again = convkit.models.load_model(tmp_path / "model")
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    np.testing.assert_array_equal(again.weights[0].value, layer.weights[0].value)


def test_the_way_back() -> None:
    x = random_array("x", (20, 6, 5, 4)) * 3 + 5
    there, back = Normalization(), Normalization(invert=True)
    there.adapt(x)
    back.adapt(x)
    model = convkit.Sequential([convkit.Input((6, 5, 4)), there, back])
    np.testing.assert_allclose(model.predict(x, verbose=0), x, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("adapt", "error", "message"),
    [
        (lambda n: n.adapt([]), ValueError, "received nothing"),
        (lambda n: n.adapt(np.ones((0, 4))), ValueError, r"received shape \(0, 4\)"),
        (lambda n: n.adapt(np.ones(4)), ValueError, r"received shape \(4,\)"),
        (lambda n: n.adapt("data"), TypeError, "an array, or an iterable of batches"),
        (lambda n: n.adapt(3), TypeError, "an array, or an iterable of batches"),
        (lambda n: n.adapt(np.ones((2, 3), complex)), TypeError, "data must hold real numbers"),
        (lambda n: n.adapt([np.ones((2, 4)), np.ones((2, 5))]), ValueError, r"of shape \(2, 5\)"),
        (lambda n: n.adapt([np.ones((2, 4)), np.ones(4)]), ValueError, r"of shape \(4,\)"),
        (lambda n: (n.build((None, 3)), n.adapt(np.ones((2, 4)))), ValueError, "built for inputs"),
    ],
)
def test_data_that_does_not_do(
    adapt: Callable[[Normalization], Any], error: type[Exception], message: str
) -> None:
    layer = Normalization()
    with pytest.raises(error, match=message):
        adapt(layer)
    if layer.built:  # and nothing was taken of the batches before
        assert not layer.weights[0].value.any()


def test_given_statistics_are_not_replaced() -> None:
    layer = Normalization(mean=1.0, variance=2.0)
    with pytest.raises(ValueError, match="were given to the constructor"):
        layer.adapt(np.ones((2, 3)))
    assert not layer.weights
