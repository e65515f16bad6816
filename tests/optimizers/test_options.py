"""Optimizers and their options in a model that trains: replayed, saved, resumed, on threads."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, assert_threads_agree, random_array
from convkit import layers, optimizers
from convkit.optimizers import schedules

NESTEROV = {"momentum": 0.9, "nesterov": True, "gradient_accumulation_steps": 2}
MAKES: list[tuple[str, dict[str, Any]]] = [
    ("Adadelta", {"learning_rate": 1.0, "clipnorm": 0.5}),
    ("Adagrad", {"learning_rate": 0.1, "global_clipnorm": 0.5}),
    ("Adam", {"amsgrad": True, "clipvalue": 0.01}),
    ("Adamax", {"use_ema": True, "ema_momentum": 0.7}),
    ("AdamW", {"gradient_accumulation_steps": 3, "use_ema": True}),
    ("Ftrl", {"learning_rate": 0.1, "ema_overwrite_frequency": 4, "use_ema": True}),
    ("Lion", {"weight_decay": 0.1}),
    ("Lookahead", {"optimizer": {"class_name": "Adam", "config": {"weight_decay": 0.1}}}),
    ("Lookahead", {"optimizer": {"class_name": "SGD", "config": NESTEROV}, "sync_period": 2}),
    ("Muon", {"clipnorm": 0.5, "gradient_accumulation_steps": 2}),
    ("Nadam", {"global_clipnorm": 0.5, "weight_decay": 0.1}),
    ("RMSprop", {"centered": True, "momentum": 0.5, "epsilon": 1e-3}),
    ("SGD", {"momentum": 0.9, "gradient_accumulation_steps": 2, "clipvalue": 0.1}),
]
X, Y = random_array("x", (40, 8, 8, 2)), np.arange(40) % 3


def model(name: str, options: dict[str, Any]) -> convkit.Sequential:
    convkit.utils.set_random_seed(3)
    made = convkit.Sequential(
        [
            convkit.Input((8, 8, 2)),
            layers.Conv2D(4, 3, activation="relu", kernel_constraint="max_norm", name="a"),
            *([layers.BatchNormalization(momentum=0.5)] if name == "Lookahead" else []),
            layers.Flatten(),
            layers.Dense(20, activation="relu", kernel_regularizer="l2", name="b"),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax", name="c"),
        ]
    )
    optimizer = getattr(optimizers, name)(**options)
    if optimizer.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    made.compile(optimizer, "sparse_categorical_crossentropy")
    return made


def train(made: Any, first: int, last: int, callbacks: Any = None) -> Any:
    return made.fit(
        X, Y, batch_size=8, epochs=last, initial_epoch=first, verbose=0, callbacks=callbacks
    )


def state(made: Any) -> list[Array]:
    return [*made.get_weights(), *(slot.numpy() for slot in made.optimizer.variables)]


def assert_same(one: list[Array], two: list[Array]) -> None:
    assert len(one) == len(two)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("name", "options"), MAKES, ids=str)
def test_training_goes_on_from_a_file_with_the_same_bits(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    whole, part = model(name, options), model(name, options)
    # The average takes the weights' place at the end of each fit, so both have two.
    for first in (0, 1):
        train(whole, first, first + 1)
    train(part, 0, 1)
    path = tmp_path / "model.safetensors"
    part.save(path)
    loaded = convkit.models.load_model(path)
    copied = pickle.loads(pickle.dumps(part))
    for again in (loaded, copied):
        assert again.optimizer is not None
        assert again.optimizer.get_config() == part.optimizer.get_config()  # type: ignore[union-attr]
        assert_same(state(again), state(part))
        train(again, 1, 2)
        assert_same(state(again), state(whole))


@pytest.mark.parametrize(("name", "options"), MAKES, ids=str)
def test_training_goes_on_from_a_backup_with_the_same_bits(
    name: str, options: dict[str, Any], tmp_path: Path
) -> None:
    class Stop(convkit.callbacks.Callback):
        """Interrupts the first training in the middle of its second epoch."""

        def __init__(self, after: int) -> None:
            self.left = after

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    whole = model(name, options)
    train(whole, 0, 2, [Stop(0)])
    backups = [convkit.callbacks.BackupAndRestore(tmp_path, save_freq=2) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        train(model(name, options), 0, 2, [Stop(8), backups[0]])
    again = model(name, options)
    train(again, 0, 2, [Stop(0), backups[1]])
    assert again.optimizer is not None
    assert again.optimizer.iterations < 10 or not again.optimizer.gradient_accumulation_steps
    assert_same(state(again), state(whole))


@pytest.mark.parametrize(("name", "options"), MAKES, ids=str)
def test_replayed_steps_are_those_of_python(name: str, options: dict[str, Any]) -> None:
    made = []
    for captured in (True, False):
        each = model(name, options)
        assert each.optimizer is not None
        accumulates = each.optimizer.gradient_accumulation_steps is not None
        assert each.optimizer.capturable == (not accumulates)
        each.optimizer.capturable = captured and each.optimizer.capturable
        train(each, 0, 3)
        made.append(state(each))
    assert_same(*made)


@pytest.mark.parametrize(("name", "options"), MAKES, ids=str)
def test_threads_give_the_same_bits(name: str, options: dict[str, Any]) -> None:
    def everything() -> tuple[Array, ...]:
        made = model(name, options)
        train(made, 0, 2)
        return tuple(state(made))

    assert_threads_agree(everything)


def test_fit_ends_with_the_averages() -> None:
    made = model("SGD", {"use_ema": True, "ema_momentum": 0.9})
    seen: list[Array] = []
    last = convkit.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(made.get_weights()[0])
    )
    train(made, 0, 1, [last])
    assert made.optimizer is not None
    average = next(each for each in made.optimizer.variables if each.name == "average")
    np.testing.assert_array_equal(made.get_weights()[0], average.value)
    assert not np.array_equal(made.get_weights()[0], seen[0])


def test_options_that_are_set_later() -> None:
    made = model("Adam", {})
    train(made, 0, 1)
    assert made.optimizer is not None
    made.optimizer.clipnorm = 1e-9
    made.optimizer.use_ema = True
    made.optimizer.amsgrad = True
    train(made, 1, 2)
    assert set(made.optimizer.slots) == {"momentum", "velocity", "velocity_hat", "average"}
    norms = [np.linalg.norm(w.gradient) for w in made.trainable_weights]
    assert max(norms) <= 1.001e-9
    for name, value in (("gradient_accumulation_steps", 4), ("schedule", None)):
        with pytest.raises(AttributeError, match="make a new optimizer"):
            setattr(made.optimizer, name, value)
    with pytest.raises(ValueError, match="only one of clipnorm, clipvalue, global_clipnorm"):
        made.optimizer.clipvalue = 1.0


def test_the_weights_without_decay_are_in_the_file(tmp_path: Path) -> None:
    made = model("AdamW", {})
    assert made.optimizer is not None
    train(made, 0, 1)
    made.save(tmp_path / "model")
    loaded = convkit.models.load_model(tmp_path / "model")
    assert loaded.optimizer is not None
    decayed = [w.name for w in loaded.trainable_weights if loaded.optimizer.decays(w)]
    assert set(decayed) == {"kernel"}
    loaded.optimizer.exclude_from_weight_decay()
    assert all(loaded.optimizer.decays(w) for w in loaded.trainable_weights)
    wrong: list[dict[str, Any]] = [{"var_list": [1.0]}, {"var_names": "bias"}, {"var_names": [1]}]
    for each in wrong:
        with pytest.raises(TypeError, match="must be"):
            loaded.optimizer.exclude_from_weight_decay(**each)
    with pytest.raises(ValueError, match="regular expressions"):
        loaded.optimizer.exclude_from_weight_decay(var_names=["("])


def test_the_rate_that_is_assigned() -> None:
    made = model("SGD", {})
    assert made.optimizer is not None
    rate = made.optimizer.learning_rate
    assert isinstance(rate, float)
    assert (rate, type(pickle.loads(pickle.dumps(rate)))) == (0.01, float)
    train(made, 0, 1)
    before = made.get_weights()
    rate.assign(0.0)
    train(made, 1, 2)
    assert_same(made.get_weights(), before)
    assert (float(rate), float(rate.numpy())) == (0.01, 0.0)
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        rate.assign(-1.0)
    made.optimizer.learning_rate = schedules.ExponentialDecay(0.1, 5, 0.5)
    with pytest.raises(TypeError, match="follows a schedule"):
        made.optimizer.learning_rate.assign(0.1)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.SGD(clipnorm=-1.0), "clipnorm must be a finite number of at least 0"),
        (lambda: optimizers.SGD(clipnorm=1.0, global_clipnorm=1.0), "only one of"),
        (lambda: optimizers.SGD(ema_momentum=2.0), "ema_momentum must lie in 0 .. 1"),
        (lambda: optimizers.SGD(ema_overwrite_frequency=1.5), "ema_overwrite_frequency must be"),
        (lambda: optimizers.SGD(gradient_accumulation_steps=1), "an integer of at least 2"),
        (lambda: optimizers.Lion(beta_1=0.0), "beta_1 must be above 0"),
        (lambda: optimizers.Ftrl(learning_rate_power=0.5), "learning_rate_power must be at most 0"),
        (lambda: optimizers.Ftrl(beta=-1.0), "beta must be a finite number"),
        (lambda: optimizers.Muon(ns_steps=-1), "ns_steps must be an integer"),
        (lambda: optimizers.Muon(exclude_layers=["("]), "no regular expression"),
        (lambda: optimizers.Muon(exclude_layers="dense"), "a list of texts"),
        (lambda: optimizers.Muon(adam_lr_ratio=0.0), "adam_lr_ratio must be above 0"),
        (lambda: optimizers.Nadam(beta_2=1.0), "beta_2 must be at least 0 and below 1"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
