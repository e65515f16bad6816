"""Callbacks that save, log and change the rate: they do what Keras's do, and can be resumed."""

from __future__ import annotations

import inspect
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import callbacks, layers, optimizers
from convkit.callbacks import (
    Callback,
    CSVLogger,
    EarlyStopping,
    LambdaCallback,
    LearningRateScheduler,
    Logs,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from convkit.models import Sequential, load_model

# Keras with PyTorch hands its tensors to NumPy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


class Model:
    """What a callback sees of a model, of Keras's or ours; it writes down what it is asked for."""

    stop_training = False

    def __init__(self, optimizer: Any = None) -> None:
        self.optimizer = optimizer
        self.asked: list[Any] = []
        self.epoch = 0

    def save(self, path: str, overwrite: bool) -> None:
        self.asked.append(("save", path, overwrite))

    def save_weights(self, path: str, overwrite: bool) -> None:
        self.asked.append(("save_weights", path, overwrite))

    def get_weights(self) -> Any:
        return [np.full(1, self.epoch)]

    def set_weights(self, weights: Any) -> None:
        self.asked.append(("set_weights", float(weights[0][0])))


def drive(callback: Any, model: Model, logs: list[dict[str, float]], batches: int = 0) -> list[Any]:
    """Call the hooks as `fit` does; return what the model saw, epoch by epoch."""
    seen: list[Any] = []
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, given in enumerate(logs):
        model.epoch = epoch
        callback.on_epoch_begin(epoch)
        for batch in range(batches):
            callback.on_train_batch_begin(batch)
            callback.on_train_batch_end(batch, dict(given))
        own = dict(given)
        callback.on_epoch_end(epoch, own)
        rate = None if model.optimizer is None else float(model.optimizer.learning_rate)
        seen.append((own, rate))
        if model.stop_training:
            break
    callback.on_train_end()
    seen.append(model.asked)
    return seen


def series(seed: int, epochs: int = 30) -> list[dict[str, float]]:
    """Losses that fall, rise and stay; float32 numbers, so that Keras rounds nothing away."""
    rng = np.random.default_rng(seed)
    steps = rng.choice([-0.25, -0.125, 0.0, 0.0, 0.125, 0.25], epochs)
    values = 10.0 + np.cumsum(steps)
    return [{"loss": float(v) + 1.0, "val_loss": float(v)} for v in values]


CHECKPOINTS: list[dict[str, Any]] = [
    {},
    {"verbose": 1},
    {"verbose": 1, "save_best_only": True},
    {"verbose": 1, "save_best_only": True, "mode": "max"},
    {"save_best_only": True, "monitor": "loss"},
    {"verbose": 1, "save_best_only": True, "initial_value_threshold": 9.75},
    {"verbose": 1, "save_freq": 4},
    {"save_freq": 1},
    {"save_freq": 7, "verbose": 1},
]


@pytest.mark.parametrize("arguments", CHECKPOINTS)
@pytest.mark.parametrize("weights", [False, True])
def test_checkpoints_are_keras_s(
    arguments: dict[str, Any], weights: bool, keras: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    path = "m-{epoch:02d}-{val_loss:.2f}" + (".weights.h5" if weights else ".keras")
    arguments = {**arguments, "save_weights_only": weights}
    ours = drive(ModelCheckpoint(path, **arguments), Model(), series(0, 12), batches=3)
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.ModelCheckpoint(path, **arguments), Model(), series(0, 12), batches=3
    )
    assert ours == theirs
    assert text == capsys.readouterr().out


def test_checkpoints_of_batches_have_their_number_in_the_name(keras: Any) -> None:
    path = "{epoch}-{batch:03d}.keras"
    arguments: dict[str, Any] = {"save_freq": 2}
    ours = drive(ModelCheckpoint(path, **arguments), Model(), series(0, 3), batches=3)
    theirs = drive(
        keras.callbacks.ModelCheckpoint(path, **arguments), Model(), series(0, 3), batches=3
    )
    assert ours == theirs
    assert [asked[1] for asked in ours[-1]] == [
        f"{name}.keras" for name in ("1-002", "2-001", "2-003", "3-002")
    ]


def test_a_checkpoint_without_its_value_is_saved_with_a_warning(keras: Any) -> None:
    for kind in (ModelCheckpoint, keras.callbacks.ModelCheckpoint):
        model = Model()
        checkpoint = kind("m.keras", save_best_only=True)
        checkpoint.set_model(model)
        with pytest.warns(UserWarning, match="Can save best model only with val_loss available"):
            checkpoint.on_epoch_end(0, {"loss": 1.0})
        assert len(model.asked) == 1
        with pytest.raises(KeyError, match="Failed to format this callback filepath"):
            drive(kind("{val_acc}.keras"), Model(), series(0, 1))


def test_nan_is_never_the_best_checkpoint() -> None:
    model = Model()
    values = [float("nan"), 2.0, float("nan"), 1.0]
    checkpoint = ModelCheckpoint("{epoch}", save_best_only=True)
    drive(checkpoint, model, [{"val_loss": value} for value in values])
    assert [asked[1] for asked in model.asked] == ["2", "4"]


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
    ours = drive(ReduceLROnPlateau(**arguments), Model(optimizers.SGD(0.125)), logs)
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.ReduceLROnPlateau(**arguments), Model(keras.optimizers.SGD(0.125)), logs
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
        reduce.set_model(Model(optimizer))
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
    ours = drive(EarlyStopping(**arguments), Model(), series(seed))
    text = capsys.readouterr().out
    theirs = drive(keras.callbacks.EarlyStopping(**arguments), Model(), series(seed))
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
        LearningRateScheduler(function, verbose=1), Model(optimizers.SGD(0.125)), series(0, 6)
    )
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.LearningRateScheduler(function, verbose=1),
        Model(keras.optimizers.SGD(0.125)),
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
                drive(kind(lambda epoch, rate, wrong=wrong: wrong), Model(optimizer), series(0, 1))


def test_a_type_error_of_the_user_s_function_is_not_swallowed() -> None:
    def wrong(epoch: int, rate: float) -> float:
        return rate + None  # type: ignore[operator]

    with pytest.raises(TypeError, match="unsupported operand"):
        drive(LearningRateScheduler(wrong), Model(optimizers.SGD(0.5)), series(0, 1))
    scheduler = LearningRateScheduler(max)  # a built-in function that does not say what it takes
    drive(scheduler, Model(optimizers.SGD(0.5)), series(0, 1)[:0])


def test_callbacks_cannot_overrule_a_schedule() -> None:
    schedule = optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for callback in (LearningRateScheduler(falling), ReduceLROnPlateau(patience=0)):
        with pytest.raises(TypeError, match="follows a schedule"):
            drive(callback, Model(optimizers.SGD(schedule)), series(1))


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
        drive(kind(str(tmp_path / name), **arguments), Model(), logs)
        if twice:
            drive(kind(str(tmp_path / name), **arguments), Model(), logs[:2])
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
        model = Model()
        drive(kind(), model, [{"loss": 1.0}, {"loss": loss}, {"loss": 1.0}], batches=1)
        assert model.epoch == 1
        assert model.stop_training
        assert capsys.readouterr().out == "Batch 0: Invalid loss, terminating training\n"
        with pytest.raises(RuntimeError, match="NaN or Inf loss encountered at batch 0"):
            drive(kind(raise_error=True), Model(), [{"loss": loss}], batches=1)


def test_functions_as_callbacks(keras: Any) -> None:
    for kind in (LambdaCallback, keras.callbacks.LambdaCallback):
        calls: list[Any] = []
        callback = kind(
            on_epoch_begin=lambda epoch, logs=None, calls=calls: calls.append(("begin", epoch)),
            on_train_batch_end=lambda batch, logs, calls=calls: calls.append((batch, logs)),
            on_train_end=lambda logs=None, calls=calls: calls.append("end"),
            on_test_begin=lambda logs=None, calls=calls: calls.append("test"),
        )
        drive(callback, Model(), [{"loss": 1.0}], batches=1)
        callback.on_test_begin()
        assert calls == [("begin", 0), (0, {"loss": 1.0}), "end", "test"]
    for wrong in ("on_epoch", "model", "set_model"):
        with pytest.raises(TypeError, match=f"has no hook '{wrong}'"):
            LambdaCallback(**{wrong: print})


def test_the_older_names_of_the_batch_hooks_are_called() -> None:
    class Old(Callback):
        def __init__(self) -> None:
            self.calls: list[str] = []

        def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
            self.calls.append(f"begin {batch}")

        def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
            self.calls.append(f"end {batch} {sorted(logs or {})}")

    old = Old()
    model = network()
    model.fit(*data(), batch_size=20, verbose=0, callbacks=old)
    logs = "['accuracy', 'loss']"
    assert old.calls == ["begin 0", f"end 0 {logs}", "begin 1", f"end 1 {logs}"]


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


# With a model.


def network(seed: int = 0) -> Sequential:
    convkit.utils.set_random_seed(seed)
    model = Sequential(
        [
            convkit.Input((6,)),
            layers.Dense(8, activation="relu"),
            layers.Dropout(0.25),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(optimizers.SGD(0.5, 0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(4)
    return rng.normal(size=(40, 6)).astype(np.float32), rng.integers(0, 3, 40)


def test_checkpoints_of_a_training(tmp_path: Path) -> None:
    model = network()
    path = tmp_path / "deep" / "er" / "{epoch:02d}-{val_loss:.2f}.keras"
    best = tmp_path / "best.keras"
    history = model.fit(
        *data(),
        epochs=6,
        verbose=0,
        validation_split=0.25,
        callbacks=[ModelCheckpoint(path), ModelCheckpoint(best, save_best_only=True)],
    ).history
    names = sorted(os.listdir(tmp_path / "deep" / "er"))
    assert names == [f"{i:02d}-{v:.2f}.keras" for i, v in enumerate(history["val_loss"], 1)]
    last = load_model(tmp_path / "deep" / "er" / names[-1])
    x, y = data()
    split = int(len(x) * 0.75)
    assert last.evaluate(x[split:], y[split:], verbose=0)[0] == history["val_loss"][-1]
    found = load_model(best).evaluate(x[split:], y[split:], verbose=0)
    assert found[0] == min(history["val_loss"])


def watchers(folder: Path) -> list[Callback]:
    return [
        EarlyStopping(patience=5, restore_best_weights=True),
        ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1),
        CSVLogger(folder / "log.csv"),
        ModelCheckpoint(folder / "best", save_best_only=True),
        ModelCheckpoint(folder / "batch-{epoch}-{batch}", save_freq=5),
        callbacks.History(),
        TerminateOnNaN(),
        LearningRateScheduler(lambda epoch, rate: rate * 0.96875),
        ModelCheckpoint(folder / "last"),
    ]


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_resumed_training_goes_on_with_patience_best_and_log(stop: int, tmp_path: Path) -> None:
    """N epochs at once, or `stop`, a new process's objects, and the rest: no bit differs."""
    arguments: dict[str, Any] = {"batch_size": 8, "verbose": 0, "validation_split": 0.25}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    for folder in (whole, parts):
        folder.mkdir()
    model = network()
    everyone = watchers(whole)
    model.fit(*data(), epochs=12, callbacks=everyone, **arguments)
    assert stop < len(everyone[5].epoch) < 12, "it shall stop early, but later than the first part"  # type: ignore[attr-defined]
    assert len(set(everyone[5].history["learning_rate"])) > 2  # type: ignore[attr-defined]

    first = network()
    before = watchers(parts)
    first.fit(*data(), epochs=stop, callbacks=before, **arguments)
    states = [callback.state_dict() for callback in before]
    convkit.utils.set_random_seed(77)
    second = load_model(parts / "last")
    after = watchers(parts)
    for callback, state in zip(after, states, strict=True):
        callback.load_state_dict(state)
    second.fit(*data(), initial_epoch=stop, epochs=12, callbacks=after, **arguments)

    assert after[5].history == everyone[5].history  # type: ignore[attr-defined]
    assert after[5].epoch == everyone[5].epoch  # type: ignore[attr-defined]
    for mine, theirs in zip(second.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert (parts / "log.csv").read_bytes() == (whole / "log.csv").read_bytes()
    assert sorted(os.listdir(parts)) == sorted(os.listdir(whole))
    for name in os.listdir(whole):
        if name != "log.csv":
            one, two = load_model(whole / name), load_model(parts / name)
            for mine, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
                np.testing.assert_array_equal(mine, theirs)


def test_states_are_plain(tmp_path: Path) -> None:
    everyone = watchers(tmp_path)
    network().fit(*data(), epochs=3, verbose=0, validation_split=0.25, callbacks=everyone)
    for callback in everyone:
        state = callback.state_dict()
        arrays = state.pop("best_weights", None)
        assert json.loads(json.dumps(state)) == state
        assert arrays is None or all(isinstance(array, np.ndarray) for array in arrays)
        callback.load_state_dict({**state, **({} if arrays is None else {"best_weights": arrays})})
