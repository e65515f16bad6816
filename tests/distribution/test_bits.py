"""A batch that several processes share: one process's bits, for 1, 2, 4 and 8 of them.

Threads stand for the processes here, each with a model of its own; `test_mpi.py` has real ones.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.compat import keras, tensorflow
from convkit.core import processes, random
from convkit.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Conv2DTranspose,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianDropout,
    GlobalAveragePooling2D,
    GroupNormalization,
    LayerNormalization,
    MaxPooling2D,
    PReLU,
    RandomFlip,
    RandomTranslation,
    Rescaling,
    SeparableConv2D,
    SpatialDropout2D,
)
from thread_ranks import on_threads
from train_on_ranks import augmented

CLASSES = 10


def everything() -> convkit.Model:
    """Sums over the batch of every kind, on planes that are no multiples of anything."""
    x = convkit.Input((15, 15, 3))
    y = Rescaling(1 / 255)(RandomFlip()(x))
    y = Conv2D(20, 3, padding="same")(y)
    y = PReLU(shared_axes=[1, 2])(BatchNormalization()(MaxPooling2D(2)(y)))
    y = SeparableConv2D(24, 3, padding="same")(SpatialDropout2D(0.2)(y))
    y = GaussianDropout(0.1)(GroupNormalization(4)(LayerNormalization()(y)))
    y = Dropout(0.3, noise_shape=(1, 1, 1, 16))(Conv2DTranspose(16, 2, strides=2)(y))
    y = BatchNormalization()(Dense(37, activation="gelu")(Flatten()(y)))
    y = GroupNormalization(5)(Dropout(0.1)(Dense(10, activation="relu")(y)))
    return convkit.Model(x, Dense(CLASSES, activation="softmax")(PReLU()(y)))


def wide() -> convkit.Model:
    """Weights that are too many for sums by pieces of the batch, and depthwise ones."""
    return convkit.Sequential(
        [
            convkit.Input((10, 10, 3)),
            Conv2D(128, 3, padding="same", activation="relu"),
            Conv2D(160, 3, padding="same", activation="relu"),
            Conv2D(40, 5, strides=2, activation="relu"),
            DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            GlobalAveragePooling2D(),
            Dense(CLASSES, activation="softmax"),
        ]
    )


def recipe() -> convkit.Model:
    """The narrow network of a recipe, whose parts learn at rates of their own, or not at all."""
    network = convkit.zoo.airbench((16, 16))
    before = [
        convkit.Input((32, 32, 3)),
        RandomFlip("horizontal", alternating=True),
        RandomTranslation(2.5 / 32, 2.5 / 32, "reflect", "nearest"),
        Rescaling(1 / 255),
    ]
    model = convkit.Sequential([*before, *network.layers, Activation("softmax")])
    model.get_layer("whitening").kernel.trainable = False
    for layer in model.layers:
        if isinstance(layer, BatchNormalization):
            layer.beta.learning_rate_multiplier = 64.0
    return model


MODELS: dict[str, Callable[[], Any]] = {
    "mnist": convkit.zoo.mnist_cnn,
    "fashion": convkit.zoo.fashion_mnist_cnn,
    "cifar10": augmented,
    "resnet20": convkit.zoo.resnet20,
    "everything": everything,
    "wide": wide,
    "recipe": recipe,
}


def images(sizes: tuple[int, ...], count: int) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 256, (count, *sizes), dtype=np.uint8)
    return x, rng.integers(0, CLASSES, count)


def trained(name: str, batch: int, **compiled: Any) -> tuple[list[bytes], Any]:
    """The weights and predictions of a model after some steps, and what was told of it."""
    with random.seeded(3):
        model = MODELS[name]()
        model.seed = 5
        x, y = images(model.input_shape[1:], 2 * batch + 3)
        given = {"loss": "sparse_categorical_crossentropy", "metrics": ["accuracy"], **compiled}
        model.compile(**given)
        weights = np.linspace(0.5, 1.5, len(x), dtype=np.float32)
        history = model.fit(x, y, batch, sample_weight=weights, validation_data=(x, y), verbose=0)
        found = [*model.get_weights(), model.predict(x[:19], batch_size=16, verbose=0)]
        scores = model.evaluate(x[:21], y[:21], batch_size=16, verbose=0)
    return [each.tobytes() for each in found], (history.history, scores)


@pytest.mark.parametrize("batch", [32, 13, 9])
@pytest.mark.parametrize("name", MODELS)
def test_processes_have_the_bits_of_one(name: str, batch: int) -> None:
    alone = trained(name, batch)
    for size in (2, 4, 8):
        for found in on_threads(size, partial(trained, name, batch)):
            assert found == alone, f"{size} processes"


@pytest.mark.parametrize("batch", [1, 5, 7])
def test_each_process_computes_a_small_batch_as_a_whole(batch: int) -> None:
    alone = trained("fashion", batch)
    assert on_threads(4, partial(trained, "fashion", batch)) == [alone] * 4


@pytest.mark.parametrize(
    "loss",
    [
        convkit.losses.SparseCategoricalCrossentropy(ignore_class=3),
        convkit.losses.SparseCategoricalCrossentropy(reduction="mean_with_sample_weight"),
        convkit.losses.SparseCategoricalCrossentropy(reduction="sum"),
    ],
    ids=["ignored", "weighted mean", "sum"],
)
def test_losses_divide_by_what_the_whole_batch_counts(loss: Any) -> None:
    alone = trained("mnist", 16, loss=loss)
    assert on_threads(2, partial(trained, "mnist", 16, loss=loss)) == [alone] * 2


def quartic(y_true: Array, y_pred: Array) -> tuple[Any, Any]:
    """A loss of one's own, with its gradient."""
    return ((y_pred - y_true) ** 4).mean(axis=-1), 4 * (y_pred - y_true) ** 3 / y_pred.shape[-1]


@pytest.mark.parametrize("loss", [quartic, convkit.losses.Dice(), convkit.losses.Tversky()])
def test_losses_in_python_are_of_the_whole_batch(loss: Any) -> None:
    def run() -> Any:
        with random.seeded(3):
            model = convkit.Sequential([convkit.Input((4, 4, 1)), Flatten(), Dense(CLASSES)])
            x, y = images((4, 4, 1), 40)
            targets = convkit.utils.to_categorical(y, CLASSES)
            model.compile(convkit.optimizers.SGD(1.0), loss)
            history = model.fit(x / np.float32(255), targets, 16, verbose=0).history
            told = model.evaluate(x, targets, 16, verbose=0)
        return [each.tobytes() for each in model.get_weights()], history, told

    alone = run()
    for size in (2, 4):
        assert on_threads(size, run) == [alone] * size


def test_functions_as_layers_are_given_the_whole_batch() -> None:
    class Scaled(keras.layers.Layer):  # type: ignore[misc,name-defined]
        """Has a weight."""

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(shape[-1],), initializer="ones")

        def call(self, x: Any) -> Any:
            return tensorflow.sin(x) * self.w

    def run() -> Any:
        with random.seeded(3):
            x = convkit.Input((16,))
            centred = keras.layers.Lambda(lambda y: y - tensorflow.reduce_mean(y, axis=0))
            model = convkit.Model(x, Dense(3)(Scaled()(centred(Dense(8)(x)))))
            rng = np.random.default_rng(1)
            rows, targets = (rng.random((40, size), np.float32) for size in (16, 3))
            model.compile(convkit.optimizers.SGD(0.5), "mse")
            history = model.fit(rows, targets, 16, verbose=0).history
            predicted = model.predict(rows, 16, verbose=0)
        return [each.tobytes() for each in (*model.get_weights(), predicted)], history

    alone = run()
    assert on_threads(2, run) == [alone] * 2


@pytest.mark.parametrize(
    "optimizer",
    [
        convkit.optimizers.SGD(0.1, momentum=0.9, nesterov=True, global_clipnorm=0.5),
        convkit.optimizers.Muon(1e-3),
        convkit.optimizers.Lookahead(convkit.optimizers.SGD(0.1, momentum=0.9), 2),
        convkit.optimizers.Adam(use_ema=True, gradient_accumulation_steps=2),
    ],
    ids=lambda each: each.name,
)
def test_optimizers_step_alike_in_all_processes(optimizer: Any) -> None:
    def run() -> Any:
        own = type(optimizer).from_config(optimizer.get_config())
        return trained("wide", 24, optimizer=own)

    alone = run()
    assert on_threads(4, run) == [alone] * 4


def test_rows_of_weights_are_none_of_the_batch() -> None:
    """Muon multiplies matrices whose rows are multiples of a process's eight samples."""

    def run() -> list[bytes]:
        with random.seeded(3):
            sizes = [Dense(64), Dense(32), Dense(64), Dense(CLASSES, activation="softmax")]
            model = convkit.Sequential([convkit.Input((6, 6, 1)), Flatten(), *sizes])
            x, y = images((6, 6, 1), 32)
            model.compile(convkit.optimizers.Muon(1e-3), "sparse_categorical_crossentropy")
            model.fit(x, y, 16, verbose=0)
        return [each.tobytes() for each in model.get_weights()]

    alone = run()
    assert on_threads(2, run) == [alone] * 2


def test_threads_of_a_process_change_nothing() -> None:
    before = convkit.runtime.get_num_threads()
    alone = trained("cifar10", 16)
    try:
        for threads in (1, 3, 7):
            convkit.runtime.set_num_threads(threads)
            assert on_threads(2, partial(trained, "cifar10", 16)) == [alone] * 2
    finally:
        convkit.runtime.set_num_threads(before)


@pytest.mark.parametrize("size", [2, 3])
def test_fast_sums_are_those_of_one_process_to_rounding(size: int) -> None:
    alone, (history, _) = trained("mnist", 32, optimizer=convkit.optimizers.SGD(0.01))

    def run() -> Any:
        return trained("mnist", 32, optimizer=convkit.optimizers.SGD(0.01))

    found = on_threads(size, run, reduction="fast")
    assert all(each == found[0] for each in found)
    for own, other in zip(found[0][0], alone, strict=True):
        a, b = np.frombuffer(own, np.float32), np.frombuffer(other, np.float32)
        np.testing.assert_allclose(a, b, rtol=0, atol=2e-6 * max(np.abs(b).max(), 1e-3))
    np.testing.assert_allclose(found[0][1][0]["loss"], history["loss"], rtol=1e-6)


def test_weights_are_averaged_after_some_steps_by_themselves() -> None:
    def run(sync_every: int) -> Any:
        with random.seeded(3):
            model = convkit.zoo.mnist_cnn()
            x, y = images((28, 28, 1), 64)
            model.compile(convkit.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
            model.fit(x, y, 32, epochs=2, shuffle=False, verbose=0)
        return [each.tobytes() for each in model.get_weights()]

    every = on_threads(2, partial(run, 2), reduction="fast", sync_every=2)
    assert every[0] == every[1]

    def alone(part: slice) -> Any:
        """What one of the processes does between two averages."""
        with random.seeded(3):
            model = convkit.zoo.mnist_cnn()
            x, y = images((28, 28, 1), 64)
            model.compile(convkit.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
        own = np.concatenate([np.arange(64)[start:][:32][part] for start in (0, 32)])
        return model, x[own], y[own]

    halves = [alone(slice(0, 16)), alone(slice(16, 32))]
    for _ in range(2):
        for model, x, y in halves:
            model.fit(x, y, 16, shuffle=False, verbose=0)
        mean = [
            (a + b) / 2
            for a, b in zip(*(model.get_weights() for model, _, _ in halves), strict=True)
        ]
        for model, _, _ in halves:
            model.set_weights(mean)
    for own, expected in zip(every[0], mean, strict=True):
        a = np.frombuffer(own, np.float32).reshape(expected.shape)
        np.testing.assert_allclose(a, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("given", [{}, {"ema_overwrite_frequency": 2}], ids=["end", "often"])
def test_averages_of_weights_are_those_of_all_processes(given: dict[str, Any]) -> None:
    def run() -> list[bytes]:
        with random.seeded(3):
            model = convkit.zoo.mnist_cnn()
            x, y = images((28, 28, 1), 48)
            model.compile(
                convkit.optimizers.SGD(0.01, use_ema=True, **given),
                "sparse_categorical_crossentropy",
            )
            model.fit(x, y, 16, verbose=0)
        return [each.tobytes() for each in model.get_weights()]

    first, second = on_threads(2, run, reduction="fast", sync_every=2)
    assert first == second


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_epoch_end"])
def test_one_process_stops_all(hook: str) -> None:
    def run() -> tuple[int, bool]:
        model = convkit.zoo.fashion_mnist_cnn()
        x, y = images((28, 28, 1), 40)
        model.compile("adam", "sparse_categorical_crossentropy")

        def stop(number: int, logs: Any = None) -> None:
            here = processes.current()
            assert here is not None
            model.stop_training = here.rank == 1 and number == 1

        callback = convkit.callbacks.LambdaCallback(**{hook: stop})
        model.fit(x, y, 16, epochs=4, verbose=0, callbacks=[callback])
        return model.optimizer.iterations, model.stop_training

    steps = 2 if hook == "on_train_batch_end" else 6
    assert on_threads(2, run) == [(steps, True)] * 2


def test_all_begin_with_the_weights_of_the_first() -> None:
    seeds = iter(range(2))

    def run() -> list[bytes]:
        with random.seeded(next(seeds)):
            model = convkit.zoo.fashion_mnist_cnn()
        x, y = images((28, 28, 1), 40)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, 16, epochs=2, verbose=0)
        return [each.tobytes() for each in model.get_weights()]

    first, second = on_threads(2, run)
    assert first == second


def test_what_the_processes_do_must_be_the_same() -> None:
    sizes = iter([16, 8])

    def run() -> None:
        model = convkit.zoo.fashion_mnist_cnn()
        x, y = images((28, 28, 1), 40)
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=next(sizes), verbose=0)

    with pytest.raises(ValueError, match="all processes must do the same, but process 0 is at fit"):
        on_threads(2, run)


def test_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="reduction must be 'exact' or 'fast', received 'slow'"):
        convkit.distribution.DataParallel(reduction="slow")
    with pytest.raises(ValueError, match="sync_every must be an integer of at least 1"):
        convkit.distribution.DataParallel(reduction="fast", sync_every=0)
    with pytest.raises(ValueError, match="needs reduction='fast'"):
        convkit.distribution.DataParallel(sync_every=2)
    with pytest.raises(TypeError, match="must be a DataParallel or None, received 4"):
        convkit.distribution.set_distribution(4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs 1, 2, 4 or 8 processes, and there are 3"):
        on_threads(3, lambda: None)
    assert convkit.distribution.distribution() is None
