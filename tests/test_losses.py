"""Losses: which targets they take, and what they compute."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_bits
from convkit import losses, reference

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])


def test_values() -> None:
    sparse = losses.SparseCategoricalCrossentropy()
    expected = -(np.log(0.7) + np.log(0.3)) / 2
    assert sparse([0, 1], PROBS) == pytest.approx(expected, rel=1e-5)
    assert sparse([[0], [1]], PROBS) == pytest.approx(expected, rel=1e-5)
    one_hot = losses.CategoricalCrossentropy()
    assert one_hot([[1, 0, 0], [0, 1, 0]], PROBS) == pytest.approx(expected, rel=1e-5)
    weighted = sparse([0, 1], PROBS, sample_weight=[1.0, 0.0])
    assert weighted == pytest.approx(-np.log(0.7) / 2, rel=1e-5)
    mse = losses.MeanSquaredError()
    assert mse([[0.0, 1.0]], [[0.5, 0.0]]) == pytest.approx(0.625)
    assert mse([1.0, 2.0], [[0.0], [0.0]]) == pytest.approx(2.5)


def test_from_logits() -> None:
    logits = np.array([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
    expected = float(reference.softmax_cross_entropy(logits, [2, 0])[0].mean())
    sparse = losses.SparseCategoricalCrossentropy(from_logits=True)
    assert sparse([2, 0], logits) == pytest.approx(expected, rel=1e-5)
    assert sparse.fused_activation is None
    assert losses.SparseCategoricalCrossentropy().fused_activation == "softmax"
    dense = losses.CategoricalCrossentropy(from_logits=True)
    assert dense(np.eye(3)[[2, 0]], logits) == pytest.approx(expected, rel=1e-5)


def test_gradients_go_where_they_are_told() -> None:
    logits = np.array([[2.0, -1.0, 0.5]], np.float32)
    out = {name: np.empty((1, 3), np.float32) for name in ("probs", "dlogits")}
    values = np.empty(1, np.float32)
    loss = losses.SparseCategoricalCrossentropy()
    loss.compute_from_logits(logits, np.array([1]), losses=values, **out)
    expected = reference.softmax_cross_entropy(logits.astype(np.float64), [1])
    for got, want in zip((values, out["probs"], out["dlogits"]), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize(
    "labels",
    [
        [0, 2, 1],
        np.array([[0], [2], [1]], np.uint8),
        np.array([0.0, 2.0, 1.0]),
        np.array([0, 2, 1], np.int32)[::1],
        np.array([0, 2, 1], ">i2"),
    ],
)
def test_labels_become_int64(labels: Any) -> None:
    prepared = losses.check_labels(labels, 3)
    np.testing.assert_array_equal(prepared, [0, 2, 1])
    assert prepared.dtype == np.int64
    assert prepared.flags.c_contiguous


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 3, 1], r"0 .. 2.*3 classes; received 3 at position 1.*more units"),
        ([0, 1, -1], r"received -1 at position 2"),
        ([0.0, 0.5], r"whole numbers, received 0.5 at position 1"),
        ([0.0, float("nan")], "whole numbers, received nan"),
        ([0.0, float("inf")], "received inf"),
        (np.eye(3), r"categorical_crossentropy.*argmax"),
        (np.zeros((2, 1, 1)), "one integer a sample"),
        (np.array(3), "one integer a sample|shape"),
    ],
)
def test_wrong_labels(labels: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        losses.SparseCategoricalCrossentropy().prepare(labels, (3,))


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_targets_must_be_numbers(loss: str) -> None:
    with pytest.raises(TypeError, match=r"number the classes.*numpy.unique"):
        losses.get(loss).prepare(["cat", "dog"], (2,))


def test_integer_labels_for_the_one_hot_loss() -> None:
    with pytest.raises(ValueError, match=r"to_categorical\(y, 3\).*sparse_categorical"):
        losses.CategoricalCrossentropy().prepare([0, 1], (3,))
    with pytest.raises(ValueError, match=r"shape \(N, 3\), received \(2, 4\)"):
        losses.CategoricalCrossentropy().prepare(np.zeros((2, 4)), (3,))


def test_labels_of_samples_for_outputs_at_positions() -> None:
    with pytest.raises(ValueError, match=r"\(N, 7, 7\).*received \(2,\).*Flatten\(\) and Dense"):
        losses.SparseCategoricalCrossentropy().prepare([0, 1], (7, 7, 3))
    with pytest.raises(ValueError, match=r"categorical_crossentropy.*argmax\(axis=-1\)"):
        losses.SparseCategoricalCrossentropy().prepare(np.zeros((2, 7, 7, 3)), (7, 7, 3))
    with pytest.raises(ValueError, match="one integer for each position"):
        losses.SparseCategoricalCrossentropy().prepare(np.zeros((2, 7)), (7, 7, 3))


def test_labels_of_positions_stay_small() -> None:
    loss = losses.SparseCategoricalCrossentropy(ignore_class=255)
    given = np.array([[[0], [255], [2]]], np.uint8)
    prepared = loss.prepare(given, (3, 3))
    assert prepared.dtype == np.uint8
    assert prepared.tolist() == [[0, 255, 2]]
    assert loss.prepare(given.astype(np.int16), (3, 3)).dtype == np.int64
    with pytest.raises(ValueError, match="received 255 at position 1"):
        losses.SparseCategoricalCrossentropy().prepare(given, (3, 3))


def test_wrong_targets_for_the_squared_error() -> None:
    with pytest.raises(ValueError, match=r"shape \(N, 2\).*received \(3,\)"):
        losses.MeanSquaredError().prepare([1, 2, 3], (2,))


def test_different_lengths() -> None:
    with pytest.raises(ValueError, match="y_true has 3 samples, y_pred has 2"):
        losses.SparseCategoricalCrossentropy()([0, 1, 1], PROBS)


def test_names() -> None:
    assert isinstance(losses.get("mse"), losses.MeanSquaredError)
    own = losses.CategoricalCrossentropy(from_logits=True, name="mine")
    assert losses.get(own) is own
    assert own.get_config() == {
        "from_logits": True,
        "label_smoothing": 0.0,
        "axis": -1,
        "reduction": "sum_over_batch_size",
        "name": "mine",
    }
    for name in ("crossentropy", None, 3, dict):
        with pytest.raises(ValueError, match=r"unknown loss.*sparse_categorical_crossentropy"):
            losses.get(name)  # type: ignore[arg-type]


def test_two_classes_in_one_unit_come_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="take loss='binary_crossentropy' for two classes"):
        losses.SparseCategoricalCrossentropy().prepare([0, 1], (1,))
    with pytest.raises(ValueError, match="one unit, or for integer labels take loss='sparse"):
        losses.BinaryCrossentropy().prepare([0, 1, 2], (3,))


# Losses of one's own, and the arguments that all share.


class Quartic(losses.Loss):
    def call(self, y_true: Any, y_pred: Any) -> Any:
        return ((y_pred - y_true) ** 4).mean(axis=-1)

    def gradient(self, y_true: Any, y_pred: Any) -> Any:
        return 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]


def quartic(y_true: Any, y_pred: Any) -> Any:
    return Quartic().call(y_true, y_pred), Quartic().gradient(y_true, y_pred)


def squares(y_true: Any, y_pred: Any) -> Any:
    return ((y_pred - y_true) ** 2).mean(axis=-1)


def dense() -> Any:
    convkit.utils.set_random_seed(1)
    return convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(2)])


X = np.linspace(-1, 1, 36, dtype=np.float32).reshape(12, 3)
Y = np.stack([X.sum(axis=1), X[:, 0] * 2], axis=1)


@pytest.mark.parametrize("loss", [Quartic(), Quartic, quartic])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_ones_own(loss: Any, weighted: bool) -> None:
    model, weights = dense(), np.linspace(0, 2, 12) if weighted else None
    model.compile("sgd", loss)
    made = losses.get(loss)
    before = model.evaluate(X, Y, sample_weight=weights, verbose=0)
    expected = made(Y, model.predict(X, verbose=0), weights)
    assert before == pytest.approx(expected, rel=1e-6)
    kernel, step = model.layers[0].kernel, 1e-3
    value = kernel.value.copy()
    slopes = np.zeros_like(value)
    for place in np.ndindex(*value.shape):
        for sign in (1, -1):
            moved = value.copy()
            moved[place] += sign * step
            kernel.value = moved
            loss_there = made(Y, model.predict(X, verbose=0), weights)
            slopes[place] += sign * loss_there / (2 * step)
    kernel.value = value
    model.optimizer.learning_rate = 0.5
    model.train_on_batch(X, Y, sample_weight=weights)
    np.testing.assert_allclose((value - kernel.value) / 0.5, slopes, rtol=2e-3, atol=1e-4)
    kernel.value, model.optimizer.learning_rate = value, 0.05
    model.fit(X, Y, epochs=3, sample_weight=weights, verbose=0)
    assert model.evaluate(X, Y, sample_weight=weights, verbose=0) < before


def test_losses_without_a_gradient_say_how_to_give_one() -> None:
    class Squares(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return squares(y_true, y_pred)

    message = r"does not differentiate Python code.*returns \(losses, gradient\)"
    assert Squares()(Y, Y + 1) == 1.0  # to be called it needs none
    with pytest.raises(TypeError, match=message):
        dense().compile("sgd", Squares())
    model = dense()
    model.compile("sgd", squares)
    with pytest.raises(TypeError, match=rf"'squares' returned no gradient.*|{message}"):
        model.fit(X, Y, verbose=0)
    assert losses.get(squares)(Y, Y + 1) == 1.0


def test_gradients_of_another_shape() -> None:
    model = dense()
    model.compile("sgd", lambda y_true, y_pred: (squares(y_true, y_pred), np.zeros(3)))
    with pytest.raises(ValueError, match=r"shape of y_pred, \(12, 2\), received \(3,\)"):
        model.fit(X, Y, verbose=0)


@pytest.mark.parametrize("reduction", [None, "none"])
def test_compile_needs_one_number(reduction: Any) -> None:
    loss = losses.Huber(reduction=reduction)
    assert loss(Y, Y + 2).shape == (12,)
    np.testing.assert_allclose(loss(Y, Y + 2, np.arange(12)), 1.5 * np.arange(12), rtol=1e-6)
    with pytest.raises(ValueError, match=r"compile needs one number.*sum_over_batch_size"):
        dense().compile("sgd", loss)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match=r"reduction must be one of.*received 'average'"):
        losses.Hinge("average")
    with pytest.raises(ValueError, match=r"axis must be -1.*received 1"):
        losses.CategoricalCrossentropy(axis=1)
    with pytest.raises(ValueError, match="delta must be above 0, received 0"):
        losses.Huber(0)
    with pytest.raises(ValueError, match=r"gamma must be a finite number.*received -1"):
        losses.BinaryFocalCrossentropy(gamma=-1)
    with pytest.raises(ValueError, match="q must lie between 0 and 1"):
        losses.CategoricalGeneralizedCrossEntropy(1.0)
    with pytest.raises(TypeError, match=r"axis must be None, an integer or several"):
        losses.Dice(axis="all")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="ignore_class must be an integer or None"):
        losses.SparseCategoricalCrossentropy(ignore_class=0.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"sample_weight of shape \(3,\) does not fit losses"):
        losses.Dice()(np.ones((3, 2)), np.ones((3, 2)), np.ones(3))


def test_smoothed_integer_labels() -> None:
    labels, hot = np.array([0, 2]), np.eye(3)[[0, 2]]
    sparse = losses.SparseCategoricalCrossentropy(label_smoothing=0.3)
    dense_one = losses.CategoricalCrossentropy(label_smoothing=0.3)
    assert sparse(labels, PROBS) == pytest.approx(dense_one(hot, PROBS), rel=1e-6)


def test_weights_of_positions_and_classes() -> None:
    x = np.random.default_rng(1).normal(size=(6, 5, 5, 2)).astype(np.float32)
    y = np.arange(6 * 9).reshape(6, 3, 3) * 5 % 3
    factors = np.array([1.0, 5.0, 0.5])
    results = []
    for options in (
        {"class_weight": {0: 1.0, 1: 5.0, 2: 0.5}},
        {"sample_weight": factors[y]},
        {"sample_weight": factors[y][..., None]},
    ):
        for targets in (y, y.astype(np.uint8), np.eye(3, dtype=np.float32)[y]):
            convkit.utils.set_random_seed(1)
            conv = convkit.layers.Conv2D(3, 3, activation="softmax")
            model = convkit.Sequential([convkit.Input((5, 5, 2)), conv])
            name = "sparse_categorical_crossentropy"
            model.compile("adam", name if targets.ndim == 3 else name[7:])
            model.fit(x, targets, 2, 2, verbose=0, **options)
            results.append(model.get_weights())
    for other in results[1:]:
        assert_same_bits(tuple(other), tuple(results[0]))
    with pytest.raises(ValueError, match=r"\(6,\).*or \(6, 3, 3\), one for each position"):
        model.fit(x, targets, verbose=0, sample_weight=np.ones((6, 3)))


@pytest.mark.parametrize(
    "loss",
    [losses.Huber(0.5, "sum"), losses.Tversky(0.3, 0.7, axis=-1), losses.CosineSimilarity(),
     losses.BinaryFocalCrossentropy(True, 0.3, 1.5, True), losses.KLDivergence(name="mine")],
    ids=lambda loss: type(loss).__name__,
)  # fmt: skip
def test_compiled_models_are_saved_with_their_loss(loss: losses.Loss, tmp_path: Path) -> None:
    model = dense()
    model.compile("adam", loss)
    targets = 1 / (1 + np.exp(-Y))
    model.fit(X, targets, verbose=0)
    model.save(tmp_path / "model")
    other = convkit.models.load_model(tmp_path / "model")
    assert other.loss.get_config() == loss.get_config()
    assert type(other.loss) is type(loss)
    for each in (model, other):
        each.fit(X, targets, verbose=0)
    assert_same_bits(tuple(other.get_weights()), tuple(model.get_weights()))


def test_losses_are_captured_and_change_with_their_arguments() -> None:
    model, loss = dense(), losses.Huber(0.5)
    model.compile("sgd", loss)
    for delta in (0.5, 0.5, 0.25, 0.25):
        loss.delta = delta
        expected = losses.Huber(delta)(Y, model.predict(X, verbose=0))
        assert model.train_on_batch(X, Y) == pytest.approx(expected, rel=1e-5)


def test_sums_over_axes_that_no_array_has() -> None:
    for wrong in (2**70, [1, -(2**40)]):
        with pytest.raises(ValueError, match="dice: there are no arrays with an axis"):
            losses.Dice(axis=wrong)
