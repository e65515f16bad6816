"""Callbacks that stop, log and change the rate: they do what Keras's do."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks, optimizers
from convkit.callbacks import (
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from driven import Driven, drive, series

# Keras with PyTorch hands its tensors to NumPy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 2},
        {"patience": 1, "factor": 0.5, "min_lr": 0.02, "verbose": 1},
        {"patience": 1, "cooldown": 2},
        {"patience": 3, "min_delta": 0.2},
        {"patience": 2, "mode": "max", "monitor": "loss"},
        {"patience": 0, "factor": 0.5},
    ],
)
def test_reductions_of_the_rate_are_keras_s(
    seed: int, arguments: dict[str, Any], keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = series(seed)
    ours = drive(ReduceLROnPlateau(**arguments), Driven(optimizers.SGD(0.125)), logs)
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.ReduceLROnPlateau(**arguments), Driven(keras.optimizers.SGD(0.125)), logs
    )
    rates, their_rates = [seen[1] for seen in ours[:-1]], [seen[1] for seen in theirs[:-1]]
    assert rates == pytest.approx(their_rates, rel=1e-6)  # Keras keeps the rate in float32
    assert len(set(rates)) > 1
    for mine, other in zip(ours[:-1], theirs[:-1], strict=True):
        assert mine[0] == pytest.approx(other[0], rel=1e-6)
    words, their_words = text.split(), capsys.readouterr().out.split()
    assert len(words) == len(their_words)
    for mine, other in zip(words, their_words, strict=True):
        if mine != other:
            assert float(mine.rstrip(".")) == pytest.approx(float(other.rstrip(".")), rel=1e-6)


def test_reductions_need_their_value(keras: Any) -> None:
    for kind, optimizer in (
        (ReduceLROnPlateau, optimizers.SGD(0.5)),
        (keras.callbacks.ReduceLROnPlateau, keras.optimizers.SGD(0.5)),
    ):
        reduce = kind()
        reduce.set_model(Driven(optimizer))
        message = (
            r"conditioned on metric `val_loss` which is not available\. "
            r"Available metrics are: loss,learning_rate"
        )
        with pytest.warns(UserWarning, match=message):
            reduce.on_epoch_end(0, {"loss": 1.0})
        with pytest.raises(ValueError, match=r"does not support a factor >= 1\.0\. Received"):
            kind(factor=1.0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 2, "verbose": 1, "restore_best_weights": True},
        {"patience": 1, "min_delta": 0.2, "verbose": 1},
        {"patience": 4, "baseline": 9.5, "verbose": 1, "restore_best_weights": True},
        {"patience": 1, "start_from_epoch": 5, "mode": "max", "restore_best_weights": True},
    ],
)
def test_early_stops_are_keras_s(
    seed: int, arguments: dict[str, Any], keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = drive(EarlyStopping(**arguments), Driven(), series(seed))
    text = capsys.readouterr().out
    theirs = drive(keras.callbacks.EarlyStopping(**arguments), Driven(), series(seed))
    assert ours == theirs
    assert text == capsys.readouterr().out


def falling(epoch: int, rate: float) -> float:
    return rate if epoch < 2 else rate * 0.5


def by_epoch(epoch: int) -> float:
    return float(np.float32(0.5**epoch))


@pytest.mark.parametrize("function", [falling, by_epoch])
def test_set_rates_are_keras_s(
    function: Any, keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = drive(
        LearningRateScheduler(function, verbose=1), Driven(optimizers.SGD(0.125)), series(0, 6)
    )
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.LearningRateScheduler(function, verbose=1),
        Driven(keras.optimizers.SGD(0.125)),
        series(0, 6),
    )
    assert ours == theirs, "powers of two are exact in float32 too"
    assert text == capsys.readouterr().out


def test_rates_that_are_none(keras: Any) -> None:
    message = "The output of the `schedule` function should be a float"
    for kind, optimizer in (
        (LearningRateScheduler, optimizers.SGD(0.5)),
        (keras.callbacks.LearningRateScheduler, keras.optimizers.SGD(0.5)),
    ):
        for wrong in (1, None, "0.1"):
            with pytest.raises(ValueError, match=message):
                drive(kind(lambda epoch, rate, wrong=wrong: wrong), Driven(optimizer), series(0, 1))


def test_a_type_error_of_the_user_s_function_is_not_swallowed() -> None:
    def wrong(epoch: int, rate: float) -> float:
        return rate + None  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        drive(LearningRateScheduler(wrong), Driven(optimizers.SGD(0.5)), series(0, 1))
    scheduler = LearningRateScheduler(max)  # a built-in function that does not say what it takes
    drive(scheduler, Driven(optimizers.SGD(0.5)), series(0, 1)[:0])


def test_callbacks_cannot_overrule_a_schedule() -> None:
    schedule = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for callback in (LearningRateScheduler(falling), ReduceLROnPlateau(patience=0)):
        with pytest.raises(TypeError, match="follows a schedule"):
            drive(callback, Driven(optimizers.SGD(schedule)), series(1))


LOGGERS: list[dict[str, Any]] = [{}, {"separator": ";"}, {"append": True}]


@pytest.mark.parametrize("arguments", LOGGERS)
@pytest.mark.parametrize("validated", [False, True])
@pytest.mark.parametrize("twice", [False, True])
def test_logs_are_keras_s(
    arguments: dict[str, Any], validated: bool, twice: bool, keras: Any, tmp_path: Path
) -> None:
    logs = series(3, 4)
    if not validated:
        logs = [{"loss": each["loss"], "accuracy": 0.5} for each in logs]
    for name, kind in (("ours", CSVLogger), ("theirs", keras.callbacks.CSVLogger)):
        drive(kind(str(tmp_path / name), **arguments), Driven(), logs)
        if twice:
            drive(kind(str(tmp_path / name), **arguments), Driven(), logs[:2])
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert (tmp_path / "ours").read_text().startswith("epoch")


def test_a_log_is_closed_and_appended_in_its_own_columns(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv", append=True)
    logger.on_train_begin()
    logger.on_epoch_end(0, {"val_loss": 2.0, "loss": 1.0})
    opened = logger.csv_file
    logger.on_train_interrupted(KeyboardInterrupt())
    assert opened is not None
    assert opened.closed
    logger.on_train_begin()
    logger.on_epoch_end(1, {"loss": 0.5, "other": 3.0})
    logger.on_train_end()
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines == ["epoch,loss,val_loss", "0,1.0,2.0", "1,0.5,NA"]
    with pytest.raises(FileNotFoundError):
        CSVLogger(tmp_path / "nowhere" / "log.csv").on_train_begin()


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), float("-inf")])
def test_a_lost_loss_ends_training(
    loss: float, keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind in (TerminateOnNaN, keras.callbacks.TerminateOnNaN):
        model = Driven()
        drive(kind(), model, [{"loss": 1.0}, {"loss": loss}, {"loss": 1.0}], batches=1)
        assert model.epoch == 1
        assert model.stop_training
        assert capsys.readouterr().out == "Batch 0: Invalid loss, terminating training\n"
        with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"):
            drive(kind(raise_error=True), Driven(), [{"loss": loss}], batches=1)


def heard(library: Any, functions: bool) -> dict[str, set[tuple[str, ...]]]:
    """The types of what each hook is called with, by a class or by functions that demand it all."""
    made: dict[str, set[tuple[str, ...]]] = {}
    hooks = {}
    for moment in (
        "train",
        "epoch",
        "train_batch",
        "test",
        "test_batch",
        "predict",
        "predict_batch",
    ):
        for end in ("begin", "end"):
            name = f"on_{moment}_{end}"
            types = made.setdefault(name, set())
            if moment.endswith(("epoch", "batch")):
                hooks[name] = lambda at, logs, types=types: types.add(
                    (type(at).__name__, type(logs).__name__)
                )
            else:
                hooks[name] = lambda logs, types=types: types.add((type(logs).__name__,))
    if functions:
        callback = library.callbacks.LambdaCallback(**hooks)
    else:
        methods = {name: staticmethod(hook) for name, hook in hooks.items()}
        callback = type("Demanding", (library.callbacks.Callback,), methods)()
    model = library.Sequential([library.layers.Input((2,)), library.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.zeros((4, 2), np.float32), np.zeros((4, 1), np.float32)
    model.fit(x, y, 2, 1, 0, callbacks=[callback], validation_data=(x, y))
    model.predict(x, verbose=0, callbacks=[callback])
    return made


@pytest.mark.parametrize("functions", [True, False])
def test_hooks_are_given_what_keras_gives(keras: Any, functions: bool) -> None:
    ours = heard(convkit, functions)
    assert ours == heard(keras, functions)
    assert all(ours.values()), "a hook was not called"


def test_functions_as_callbacks(keras: Any) -> None:
    for kind in (LambdaCallback, keras.callbacks.LambdaCallback):
        calls: list[Any] = []
        callback = kind(
            on_epoch_begin=lambda epoch, logs=None, calls=calls: calls.append(("begin", epoch)),
            on_train_batch_end=lambda batch, logs, calls=calls: calls.append((batch, logs)),
            on_train_end=lambda logs=None, calls=calls: calls.append("end"),
            on_test_begin=lambda logs=None, calls=calls: calls.append("test"),
        )
        drive(callback, Driven(), [{"loss": 1.0}], batches=1)
        callback.on_test_begin()
        assert calls == [("begin", 0), (0, {"loss": 1.0}), "end", "test"]
    for wrong in ("on_epoch", "model", "set_model"):
        with pytest.raises(TypeError, match=f"has no hook '{wrong}'"):
            LambdaCallback(**{wrong: print})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelCheckpoint("m", save_freq=0), "Unrecognized save_freq: 0"),
        (lambda: ModelCheckpoint("m", save_freq="batch"), "Unrecognized save_freq: batch"),
        (lambda: ModelCheckpoint("m", save_freq=True), "Unrecognized save_freq: True"),
        (lambda: ModelCheckpoint("m", "val_quality", save_best_only=True), "give mode='min'"),
        (lambda: ModelCheckpoint("m", mode="up"), "mode must be 'auto'"),
        (lambda: ReduceLROnPlateau(factor=-0.1), "factor must be at least 0"),
        (lambda: ReduceLROnPlateau("quality"), "give mode='min'"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
    ModelCheckpoint("m", "val_quality")  # where all are saved, the name need not tell


@pytest.mark.parametrize(
    "name",
    [
        "CSVLogger",
        "EarlyStopping",
        "LambdaCallback",
        "LearningRateScheduler",
        "ModelCheckpoint",
        "ReduceLROnPlateau",
        "TerminateOnNaN",
    ],
)
def test_arguments_and_defaults_are_keras_s(name: str, keras: Any) -> None:
    ours, theirs = (
        [
            (p.name, p.default)
            for p in inspect.signature(getattr(module, name)).parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]
        for module in (callbacks, keras.callbacks)
    )
    assert ours == theirs
