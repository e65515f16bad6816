"""Metrics: means over many batches."""

from __future__ import annotations

import numpy as np
import pytest

from convkit import losses, metrics

PROBS = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.4, 0.2]], np.float32)


def test_accuracy_over_batches_of_different_size() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    assert metric.result() == 0.0
    metric.update_state([0, 1], PROBS[:2])
    assert metric.result() == 0.5
    metric.update_state([[0]], PROBS[2:])  # a tie goes to the first maximum
    assert metric.result() == pytest.approx(2 / 3)
    metric.reset_state()
    assert metric.result() == 0.0
    metric.update_state(np.zeros(0, int), PROBS[:0])
    assert metric.result() == 0.0


def test_one_hot_accuracy() -> None:
    metric = metrics.CategoricalAccuracy()
    metric.update_state(np.eye(3, dtype=np.float32)[[0, 2, 1]], PROBS)
    assert metric.result() == pytest.approx(2 / 3)
    assert metric.name == "categorical_accuracy"


def test_sample_weights() -> None:
    sparse, dense = metrics.SparseCategoricalAccuracy(), metrics.CategoricalAccuracy()
    sparse.update_state([0, 1, 0], PROBS, sample_weight=[1.0, 2.0, 3.0])
    dense.update_state(np.eye(3)[[0, 1, 0]], PROBS, sample_weight=[1.0, 2.0, 3.0])
    assert sparse.result() == dense.result() == pytest.approx(4 / 6)


def test_squared_error_and_mean() -> None:
    metric = metrics.MeanSquaredError()
    metric.update_state([[1.0, 2.0]], [[0.0, 0.0]])
    metric.update_state([1.0], [[0.0]])
    assert metric.result() == pytest.approx((2.5 + 1.0) / 2)
    mean = metrics.Mean()
    mean.add(6.0, 3)
    mean.update_state(np.zeros(1), np.array([4.0]))
    assert mean.result() == 2.5
    assert repr(mean) == "<Mean mean=2.5>"


def test_different_lengths() -> None:
    with pytest.raises(ValueError, match=r"same number of samples, received \[2, 3\]"):
        metrics.SparseCategoricalAccuracy().update_state([0, 1], PROBS)


def test_accuracy_by_name_fits_the_loss() -> None:
    sparse = metrics.get("accuracy", losses.SparseCategoricalCrossentropy())
    assert isinstance(sparse, metrics.SparseCategoricalAccuracy)
    assert sparse.name == "accuracy"
    dense = metrics.get("acc", losses.CategoricalCrossentropy())
    assert isinstance(dense, metrics.CategoricalAccuracy)
    assert dense.name == "acc"


@pytest.mark.parametrize("loss", [losses.MeanSquaredError(), losses.BinaryCrossentropy(), None])
def test_accuracy_by_name_fits_the_output_where_the_loss_does_not_say(
    loss: losses.Loss | None,
) -> None:
    metric = metrics.get("accuracy", loss)
    assert metric.name == "accuracy"
    metric.update_state([[1], [0], [1], [0]], [[0.9], [0.2], [0.4], [0.5]])  # 0.5 says no
    assert metric.result() == 0.75
    metric.reset_state()
    metric.update_state(np.eye(3)[[0, 2, 1]], PROBS)
    assert metric.result() == pytest.approx(2 / 3)


def test_binary_accuracy() -> None:
    metric = metrics.BinaryAccuracy(threshold=0.3)
    metric.update_state([1, 0], [[0.4], [0.4]])
    assert metric.result() == 0.5
    metric = metrics.BinaryAccuracy("tags")
    # Of several questions a sample counts by the share of its right answers.
    metric.update_state([[1, 0, 0], [1, 1, 1]], [[0.9, 0.6, 0.1], [0.1, 0.2, 0.3]], [3.0, 1.0])
    assert metric.name == "tags"
    assert metric.result() == pytest.approx((3 * 2 / 3 + 0) / 4)


def test_top_k_accuracy() -> None:
    one_hot = np.eye(3)[[1, 0, 1]]
    for k, expected in ((1, 1 / 3), (2, 2 / 3), (3, 1.0)):
        sparse, dense = metrics.SparseTopKCategoricalAccuracy(k), metrics.TopKCategoricalAccuracy(k)
        sparse.update_state([[1], [0], [1]], PROBS)  # the last is a tie for the first place
        dense.update_state(one_hot, PROBS)
        assert sparse.result() == dense.result() == pytest.approx(expected)
    sparse = metrics.SparseTopKCategoricalAccuracy(2)
    sparse.update_state([0, 1], np.array([[np.nan, 0, 0], [0.5, 0.2, 0.3]], np.float32), [1.0, 3.0])
    assert sparse.result() == 0.0
    for wrong in (0, -1, True):
        with pytest.raises(ValueError, match="k must be a positive integer"):
            metrics.TopKCategoricalAccuracy(wrong)


def test_absolute_error() -> None:
    metric = metrics.get("mae")
    assert metric.name == "mae"
    metric.update_state([[1.0, -2.0], [0.0, 0.0]], [[0.0, 0.0], [4.0, 2.0]])
    assert metric.result() == pytest.approx((1.5 + 3.0) / 2)


def test_lists_of_metrics() -> None:
    loss = losses.SparseCategoricalCrossentropy()
    assert metrics.get_all(None, loss) == []
    assert [m.name for m in metrics.get_all("accuracy", loss)] == ["accuracy"]
    assert [m.name for m in metrics.get_all(["acc", "mse"], loss)] == ["acc", "mse"]
    own = metrics.SparseCategoricalAccuracy(name="mine")
    assert metrics.get_all(own, loss) == [own]
    with pytest.raises(ValueError, match="different names"):
        metrics.get_all(["accuracy", "accuracy"], loss)
    with pytest.raises(ValueError, match="none be 'loss'"):
        metrics.get_all([metrics.Mean(name="loss")], loss)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'precise'.*accuracy.*mse"):
        metrics.get("precise")


def test_a_class_that_the_output_lacks() -> None:
    metric = metrics.TopKCategoricalAccuracy(k=1)
    with pytest.raises(ValueError, match=r"labels must lie in 0 .. 0.*received 1"):
        metric.update_state(np.float32([[1]]), np.float32([[0.5]]))
