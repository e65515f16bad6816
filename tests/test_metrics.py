"""Metrics: means over many batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
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
    mean.update_state(np.array([4.0]))
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
    with pytest.raises(ValueError, match="no metric may be called 'loss'"):
        metrics.get_all([metrics.Mean(name="loss")], loss)


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown metric 'precise'.*accuracy.*mse"):
        metrics.get("precise")


def test_a_class_that_the_output_lacks() -> None:
    metric = metrics.TopKCategoricalAccuracy(k=1)
    with pytest.raises(ValueError, match=r"labels must lie in 0 .. 0.*received 1"):
        metric.update_state(np.float32([[1]]), np.float32([[0.5]]))


def test_metrics_of_the_same_name_are_numbered() -> None:
    convkit.utils.set_random_seed(1)
    model = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(2, "sigmoid")])
    wanted = ["accuracy", "accuracy", metrics.Precision(class_id=0), metrics.Precision(class_id=1)]
    model.compile("sgd", "binary_crossentropy", metrics=wanted)
    names = ["loss", "accuracy", "accuracy_1", "precision", "precision_1"]
    assert model.metrics_names == names
    history = model.fit(np.eye(3), np.eye(3)[:, :2], epochs=2, verbose=0).history
    assert list(history) == names
    assert history["accuracy"] == history["accuracy_1"]


def test_metrics_of_several_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    model = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(3, "softmax")])
    model.compile("sgd", "categorical_crossentropy", metrics=[metrics.F1Score()])
    history = model.fit(np.eye(3), np.eye(3), epochs=2, verbose=2).history["f1_score"]
    assert [np.shape(each) for each in history] == [(3,), (3,)]
    assert "f1_score: array([" in capsys.readouterr().out
    assert repr(metrics.F1Score()) == "<F1Score f1_score=0>"


def test_functions_as_metrics_are_left_out_of_files(tmp_path: Path) -> None:
    def distance(y_true: Any, y_pred: Any) -> Any:
        return np.abs(y_true - y_pred).mean(axis=-1)

    model = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(2)])
    model.compile("sgd", "mse", metrics=[distance, losses.mean_absolute_error, "Precision"])
    assert model.metrics_names == ["loss", "distance", "mean_absolute_error", "Precision"]
    loss, mine, mean, _ = model.evaluate(np.eye(3), np.ones((3, 2)), verbose=0)
    assert mine == pytest.approx(mean, rel=1e-6)
    with pytest.warns(UserWarning, match="the metrics distance are functions"):
        model.save(tmp_path / "model")
    other = convkit.models.load_model(tmp_path / "model")
    assert other.metrics_names == ["loss", "mean_absolute_error", "Precision"]
    assert other.evaluate(np.eye(3), np.ones((3, 2)), verbose=0)[:2] == [loss, mean]


def test_trainings_go_on_with_what_metrics_have_gathered(tmp_path: Path) -> None:
    class Killer(convkit.callbacks.Callback):
        at = -1

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == self.at:
                raise KeyboardInterrupt

    def train(*callbacks: Any) -> Any:
        convkit.utils.set_random_seed(1)
        model = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(3, "sigmoid")])
        wanted = ["AUC", metrics.Precision([0.3, 0.6]), metrics.F1Score(), metrics.R2Score(),
                  metrics.OneHotMeanIoU(3)]  # fmt: skip
        model.compile("sgd", "binary_crossentropy", metrics=wanted)
        x, y = np.tile(np.eye(3), (4, 1)), np.tile(np.eye(3)[::-1], (4, 1))
        return model.fit(x, y, 2, 2, verbose=0, callbacks=list(callbacks)).history

    whole, killer = train(), Killer()
    killer.at = 2
    with pytest.raises(KeyboardInterrupt):
        train(killer, convkit.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1))
    backup = convkit.callbacks.BackupAndRestore(tmp_path / "backup", save_freq=1)
    resumed = train(Killer(), backup)
    assert list(resumed) == list(whole)
    for name, values in whole.items():
        np.testing.assert_array_equal(np.array(resumed[name]), np.array(values), err_msg=name)


def test_wrong_arguments() -> None:
    for make, message in (
        (lambda: metrics.Precision(1.5), r"thresholds must lie in 0 .. 1, received 1.5"),
        (lambda: metrics.Recall(top_k=0), r"top_k must be an integer of at least 1"),
        (lambda: metrics.AUC(curve="ROCK"), r"curve must be one of .*'ROC'.*received 'ROCK'"),
        (lambda: metrics.AUC(1), r"num_thresholds must be an integer of at least 2"),
        (lambda: metrics.AUC(num_labels=3), r"only with multi_label=True"),
        (lambda: metrics.PrecisionAtRecall(2), r"recall must lie in 0 .. 1"),
        (lambda: metrics.F1Score("median"), r"average must be one of"),
        (lambda: metrics.FBetaScore(beta=0), r"beta must be a number above 0"),
        (lambda: metrics.F1Score(threshold=0.0), r"threshold must be above 0"),
        (lambda: metrics.IoU(3, [3]), r"target_class_ids must lie in 0 .. 2"),
        (lambda: metrics.R2Score("mean"), r"class_aggregation must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    with pytest.raises(ValueError, match=r"there is no class 2 in outputs of shape \(3, 2\)"):
        metrics.Precision(class_id=2).update_state(np.ones((3, 2)), np.ones((3, 2)))
    with pytest.raises(ValueError, match=r"sparse_y_pred=False"):
        metrics.MeanIoU(3).update_state([0, 1], np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"metric precision compares every output"):
        metrics.Precision().update_state([0, 1, 2], PROBS)


def test_counts_against_numpy() -> None:
    generator = np.random.default_rng(1)
    y_true, y_pred = generator.integers(0, 2, 500), generator.uniform(0, 1, 500).astype(np.float32)
    weights, thresholds = generator.uniform(0, 2, 500), [0.9, 0.1, 0.5]
    for name, right, above in (
        ("TruePositives", 1, True),
        ("FalsePositives", 0, True),
        ("TrueNegatives", 0, False),
        ("FalseNegatives", 1, False),
    ):
        metric = getattr(metrics, name)(thresholds)
        metric.update_state(y_true, y_pred, weights)
        expected = [
            weights[(y_true == right) & ((y_pred > np.float32(t)) == above)].sum()
            for t in thresholds
        ]
        np.testing.assert_allclose(metric.result(), expected, rtol=1e-12)
    metric = metrics.TruePositives()
    metric.update_state([1, 1], np.array([np.nan, 0.7], np.float32))
    assert metric.result() == 1.0  # what is not a number is no yes


def test_classes_and_axes_that_there_are_not() -> None:
    for wrong in (0.5, -1, 2**70, "a"):
        with pytest.raises(ValueError, match="class_id must be an integer of at least 0"):
            metrics.PrecisionAtRecall(0.5, class_id=wrong)  # type: ignore[arg-type]
    metric = metrics.IoU(3, [0], sparse_y_pred=False, axis=2**70)
    with pytest.raises(ValueError, match=r"metric io_u: y_pred of shape \(2, 3\) has no axis"):
        metric.update_state(np.zeros(2), np.zeros((2, 3)))
