"""What predictions keep of weights from call to call: the same bits, and anew after each change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits
from convkit import layers, optimizers, runtime

SIZES = (16, 16, 16)  # of a sample: Winograd's algorithm takes it, one image at a time


@contextmanager
def selected(isa: str) -> Iterator[None]:
    former = runtime.isa()
    runtime.set_isa(isa)
    try:
        yield
    finally:
        runtime.set_isa(former)


def network() -> convkit.Sequential:
    """All that keeps weights: alone and before a pool, with and without a normalisation."""
    convkit.utils.set_random_seed(11)
    model = convkit.Sequential(
        [
            layers.Input(SIZES),
            layers.Conv2D(16, 3, padding="same", activation="relu"),
            layers.Conv2D(72, 3, padding="same"),  # in chunks of channels
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, padding="same"),
            layers.MaxPooling2D(),
            layers.Conv2D(24, 3, padding="same"),  # a direct sum
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    return model


def assert_other_bits(one: Array, other: Array) -> None:
    assert one.tobytes() != other.tobytes()


def sample(n: int = 1) -> Array:
    return np.random.default_rng(5).random((n, *SIZES), np.float32)


def settled(model: convkit.Sequential, n: int = 1) -> Array:
    """A prediction that was captured, replayed with weights made, and with weights kept."""
    x = sample(n)
    first, *others = (model.predict_on_batch(x) for _ in range(4))
    for other in others:
        assert_same_bits(first, other)
    return first


def anew(model: convkit.Sequential) -> Array:
    """What a model that has never predicted makes of the same weights."""
    other = network()
    other.set_weights(model.get_weights())
    return other.predict_on_batch(sample())


@pytest.mark.parametrize("n", [1, 2, 5, 33])
@pytest.mark.parametrize("isa", runtime.available_isas())
def test_kept_weights_give_the_bits_of_those_that_are_made(isa: str, n: int) -> None:
    with selected(isa):
        kept = settled(network(), n)
        model = network()
        assert all(parameter.value.size for parameter in model.weights)  # now they are handed out
        assert_same_bits(settled(model, n), kept)


def test_weights_are_kept() -> None:
    """Written into unseen, they are not looked at: only so is the rest of this file a test."""
    model = network()
    before = settled(model)
    kernel = model.layers[0].kernel
    kernel.array[...] *= 2.0
    assert_same_bits(model.predict_on_batch(sample()), before)
    kernel.write(kernel.array)
    assert_other_bits(model.predict_on_batch(sample()), before)


def test_large_weights_and_large_batches_keep_nothing() -> None:
    model = network()
    before = settled(model, 40)
    model.layers[0].kernel.array[...] *= 2.0
    assert_other_bits(model.predict_on_batch(sample(40)), before)


def _train(model: convkit.Sequential, folder: Path) -> None:
    model.train_on_batch(sample(8), np.arange(8) % 5)


def _fit(model: convkit.Sequential, folder: Path) -> None:
    model.fit(sample(8), np.arange(8) % 5, epochs=1, verbose=0)


def _set_weights(model: convkit.Sequential, folder: Path) -> None:
    model.set_weights([1.25 * weight for weight in model.get_weights()])


def _set_of_layer(model: convkit.Sequential, folder: Path) -> None:
    layer = model.layers[2]  # gamma and the statistics are folded into the kernel
    layer.set_weights([1.25 * weight + 0.125 for weight in layer.get_weights()])


def _set_value(model: convkit.Sequential, folder: Path) -> None:
    model.layers[6].kernel.value = 1.5 * model.layers[6].kernel.numpy()


def _write_into_value(model: convkit.Sequential, folder: Path) -> None:
    model.layers[6].kernel.value[...] *= 1.5


def _write_into_statistics(model: convkit.Sequential, folder: Path) -> None:
    model.layers[2].moving_mean.value += 0.5


def _write_without_copy(model: convkit.Sequential, folder: Path) -> None:
    array = model.layers[0].kernel.__array__(copy=False)
    array[...] *= 1.5


def _load(model: convkit.Sequential, folder: Path) -> None:
    other = network()
    _train(other, folder)
    other.save_weights(folder / "other.weights.ckpt")
    model.load_weights(folder / "other.weights.ckpt")


def _call_in_training(model: convkit.Sequential, folder: Path) -> None:
    images = np.random.default_rng(6).random((8, 4, 4, 72), np.float32)
    model.layers[2](images, training=True)  # which moves the statistics


def _train_another(model: convkit.Sequential, folder: Path) -> None:
    other = convkit.Sequential([layers.Input(SIZES), *model.layers])
    other.compile("adam", "sparse_categorical_crossentropy")
    _train(other, folder)


def _apply(model: convkit.Sequential, folder: Path) -> None:
    _train(model, folder)
    settled(model)
    model.optimizer.apply(model.layers[0].kernel.store)


CHANGES: dict[str, Callable[[convkit.Sequential, Path], None]] = {
    "train_on_batch": _train,
    "fit": _fit,
    "set_weights": _set_weights,
    "set_weights of a layer": _set_of_layer,
    "value is set": _set_value,
    "value is written into": _write_into_value,
    "a statistic is written into": _write_into_statistics,
    "an array without a copy": _write_without_copy,
    "load_weights": _load,
    "a call in training": _call_in_training,
    "another model with the layers": _train_another,
    "a step by hand": _apply,
}


@pytest.mark.parametrize("change", CHANGES)
def test_weights_are_made_anew_after(change: str, tmp_path: Path) -> None:
    model = network()
    before = settled(model)
    for _ in range(2):
        CHANGES[change](model, tmp_path)
        after = settled(model)
        assert_same_bits(after, anew(model))
        if change != "load_weights":
            assert_other_bits(after, before)
        before = after


def test_an_array_that_was_handed_out_may_be_written_into_later() -> None:
    model = network()
    kernel = model.layers[0].kernel.value
    for factor in (1.5, 0.5, 2.0):
        before = settled(model)
        kernel *= factor
        assert_other_bits(model.predict_on_batch(sample()), before)
        assert_same_bits(settled(model), anew(model))


def test_other_kernels_make_their_own() -> None:
    model = network()
    expected = {}
    isas = runtime.available_isas()
    for isa in isas:
        with selected(isa):
            expected[isa] = network().predict_on_batch(sample())
    for isa in (*isas, *reversed(isas), *isas):
        with selected(isa):
            assert_same_bits(settled(model), expected[isa])
