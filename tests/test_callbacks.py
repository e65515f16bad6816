"""Callbacks: when they are called, early stopping, progress, and states."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks
from convkit.callbacks import Callback, EarlyStopping, History, Logs, direction


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


def test_what_is_no_callback_is_named() -> None:
    for wrong, message in (
        (print, "received <built-in function print>"),
        (["stop"], "received 'stop'"),
        ([callbacks.EarlyStopping], r"write EarlyStopping\(...\)"),
    ):
        with pytest.raises(TypeError, match=f"must be objects of convkit.callbacks.*{message}"):
            convkit.zoo.mnist_cnn().predict(np.zeros((1, 28, 28, 1)), callbacks=wrong)
    with pytest.raises(TypeError, match="on_epoch_end must be a function, received 3"):
        callbacks.LambdaCallback(on_epoch_end=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"monitor must be a key of the logs.*received 3"):
        EarlyStopping(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="patience must be at least 0, received '3'"):
        EarlyStopping(patience="3")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"schedule must be a function of the epoch.*received 0\.1"):
        callbacks.LearningRateScheduler(0.1)  # type: ignore[arg-type]


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


# With a model.


def tiny(seed: int = 0) -> tuple[convkit.Sequential, np.ndarray, np.ndarray]:
    convkit.utils.set_random_seed(seed)
    model = convkit.Sequential(
        [convkit.Input((6,)), convkit.layers.Dense(5, "tanh"), convkit.layers.Dense(3, "softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(seed)
    return model, rng.normal(size=(22, 6)), rng.integers(0, 3, 22)


class Recorder(Callback):
    """Writes down every call."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        for hook in [name for name in dir(Callback) if name.startswith("on_")]:
            setattr(self, hook, self._note(hook))

    def _note(self, hook: str) -> Any:
        return lambda *arguments: self.calls.append(
            hook[3:] + (f" {arguments[0]}" if arguments and isinstance(arguments[0], int) else "")
        )


def test_every_hook_is_called_in_order() -> None:
    model, x, y = tiny()
    recorder = Recorder()
    model.fit(
        x, y, batch_size=16, epochs=2, verbose=0, callbacks=recorder, validation_data=(x[:3], y[:3])
    )
    epoch = [
        "train_batch_begin 0",
        "train_batch_end 0",
        "train_batch_begin 1",
        "train_batch_end 1",
        "test_begin",
        "test_batch_begin 0",
        "test_batch_end 0",
        "test_end",
    ]
    assert recorder.calls == [
        "train_begin",
        "epoch_begin 0",
        *epoch,
        "epoch_end 0",
        "epoch_begin 1",
        *epoch,
        "epoch_end 1",
        "train_end",
    ]
    assert recorder.model is model
    assert recorder.params == {
        "epochs": 2,
        "steps": 2,
        "samples": 22,
        "batch_size": 16,
        "verbose": 0,
    }
    recorder.calls.clear()
    model.evaluate(x[:3], y[:3], verbose=0, callbacks=[recorder])
    assert recorder.calls == ["test_begin", "test_batch_begin 0", "test_batch_end 0", "test_end"]
    recorder.calls.clear()
    model.predict(x[:3], verbose=0, callbacks=[recorder])
    assert recorder.calls[0] == "predict_begin"
    assert recorder.calls[-1] == "predict_end"


def test_history_is_a_plain_dictionary_of_floats() -> None:
    model, x, y = tiny()
    history = model.fit(x, y, epochs=5, initial_epoch=2, verbose=0, validation_data=(x, y))
    assert type(history) is History
    assert history is model.history
    assert type(history.history) is dict
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert all(len(v) == 3 for v in history.history.values())
    assert all(type(v) is float for values in history.history.values() for v in values)
    assert history.epoch == [2, 3, 4]
    assert history.params["epochs"] == 5
    resumed = History()
    resumed.load_state_dict(history.state_dict())
    resumed.on_epoch_end(5, {"loss": 1.0})
    assert resumed.epoch == [2, 3, 4, 5]
    assert len(history.history["loss"]) == 3


class Stop(Callback):
    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.model.stop_training = epoch == 1


class StopBatch(Callback):
    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self.model.stop_training = batch == 1


def test_stop_training() -> None:
    model, x, y = tiny()
    assert model.fit(x, y, epochs=9, verbose=0, callbacks=Stop()).epoch == [0, 1]
    assert model.fit(x, y, epochs=1, verbose=0).epoch == [0], "the wish to stop does not stay"
    before = model.optimizer.iterations  # type: ignore[union-attr]
    model.fit(x, y, batch_size=4, epochs=9, verbose=0, callbacks=[StopBatch()])
    assert model.optimizer.iterations == before + 2  # type: ignore[union-attr]


def test_logs_that_a_callback_adds_are_recorded() -> None:
    class Rate(Callback):
        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            assert logs is not None
            logs["rate"] = 0.5

    model, x, y = tiny()
    assert model.fit(x, y, epochs=2, verbose=0, callbacks=Rate()).history["rate"] == [0.5, 0.5]


class Break(Callback):
    """Ends training in the middle of an epoch."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        if epoch == 3:
            raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("disk full")])
def test_an_exception_restores_the_best_and_leaves_the_model_usable(error: BaseException) -> None:
    model, x, y = tiny()
    kept: list[list[np.ndarray]] = []

    class Spoil(Callback):
        """From the second epoch on the monitored value gets worse."""

        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            assert logs is not None
            logs["loss"] = float(epoch)
            kept.append(self.model.get_weights())

    stopping = EarlyStopping("loss", patience=10, restore_best_weights=True)
    with pytest.raises(type(error)):
        model.fit(x, y, epochs=9, verbose=0, callbacks=[Spoil(), stopping, Break(error)])
    for got, best, last in zip(model.get_weights(), kept[0], kept[-1], strict=True):
        np.testing.assert_array_equal(got, best)
        assert not np.array_equal(got, last)
    model.fit(x, y, epochs=1, verbose=0)
    assert np.isfinite(model.evaluate(x, y, verbose=0)[0])


def test_every_callback_hears_of_the_exception() -> None:
    heard: list[str] = []

    class Bad(Callback):
        def on_train_interrupted(self, error: BaseException) -> None:
            heard.append("bad")
            raise ValueError("bad callback")

    class Good(Callback):
        def on_train_interrupted(self, error: BaseException) -> None:
            heard.append(str(error))

    model, x, y = tiny()
    with pytest.raises(ValueError, match="bad callback"):
        model.fit(x, y, epochs=5, verbose=0, callbacks=[Bad(), Good(), Break(RuntimeError("full"))])
    assert heard == ["bad", "full"]


def test_something_else_as_a_callback() -> None:
    model, x, y = tiny()
    with pytest.raises(TypeError, match=r"convkit\.callbacks\.Callback"):
        model.fit(x, y, verbose=0, callbacks=[print])  # type: ignore[list-item]


# What the user sees.


def test_without_a_terminal_there_is_one_plain_line_an_epoch(
    capsys: pytest.CaptureFixture[str],
) -> None:
    model, x, y = tiny()
    model.fit(x, y, epochs=2, validation_split=0.3)
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert len(lines) == 2
    assert captured.err == ""
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"Epoch {number}/2 - ")
        for word in ("images/s", " loss: 0.", "accuracy: ", "val_loss: ", "val_accuracy: "):
            assert word.replace("loss: 0.", "loss: ") in line
        assert "\r" not in line
    model.evaluate(x, y)
    model.predict(x)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Evaluate - ")
    assert "accuracy: " in lines[0]
    assert lines[1].startswith("Predict - ")
    model.fit(x, y, verbose=0)
    model.evaluate(x, y, verbose=0)
    assert capsys.readouterr().out == ""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = tiny()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    model.fit(x, y, epochs=1, verbose=1, validation_data=(x, y))
    shown = terminal.getvalue()
    assert "\r" in shown
    assert "Epoch 1/1: 100%" in shown
    assert "22/22" in shown
    assert "images/s" in shown
    assert "val_accuracy: " in shown
    terminal.seek(0)
    terminal.truncate()
    model.fit(x, y, epochs=1, verbose=2)
    assert "\r" not in terminal.getvalue()
    assert terminal.getvalue().startswith("Epoch 1/1 - ")


def test_the_bar_is_closed_after_an_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x, y = tiny()
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)

    class Fail(Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            raise RuntimeError("here")

    with pytest.raises(RuntimeError, match="here"):
        model.fit(x, y, verbose=1, callbacks=Fail())
    assert terminal.getvalue().endswith("\n")


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_wrong_verbose(verbose: Any) -> None:
    model, x, y = tiny()
    with pytest.raises(ValueError, match="verbose must be 'auto', 0, 1 or 2"):
        model.fit(x, y, verbose=verbose)
