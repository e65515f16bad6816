"""ModelCheckpoint does what Keras's does, and trainings can be resumed with all their callbacks."""

from __future__ import annotations

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
    LearningRateScheduler,
    Logs,
    ModelCheckpoint,
    ReduceLROnPlateau,
    TerminateOnNaN,
)
from convkit.models import Sequential, load_model
from driven import Driven, drive, series

# Keras with PyTorch hands its tensors to NumPy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


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
    ours = drive(ModelCheckpoint(path, **arguments), Driven(), series(0, 12), batches=3)
    text = capsys.readouterr().out
    theirs = drive(
        keras.callbacks.ModelCheckpoint(path, **arguments), Driven(), series(0, 12), batches=3
    )
    assert ours == theirs
    assert text == capsys.readouterr().out


def test_checkpoints_of_batches_have_their_number_in_the_name(keras: Any) -> None:
    path = "{epoch}-{batch:03d}.keras"
    arguments: dict[str, Any] = {"save_freq": 2}
    ours = drive(ModelCheckpoint(path, **arguments), Driven(), series(0, 3), batches=3)
    theirs = drive(
        keras.callbacks.ModelCheckpoint(path, **arguments), Driven(), series(0, 3), batches=3
    )
    assert ours == theirs
    assert [asked[1] for asked in ours[-1]] == [
        f"{name}.keras" for name in ("1-002", "2-001", "2-003", "3-002")
    ]


def test_a_checkpoint_without_its_value_is_saved_with_a_warning(keras: Any) -> None:
    for kind in (ModelCheckpoint, keras.callbacks.ModelCheckpoint):
        model = Driven()
        checkpoint = kind("m.keras", save_best_only=True)
        checkpoint.set_model(model)
        with pytest.warns(UserWarning, match="Can save best model only with val_loss available"):
            checkpoint.on_epoch_end(0, {"loss": 1.0})
        assert len(model.asked) == 1
        with pytest.raises(KeyError, match="Failed to format this callback filepath"):
            drive(kind("{val_acc}.keras"), Driven(), series(0, 1))


def test_nan_is_never_the_best_checkpoint() -> None:
    model = Driven()
    values = [float("nan"), 2.0, float("nan"), 1.0]
    checkpoint = ModelCheckpoint("{epoch}", save_best_only=True)
    drive(checkpoint, model, [{"val_loss": value} for value in values])
    assert [asked[1] for asked in model.asked] == ["2", "4"]


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
