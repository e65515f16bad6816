"""Callbacks of a model that trains: every hook, exceptions, and what the user sees."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks
from convkit.callbacks import Callback, EarlyStopping, History, Logs


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


@pytest.mark.parametrize(
    "callback",
    [
        callbacks.EarlyStopping(),
        callbacks.ReduceLROnPlateau(),
        callbacks.ModelCheckpoint("unused.convkit", save_best_only=True),
    ],
)
def test_a_missing_value_warns_at_the_users_line(
    callback: Callback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, x, y = tiny()
    with pytest.warns(UserWarning, match="val_loss") as record:
        model.fit(x, y, verbose=0, callbacks=[callback])
    assert [warning.filename for warning in record] == [__file__]


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
