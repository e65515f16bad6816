"""Saved models: they come back the same, training goes on with the same bits, and no other file
gets in."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import convkit
from compare import assert_same_weights
from convkit import layers, losses, metrics, optimizers, storage
from convkit.core import random
from convkit.models import Sequential, load_model
from convkit.optimizers import schedules

pytestmark = pytest.mark.usefixtures("one_thread")


def network(name: str = "net") -> Sequential:
    """Every kind of weight: with and without bias, statistics, a frozen layer, random masks."""
    return Sequential(
        [
            convkit.Input((6, 6, 2)),
            layers.Conv2D(3, 3, padding="same", use_bias=False, name="conv"),
            layers.BatchNormalization(scale=False, name="norm"),
            layers.ReLU(name="relu"),
            layers.MaxPooling2D(name="pool"),
            layers.Flatten(name="flat"),
            layers.Dense(5, activation="tanh", trainable=False, name="frozen"),
            layers.Dropout(0.5, name="drop"),
            layers.Dense(3, activation="softmax", name="out"),
        ],
        name=name,
    )


def images(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return rng.normal(size=(count, 6, 6, 2)).astype(np.float32), rng.integers(0, 3, count)


def trained(optimizer: Any = "adam", epochs: int = 2) -> Sequential:
    convkit.utils.set_random_seed(11)
    model = network()
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy", "mse"][:1])
    model.fit(*images(), batch_size=16, epochs=epochs, verbose=0)
    return model


def assert_trains_on_alike(one: Sequential, two: Sequential) -> None:
    """Three more epochs, with shuffling, dropout, slots and schedule, give the same bits."""
    arguments: dict[str, Any] = {
        "batch_size": 16,
        "initial_epoch": 2,
        "epochs": 5,
        "verbose": 0,
        "validation_split": 0.2,
    }
    first = one.fit(*images(), **arguments).history
    second = two.fit(*images(), **arguments).history
    assert first == second
    assert_same_weights(one, two)
    assert one.optimizer is not None
    assert two.optimizer is not None
    assert one.optimizer.iterations == two.optimizer.iterations > 6
    for name, slot in one.optimizer.slots.items():
        np.testing.assert_array_equal(slot, two.optimizer.slots[name])


OPTIMIZERS: dict[str, Callable[[], Any]] = {
    "adam": lambda: "adam",
    "adamw": lambda: optimizers.AdamW(0.01, 0.1),
    "sgd": lambda: "sgd",
    "momentum": lambda: optimizers.SGD(0.1, 0.9, nesterov=True),
    "schedule": lambda: optimizers.Adam(schedules.OneCycle(0.05, 15)),
}

# What comes back.


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_goes_on_with_the_same_bits(name: str, tmp_path: Path) -> None:
    model = trained(OPTIMIZERS[name]())
    model.save(tmp_path / "best.keras")
    convkit.utils.set_random_seed(99)  # another process would have another seed
    again = load_model(tmp_path / "best.keras")
    assert again.name == "net"
    assert again.get_config() == model.get_config()
    assert_same_weights(model, again)
    assert again.optimizer is not None
    assert model.optimizer is not None
    assert again.optimizer.get_config() == model.optimizer.get_config()
    assert again.optimizer.learning_rate == model.optimizer.learning_rate
    assert [m.name for m in again.metrics] == ["accuracy"]
    convkit.utils.set_random_seed(11)
    assert_trains_on_alike(model, again)


def test_training_goes_on_in_another_process(tmp_path: Path) -> None:
    """Neither process sets a seed: the file brings the first one's along."""
    script = textwrap.dedent(
        """
        import sys
        import numpy as np
        import convkit
        from convkit import layers
        first, path, out = sys.argv[1] == "first", sys.argv[2], sys.argv[3]
        rng = np.random.default_rng(1)
        x, y = rng.random((40, 6), np.float32), rng.integers(0, 3, 40)
        if first:
            model = convkit.Sequential([
                convkit.Input((6,)), layers.Dense(8, "relu"), layers.Dropout(0.5),
                layers.Dense(3, "softmax"),
            ])
            model.compile("adam", "sparse_categorical_crossentropy")
            model.fit(x, y, batch_size=8, epochs=2, verbose=0)
            model.save(path)
        else:
            model = convkit.models.load_model(path)
        model.fit(x, y, batch_size=8, initial_epoch=2, epochs=4, verbose=0)
        np.concatenate([w.ravel() for w in model.get_weights()]).tofile(out)
        """
    )
    for which in ("first", "second"):
        subprocess.run(
            [sys.executable, "-c", script, which, tmp_path / "m", tmp_path / which], check=True
        )
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_single_steps_go_on_in_the_middle_of_an_epoch(tmp_path: Path) -> None:
    model = trained()
    x, y = images()
    model.train_on_batch(x[:7], y[:7])
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    for start in (7, 14, 21):
        one = model.train_on_batch(x[start : start + 7], y[start : start + 7])
        assert one == again.train_on_batch(x[start : start + 7], y[start : start + 7])
    assert_same_weights(model, again)


def test_a_learning_rate_that_was_set_stays(tmp_path: Path) -> None:
    model = trained()
    assert model.optimizer is not None
    model.optimizer.learning_rate = 0.125
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.optimizer is not None
    assert again.optimizer.learning_rate == 0.125
    assert_trains_on_alike(model, again)


def test_a_model_that_was_not_trained_or_not_compiled_or_not_built(tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert_same_weights(model, again)
    assert again.optimizer is None
    assert again.seed is None
    model.compile(optimizers.SGD(0.5, 0.5), "mse")
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.optimizer is not None
    assert again.optimizer.iterations == 0
    assert type(again.loss) is losses.MeanSquaredError
    unbuilt = Sequential([layers.Dense(3)])
    unbuilt.compile("sgd")
    unbuilt.save(tmp_path / "u")
    again = load_model(tmp_path / "u")
    assert not again.built
    assert again.loss is None
    with pytest.raises(ValueError, match="is not built"):
        unbuilt.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="is not built"):
        unbuilt.load_weights(tmp_path / "u")


def test_without_compile(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m", compile=False)
    assert again.optimizer is None
    np.testing.assert_array_equal(
        model.predict(images()[0], verbose=0), again.predict(images()[0], verbose=0)
    )


def test_an_optimizer_that_is_another_model_s_is_saved_without_its_slots(tmp_path: Path) -> None:
    model = trained()
    fresh = network("fresh")
    fresh.compile(model.optimizer, "sparse_categorical_crossentropy")  # type: ignore[arg-type]
    fresh.save(tmp_path / "m")
    with safe_open(tmp_path / "m", "numpy") as opened:
        assert not [name for name in opened.keys() if name.startswith("optimizer/")]  # noqa: SIM118
    assert_same_weights(fresh, load_model(tmp_path / "m"))


def test_loading_leaves_the_random_numbers_and_names_alone(tmp_path: Path) -> None:
    trained().save(tmp_path / "m")
    convkit.utils.set_random_seed(3)
    expected = layers.Dense(4, name="d")
    expected.build((None, 3))
    convkit.utils.set_random_seed(3)
    load_model(tmp_path / "m")
    found = layers.Dense(4, name="d")
    found.build((None, 3))
    np.testing.assert_array_equal(expected.get_weights()[0], found.get_weights()[0])


@pytest.mark.parametrize("name", ["best.keras", "a.weights.h5", "no ending", "müde 日本.bin"])
def test_any_file_name_is_accepted(name: str, tmp_path: Path) -> None:
    model = network()
    model.save(tmp_path / name)
    assert_same_weights(model, load_model(str(tmp_path / name)))
    model.save_weights(tmp_path / name)
    other = network()
    other.load_weights(os.fsencode(tmp_path / name))  # type: ignore[arg-type]
    assert_same_weights(model, other)


def test_others_can_read_the_file(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m.safetensors")
    arrays = safetensors.numpy.load_file(tmp_path / "m.safetensors")
    for parameter in model.weights:
        np.testing.assert_array_equal(arrays[parameter.path], parameter.value)
    assert arrays["optimizer/momentum/out/kernel"].shape == (5, 3)
    assert "optimizer/momentum/norm/moving_mean" not in arrays


def test_the_same_model_gives_the_same_file(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "a")
    model.save(tmp_path / "b")
    load_model(tmp_path / "a").save(tmp_path / "c")
    data = (tmp_path / "a").read_bytes()
    assert data == (tmp_path / "b").read_bytes()
    assert data == (tmp_path / "c").read_bytes()


@pytest.mark.parametrize("order", ["F", "strided", "reversed", "big-endian"])
def test_arrays_of_any_memory_layout_are_written_as_they_are(order: str, tmp_path: Path) -> None:
    """safetensors 0.8.0 writes the memory of a Fortran-ordered array as if it were C-ordered."""
    value = np.arange(24, dtype=np.float32).reshape(4, 6)
    odd: np.ndarray = {
        "F": np.asfortranarray(value),
        "strided": np.repeat(value, 2, axis=1)[:, ::2],
        "reversed": value[::-1, ::-1].copy()[::-1, ::-1],
        "big-endian": value.astype(">f4"),
    }[order]
    np.testing.assert_array_equal(odd, value)
    storage.write(tmp_path / "f", {}, {"a": odd})
    np.testing.assert_array_equal(safetensors.numpy.load_file(tmp_path / "f")["a"], value)
    with storage.reading(tmp_path / "f") as (_, arrays):
        np.testing.assert_array_equal(arrays.take("a", (4, 6)), value)


# Weights alone.


def test_weights_go_to_a_model_with_other_names(tmp_path: Path) -> None:
    """A script that builds its model twice has conv2d the first time and conv2d_1 the second."""

    def build() -> Sequential:
        return Sequential([convkit.Input((8,)), layers.Dense(4), layers.Dense(2)])

    one, two = build(), build()
    assert one.weights[0].path != two.weights[0].path
    one.save_weights(tmp_path / "w.weights.h5")
    two.load_weights(tmp_path / "w.weights.h5")
    for mine, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_weights_come_from_a_whole_model_too(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m")
    other = trained("sgd", epochs=1)
    assert other.optimizer is not None
    other.load_weights(tmp_path / "m")
    assert_same_weights(model, other)
    assert other.optimizer.iterations == 3, "the optimizer is not touched"
    other.fit(*images(), verbose=0)
    model.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match="holds weights alone: build the model"):
        load_model(tmp_path / "w")


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ([layers.Dense(4), layers.Dense(2), layers.Dense(2)], "has 4 weights and the model has 6"),
        ([layers.Dense(4), layers.Dense(3)], r"has shape \(4, 2\), the model needs \(4, 3\)"),
        (
            [layers.Dense(4, use_bias=False), layers.BatchNormalization(scale=False)],
            "has the weight 'one/bias' where the model has",
        ),
    ],
)
def test_weights_that_do_not_fit_leave_the_model_as_it_was(
    other: list[layers.Layer], message: str, tmp_path: Path
) -> None:
    model = Sequential(
        [convkit.Input((8,)), layers.Dense(4, name="one"), layers.Dense(2, name="two")]
    )
    model.save_weights(tmp_path / "w")
    wrong = Sequential([convkit.Input((8,)), *other])
    before = wrong.get_weights()
    with pytest.raises(ValueError, match=message) as caught:
        wrong.load_weights(tmp_path / "w")
    assert str(tmp_path / "w") in str(caught.value)
    for mine, theirs in zip(before, wrong.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


# Pickles and copies.


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_pickles_and_copies_go_on_alike(again: Callable[[Sequential], Sequential]) -> None:
    model = trained(optimizers.SGD(0.1, 0.9))
    twin = again(model)
    assert type(twin) is Sequential
    assert twin.optimizer is not model.optimizer
    assert_same_weights(model, twin)
    twin.set_weights([w + 1 for w in twin.get_weights()])
    assert not np.array_equal(model.get_weights()[0], twin.get_weights()[0])
    assert_trains_on_alike(model, again(model))
    unbuilt = again(Sequential([layers.Dense(2)]))
    assert not unbuilt.built


def test_another_thread_that_trains_lets_savers_in_between_steps(tmp_path: Path) -> None:
    import threading

    model = trained()
    inside, done = threading.Event(), threading.Event()

    class Wait(convkit.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            inside.set()
            done.wait(30)

    thread = threading.Thread(
        target=model.fit, args=images(), kwargs={"verbose": 0, "callbacks": Wait()}
    )
    thread.start()
    inside.wait(30)
    try:
        model.save_weights(tmp_path / "m")
        model.save(tmp_path / "m")
        assert_same_weights(load_model(tmp_path / "m"), model)
        with pytest.raises(RuntimeError, match="is being trained by another thread"):
            model.load_weights(tmp_path / "m")
    finally:
        done.set()
        thread.join()


def test_the_seed_can_be_the_process_s_again(tmp_path: Path) -> None:
    model = trained()
    model.save(tmp_path / "m")
    again = load_model(tmp_path / "m")
    assert again.seed == 11
    again.seed = None
    assert again._seed_in_use() == random.seed()


# What `compile` was given.

_CLASS_NUMBERS = ("sparse_categorical_crossentropy", "categorical_generalized_cross_entropy")
_LOSSES = sorted(function.__name__ for function in losses.functions.CLASSES)
_OF_NUMBERS = ("mean", "sum")  # which are no metrics of models
_NAMES = [name for name in metrics.names._by_name() if name not in _OF_NUMBERS]
_BY_CLASS_NUMBER = ("accuracy", "acc", *(n for n in _NAMES if n.startswith("sparse")))
_BY_VALUE = ("accuracy", "acc", *(n for n in _NAMES if not n.startswith("sparse")))


@pytest.mark.filterwarnings("ignore:the model ends with a softmax over a single value")
@pytest.mark.parametrize("units", [1, 6])
@pytest.mark.parametrize("loss", _LOSSES)
def test_every_metric_with_every_loss_comes_back(loss: str, units: int, tmp_path: Path) -> None:
    """Also "accuracy" where the loss does not say which one that is."""
    x, labels = images(12)[0], np.arange(12) % units
    y = labels if loss in _CLASS_NUMBERS else np.eye(units, dtype=np.float32)[labels]
    end = {"binary": "sigmoid", "mean": "linear"}.get(loss.split("_")[0], "softmax")
    several = _BY_CLASS_NUMBER if loss in _CLASS_NUMBERS else _BY_VALUE
    # Every fifth, of each loss others, so that all metrics are seen.
    for metric in several[_LOSSES.index(loss) % 5 :: 5]:
        if units == 1 and metric.startswith("top_k"):
            continue  # counts classes, and a single yes or no is none
        model = Sequential([convkit.Input((6, 6, 2)), layers.Flatten(), layers.Dense(units, end)])
        model.compile("sgd", loss, metrics=metric)
        model.save(tmp_path / "new")
        model.fit(x, y, verbose=0)
        expected = model.evaluate(x, y, verbose=0, return_dict=True)
        assert list(expected) == ["loss", metric]
        model.save(tmp_path / "trained")
        assert [m.name for m in load_model(tmp_path / "new").metrics] == [metric]
        for again in (load_model(tmp_path / "trained"), pickle.loads(pickle.dumps(model))):
            assert [m.name for m in again.metrics] == [metric]
            np.testing.assert_equal(again.evaluate(x, y, verbose=0, return_dict=True), expected)
