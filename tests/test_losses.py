"""Losses: which targets they take, and what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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


def test_cross_entropy_needs_flat_outputs() -> None:
    with pytest.raises(ValueError, match=r"\(None, 7, 7, 3\).*Flatten\(\) and Dense"):
        losses.SparseCategoricalCrossentropy().prepare([0, 1], (7, 7, 3))


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
        "name": "mine",
    }
    for name in ("crossentropy", None, len):
        with pytest.raises(ValueError, match=r"unknown loss.*sparse_categorical_crossentropy"):
            losses.get(name)  # type: ignore[arg-type]


def test_two_classes_in_one_unit_come_with_a_remedy() -> None:
    with pytest.raises(ValueError, match="take loss='binary_crossentropy' for two classes"):
        losses.SparseCategoricalCrossentropy().prepare([0, 1], (1,))
    with pytest.raises(ValueError, match="one unit, or for integer labels take loss='sparse"):
        losses.BinaryCrossentropy().prepare([0, 1, 2], (3,))
