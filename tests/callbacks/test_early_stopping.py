"""EarlyStopping: when it stops, what it restores, and what it says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit.callbacks import EarlyStopping, direction


class Stub:
    """A model for callbacks that only counts its epochs in its one weight."""

    stop_training = False

    def __init__(self) -> None:
        self.weights = [np.zeros(1)]

    def get_weights(self) -> list[np.ndarray]:
        return [w.copy() for w in self.weights]

    def set_weights(self, weights: list[np.ndarray]) -> None:
        self.weights = [w.copy() for w in weights]


def run(
    stopping: EarlyStopping, values: list[float], key: str = "val_loss", end: bool = True
) -> tuple[Stub, int]:
    """Feed the values as epochs; return the model, whose weight is the epoch, and their number."""
    model: Any = Stub()
    stopping.set_model(model)
    stopping.on_train_begin()
    epochs = 0
    for epoch, value in enumerate(values):
        model.weights = [np.full(1, float(epoch))]
        epochs += 1
        stopping.on_epoch_end(epoch, {key: value})
        if model.stop_training:
            break
    if end:
        stopping.on_train_end({})
    return model, epochs


def test_it_stops_after_patience_and_restores() -> None:
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    model, epochs = run(stopping, [3.0, 2.0, 2.5, 2.0, 1.0])
    assert epochs == 4
    assert stopping.stopped_epoch == 3
    assert stopping.best == 2.0
    assert stopping.best_epoch == 1
    assert model.weights[0] == 1.0


def test_it_restores_when_the_epochs_run_out() -> None:
    model, epochs = run(EarlyStopping(patience=9, restore_best_weights=True), [3.0, 1.0, 2.0])
    assert epochs == 3
    assert model.weights[0] == 1.0


def test_it_leaves_the_weights_alone_unless_asked() -> None:
    model, _ = run(EarlyStopping(patience=1), [1.0, 2.0, 3.0])
    assert model.weights[0] == 1.0, "the last epoch's weights"
    assert model.stop_training


def test_nan_is_never_the_best() -> None:
    nan = float("nan")
    stopping = EarlyStopping(patience=3, restore_best_weights=True)
    model, epochs = run(stopping, [nan, 2.0, nan, nan, nan, 1.0])
    assert epochs == 5
    assert stopping.best == 2.0
    assert model.weights[0] == 1.0
    stopping = EarlyStopping(patience=2, restore_best_weights=True)
    model, epochs = run(stopping, [nan, nan, nan])
    assert epochs == 2
    assert stopping.best is None
    assert stopping.best_weights is None


def test_the_largest_is_best_for_accuracy() -> None:
    stopping = EarlyStopping("val_accuracy", patience=1, restore_best_weights=True)
    model, _ = run(stopping, [0.1, 0.5, 0.4], key="val_accuracy")
    assert stopping.best == 0.5
    assert model.weights[0] == 1.0


def test_min_delta() -> None:
    stopping = EarlyStopping(patience=2, min_delta=0.5)
    _, epochs = run(stopping, [3.0, 2.8, 2.6, 1.0])
    assert epochs == 3
    assert stopping.best == 3.0


def test_baseline_must_be_beaten() -> None:
    stopping = EarlyStopping(patience=2, baseline=0.5)
    _, epochs = run(stopping, [3.0, 2.0, 2.5, 1.0])
    assert epochs == 3, "better than before, but not than the baseline"
    stopping = EarlyStopping(patience=2, baseline=2.5)
    _, epochs = run(stopping, [3.0, 2.0, 2.5, 1.0])
    assert epochs == 4


def test_start_from_epoch() -> None:
    stopping = EarlyStopping(patience=1, start_from_epoch=2, restore_best_weights=True)
    model, epochs = run(stopping, [0.0, 9.0, 5.0, 4.0, 6.0])
    assert epochs == 5
    assert stopping.best == 4.0
    assert model.weights[0] == 3.0


def test_a_missing_value_warns_and_names_the_available() -> None:
    stopping = EarlyStopping("val_loss")
    stopping.set_model(Stub())  # type: ignore[arg-type]
    with pytest.warns(
        UserWarning,
        match="metric `val_loss` which is not available. Available metrics are: loss,acc",
    ):
        stopping.on_epoch_end(0, {"loss": 1.0, "acc": 0.5})


def test_it_can_be_used_again() -> None:
    stopping = EarlyStopping(patience=1)
    run(stopping, [1.0, 2.0])
    _, epochs = run(stopping, [5.0, 4.0, 3.0])
    assert epochs == 3
    assert stopping.best == 3.0


def test_its_state_goes_on_in_another() -> None:
    first = EarlyStopping(patience=3, restore_best_weights=True)
    run(first, [2.0, 3.0, 4.0], end=False)
    second = EarlyStopping(patience=3, restore_best_weights=True)
    second.load_state_dict(first.state_dict())
    model, epochs = run(second, [5.0, 6.0])
    assert epochs == 2
    assert second.best == 2.0
    assert model.weights[0] == 0.0, "the best weights are the first training's"


def test_verbose_says_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    run(EarlyStopping(patience=1, verbose=1, restore_best_weights=True), [1.0, 2.0])
    out = capsys.readouterr().out
    assert "Epoch 2: early stopping" in out
    assert "from the end of the best epoch: 1." in out


@pytest.mark.parametrize(
    ("name", "expected"),
    [("val_loss", "min"), ("val_accuracy", "max"), ("acc", "max"), ("mse", "min")],
)
def test_direction(name: str, expected: str) -> None:
    assert direction(name) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "up"}, "mode must be"),
        ({"patience": -1}, "patience must be at least 0"),
        ({"min_delta": float("nan")}, "min_delta must be a number"),
        ({"monitor": "val_quality"}, "give mode='min' or mode='max'"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**arguments)
