"""What surrounds a training and must not end it: streams of every kind, logs with anything."""

from __future__ import annotations

import csv
import io
import math
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks, layers
from convkit.callbacks import Callback, Logs

pytestmark = pytest.mark.usefixtures("one_thread")

X = np.random.default_rng(0).random((22, 4), np.float32)
Y = np.arange(22) % 3


def tiny() -> convkit.Sequential:
    model = convkit.Sequential([convkit.Input((4,)), layers.Dense(3, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


# Streams.


class OnlyWrite:
    """What loggers and windows put in the place of standard output."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> None:
        self.text += text


class Broken(io.StringIO):
    """A pipe whose reader is gone, or a terminal, or an object of somebody's."""

    def __init__(self, error: Exception, terminal: bool = False) -> None:
        super().__init__()
        self.error, self.terminal = error, terminal

    def write(self, text: str) -> int:
        raise self.error

    def flush(self) -> None:
        raise self.error

    def isatty(self) -> bool:
        return self.terminal


class Odd(OnlyWrite):
    """Does not know what it is."""

    def isatty(self) -> bool:
        raise OSError("what?")


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS: dict[str, Any] = {
    "None": lambda: None,
    "closed": closed,
    "write alone": OnlyWrite,
    "nothing": object,
    "broken pipe": lambda: Broken(BrokenPipeError()),
    "broken terminal": lambda: Broken(OSError(5, "input/output error"), terminal=True),
    "a window's own error": lambda: Broken(RuntimeError("no window"), terminal=True),
    "odd": Odd,
    "ASCII": lambda: io.TextIOWrapper(io.BytesIO(), encoding="ascii"),
}


@pytest.mark.parametrize("verbose", [1, 2])
@pytest.mark.parametrize("name", STREAMS)
def test_standard_output_of_every_kind(
    name: str, verbose: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = tiny()
    convkit.utils.set_random_seed(1)
    expected.set_weights([np.full(p.shape, 0.1, np.float32) for p in expected.weights])
    model = tiny()
    model.set_weights(expected.get_weights())
    expected.fit(X, Y, epochs=2, verbose=0)
    convkit.utils.set_random_seed(1)
    stream = STREAMS[name]()
    monkeypatch.setattr(sys, "stdout", stream)
    everything = [
        callbacks.EarlyStopping("loss", patience=5, restore_best_weights=True, verbose=1),
        callbacks.ModelCheckpoint(tmp_path / "m", "loss", verbose=1, save_best_only=True),
        callbacks.ReduceLROnPlateau("loss", min_delta=9.0, factor=0.999, patience=9, verbose=1),
    ]
    model.fit(X, Y, epochs=2, verbose=verbose, callbacks=everything)
    model.evaluate(X, Y, verbose=verbose)
    model.predict(X, verbose=verbose)
    model.summary()
    convkit.runtime.show_config()
    callbacks.TerminateOnNaN().on_train_batch_end(0, {"loss": 1.0})
    monkeypatch.undo()
    for a, b in zip(model.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    if isinstance(stream, OnlyWrite):
        for part in ("Epoch 1/2 - ", "saving model to", "Evaluate - ", "Predict - ", "Total params",
                     "threads  "):  # fmt: skip
            assert part in stream.text, part


def test_a_terminal_that_goes_away_in_the_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        gone = False

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            if self.gone:
                raise OSError(5, "input/output error")
            return super().write(text)

    stream = Terminal()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)  # by which a notebook is known

    class HangUp(Callback):
        def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            stream.gone = True

    model = tiny()
    history = model.fit(X, Y, batch_size=2, epochs=3, verbose=1, callbacks=HangUp())
    assert len(history.epoch) == 3
    assert "Epoch 1/3" in stream.getvalue()


def test_names_that_the_stream_cannot_encode(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    model = convkit.Sequential([convkit.Input((4,)), layers.Dense(3, name="größe")])
    model.summary()
    stream.flush()
    shown = stream.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert r"gr\xf6\xdfe (Dense)" in shown


@pytest.mark.parametrize("how", ["None", "closed", "object()"])
def test_standard_error_of_every_kind(how: str) -> None:
    """A warning has nowhere to go; the program goes on, and still says so if it may."""
    stream = {"closed": "closed()"}.get(how, how)
    program = f"""
        import io, sys, numpy as np, convkit
        def closed():
            stream = io.StringIO()
            stream.close()
            return stream
        model = convkit.Sequential([convkit.Input((4,)), convkit.layers.Dense(3)])
        model.compile("sgd", "sparse_categorical_crossentropy")
        sys.stderr = {stream}
        model.fit(np.zeros((4, 4), np.float32), np.zeros(4), verbose=0)
        sys.stderr = sys.__stderr__  # Python itself flushes it at the end
        print("trained")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "trained\n"), done.stderr
    model = convkit.Sequential([convkit.Input((4,)), layers.Dense(3)])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match="expects probabilities"):
            model.fit(X, Y, verbose=0)


# Logs.


class Unhelpful:
    """Raises whatever it is asked."""

    def __format__(self, spec: str) -> str:
        raise RuntimeError("no format")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __float__(self) -> float:
        raise RuntimeError("no number")


ANYTHING: dict[Any, Any] = {
    "array": np.arange(4.0).reshape(2, 2),
    "one": np.ones((1,)),
    "scalar": np.float32(0.5),
    "zero_dim": np.array(0.25),
    "none": None,
    "text": "0.5",
    "nan": math.nan,
    "nested": {"a": [1, {"b": None}]},
    "list": [1, 2],
    "unhelpful": Unhelpful(),
    "surrogate": "\udc80",
    7: 1.0,
    None: 2.0,
}


class Puts(Callback):
    """Puts things into the logs."""

    def __init__(self, things: dict[Any, Any]) -> None:
        self.things = things

    def _put(self, logs: Any) -> None:
        logs.update(self.things)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._put(logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._put(logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._put(logs)


@pytest.mark.parametrize("terminal", [False, True])
def test_logs_may_hold_anything(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stream = Broken(RuntimeError(), terminal)
    stream.write = lambda text: len(text)  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", stream)
    log = tmp_path / "log.csv"
    things = {key: value for key, value in ANYTHING.items() if key != "unhelpful"}
    listeners = [
        Puts(things),
        callbacks.CSVLogger(log),
        callbacks.EarlyStopping("val_loss", patience=3),
        callbacks.ReduceLROnPlateau("val_loss"),
        callbacks.ModelCheckpoint(tmp_path / "{epoch}-{scalar:.2f}-{text}", "loss", save_freq=2),
        callbacks.TerminateOnNaN(),
        callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        Puts(ANYTHING),
    ]
    model = tiny()
    history = model.fit(X, Y, batch_size=8, epochs=3, callbacks=listeners, validation_data=(X, Y))
    monkeypatch.undo()
    assert history.epoch == [0, 1, 2]
    recorded = history.history
    assert recorded["scalar"] == [0.5] * 3
    assert recorded["zero_dim"] == [0.25] * 3
    assert all(isinstance(value, float) for value in recorded["scalar"] + recorded["zero_dim"])
    for key in ("array", "one", "none", "text", "nested", "list", "unhelpful"):
        assert all(value is ANYTHING[key] for value in recorded[key]), key
    assert recorded[7] == [1.0] * 3  # type: ignore[index]
    with open(log, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 3
    assert rows[0]["list"] == '"[1, 2]"'
    assert rows[0]["text"] == "0.5"
    assert float(rows[2]["val_loss"]) == pytest.approx(recorded["val_loss"][2])
    assert (tmp_path / "1-0.50-0.5").exists()


@pytest.mark.parametrize("thing", [np.ones(3), "low", {"a": 1}, Unhelpful()], ids=type)
@pytest.mark.parametrize(
    "callback",
    [
        callbacks.EarlyStopping("loss"),
        callbacks.ReduceLROnPlateau("loss"),
        callbacks.ModelCheckpoint("unused", "loss", save_best_only=True),
        callbacks.TerminateOnNaN(),
    ],
    ids=lambda callback: type(callback).__name__,
)
def test_what_cannot_be_compared_is_named(callback: Callback, thing: Any) -> None:
    if isinstance(thing, Unhelpful):
        thing = object()
    with pytest.raises(
        TypeError, match=f"{type(callback).__name__}: 'loss' in the logs must be a "
    ):
        tiny().fit(X, Y, verbose=0, callbacks=[Puts({"loss": thing}), callback])


@pytest.mark.parametrize("thing", ["gone", None, math.nan, np.ones(2)], ids=type)
def test_a_loss_that_a_callback_has_overwritten(thing: Any) -> None:
    """Whether the loss was lost is known from the loss, not from the logs."""

    class Overwrites(Callback):
        def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
            assert logs is not None
            logs.clear()
            logs["loss"] = thing

    history = tiny().fit(X, Y, epochs=2, verbose=2, callbacks=Overwrites())
    assert list(history.history) == ["loss"]
    assert len(history.history["loss"]) == 2


@pytest.mark.parametrize("path", ["w{}", "w{0}", "{:.2f}", "w{", "w}", "{epoch"])
def test_a_checkpoint_whose_places_have_no_names(path: str) -> None:
    with pytest.raises(ValueError, match=r"ModelCheckpoint: .*filepath"):
        callbacks.ModelCheckpoint(path)


@pytest.mark.parametrize(
    ("path", "thing"),
    [("{it:.2f}", None), ("{it:.2f}", "text"), ("{it.x}", 1.0), ("{it[3]}", [1]),
     ("{it:d}", np.ones(2))],
)  # fmt: skip
def test_a_checkpoint_whose_place_gets_no_number(path: str, thing: Any, tmp_path: Path) -> None:
    saving = [Puts({"it": thing}), callbacks.ModelCheckpoint(str(tmp_path / path))]
    with pytest.raises(ValueError, match=r"Failed to format .*; available are: epoch, loss, .*it"):
        tiny().fit(X, Y, verbose=0, callbacks=saving)
