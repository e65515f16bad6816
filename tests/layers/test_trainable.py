"""Frozen layers and models: what stays, what is not computed, and what follows."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_threads_agree, float64
from convkit import layers, reference

SIZES = (8, 8, 2)


def model(seed: int = 0, **options: Any) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    made = convkit.Sequential(
        [
            convkit.Input(SIZES),
            layers.Conv2D(8, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3),
            layers.BatchNormalization(),
            layers.Activation("relu"),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(10, activation="tanh"),
            layers.PReLU("he_normal"),
            layers.Dense(3, activation="softmax"),
        ],
        **options,
    )
    made.compile("adam", "sparse_categorical_crossentropy")
    return made


PARAMETERS = (0, 2, 3, 7, 8, 9)  # the layers that have some


def samples(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, *SIZES)).astype(np.float32), rng.integers(0, 3, n)


def changed(before: Any, after: Any) -> list[bool]:
    return [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]


@pytest.mark.parametrize("index", PARAMETERS)
def test_a_frozen_layer_stays_and_the_others_move(index: int) -> None:
    x, y = samples()
    each = model()
    each.layers[index].trainable = False
    before = [layer.get_weights() for layer in each.layers]
    each.fit(x, y, 8, 2, 0)
    for i, layer in enumerate(each.layers):
        assert all(changed(before[i], layer.get_weights())) == (i != index or not layer.weights)
        assert not (i == index and any(changed(before[i], layer.get_weights())))


@pytest.mark.parametrize("index", PARAMETERS)
def test_no_gradient_is_computed_for_it(index: int) -> None:
    x, y = samples()
    each = model()
    each.train_on_batch(x, y)
    each.layers[index].trainable = False
    for weight in each.weights:
        weight.gradient[...] = 123.0
    each.train_on_batch(x, y)
    untouched = [w.path for w in each.weights if w.trainable and (w.gradient == 123.0).all()]
    assert untouched == [w.path for w in each.layers[index].weights if w.trainable]


def test_moments_rest_while_a_layer_is_frozen() -> None:
    x, y = samples()
    each = model()
    each.fit(x, y, 8, 1, 0)
    assert each.optimizer is not None
    first = each.layers[0].weights[0]
    # Where the kernel lives in the flat buffers, it does in the slots.
    assert first.store is not None
    start = (first.value.ctypes.data - first.store.values.ctypes.data) // 4
    place = slice(start, start + first.size)
    before = {name: slot.copy() for name, slot in each.optimizer.slots.items()}
    assert before["momentum"][place].any()
    each.layers[0].trainable = False
    each.fit(x, y, 8, 1, 0)
    for name, slot in each.optimizer.slots.items():
        np.testing.assert_array_equal(slot[place], before[name][place])
        assert not np.array_equal(slot, before[name])
    each.layers[0].trainable = True
    each.fit(x, y, 8, 1, 0)
    for name, slot in each.optimizer.slots.items():
        assert not np.array_equal(slot[place], before[name][place])


def test_it_takes_effect_with_the_next_step() -> None:
    """In the middle of a training, and without calling compile again."""
    x, y = samples()
    each = model()
    kernel = each.layers[0]
    seen: list[np.ndarray] = []

    class Freeze(convkit.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            seen.append(kernel.get_weights()[0])
            if batch in (1, 3):
                kernel.trainable = not kernel.trainable

    each.fit(x, y, 8, 1, 0, callbacks=Freeze())
    moved = [not np.array_equal(a, b) for a, b in itertools.pairwise(seen)]
    assert moved == [True, False, False, True]


def test_frozen_normalisation_runs_as_in_inference() -> None:
    x, y = samples()
    each = model()
    each.fit(x, y, 8, 2, 0)
    norm = each.layers[3]
    norm.trainable = False
    assert "batchnorm moving statistics" in each.plan()
    before = norm.get_weights()
    inference = each.evaluate(x, y, verbose=0)
    dropless = [layer for layer in each.layers if not isinstance(layer, layers.Dropout)]
    head = convkit.Sequential([convkit.Input(SIZES), *dropless])
    head.compile(convkit.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    assert head.train_on_batch(x, y) == pytest.approx(inference, rel=1e-5)
    each.fit(x, y, 8, 1, 0)
    assert not any(changed(before, norm.get_weights()))
    norm.trainable = True
    assert "batchnorm batch statistics" in each.plan()
    each.fit(x, y, 8, 1, 0)
    assert all(changed(before, norm.get_weights()))


@pytest.mark.parametrize("relu", [False, True])
def test_the_gradient_through_a_frozen_normalisation(relu: bool) -> None:
    convkit.utils.set_random_seed(1)
    body: list[layers.Layer] = [layers.Conv2D(4, 3), layers.BatchNormalization(trainable=False)]
    if relu:
        body.append(layers.Activation("relu"))
    each = convkit.Sequential([convkit.Input(SIZES), *body, layers.Flatten(), layers.Dense(1)])
    rng = np.random.default_rng(4)
    each.layers[1].set_weights([rng.uniform(0.5, 1.5, 4) for _ in range(4)])
    each.compile(convkit.optimizers.SGD(0.0), "mse")
    x, y = samples(5)[0], rng.normal(size=(5, 1)).astype(np.float32)
    kernel, bias, gamma, beta, mean, variance, dense, shift = map(float64, each.get_weights())
    each.train_on_batch(x, y)

    scale = gamma / np.sqrt(variance + 1e-3)
    z = (reference.conv2d_forward(float64(x), kernel, bias) - mean) * scale + beta
    out = np.maximum(z, 0) if relu else z
    error = 2 / 5 * (out.reshape(5, -1) @ dense + shift - y)
    dz = (error @ dense.T).reshape(z.shape) * scale
    if relu:
        dz *= z > 0
    expected = reference.conv2d_backward_weights(float64(x), dz, kernel.shape)
    np.testing.assert_allclose(each.weights[0].gradient, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(each.weights[1].gradient, dz.sum((0, 1, 2)), rtol=1e-4, atol=1e-5)


def test_a_frozen_step_allocates_next_to_nothing() -> None:
    x, y = samples(500)
    each = model()
    for index in (0, 3):
        each.layers[index].trainable = False
    each.train_on_batch(x, y)
    tracemalloc.start()
    each.train_on_batch(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40_000  # labels and small objects of Python
    assert each._engine.training_plan.nbytes > 10 * 40_000


def test_counts_and_summary_follow() -> None:
    each = model()
    total = each.count_params()
    fixed = 2 * 8

    def trainable() -> int:
        lines: list[str] = []
        each.summary(print_fn=lines.append)
        row = next(line for line in lines[0].splitlines() if line.startswith("Trainable params"))
        assert each.count_params() == total
        assert sum(w.size for w in each.trainable_weights) == int(row.split()[2].replace(",", ""))
        sizes = [w.size for w in (*each.trainable_weights, *each.non_trainable_weights)]
        assert sum(sizes) == total
        return int(row.split()[2].replace(",", ""))

    assert trainable() == total - fixed
    each.layers[0].trainable = False
    assert trainable() == total - fixed - (9 * 2 * 8 + 8)
    each.trainable = False
    assert trainable() == 0
    each.trainable = True
    assert trainable() == total - fixed


def test_a_model_freezes_its_layers() -> None:
    each = model()
    assert each.trainable
    each.trainable = False
    assert not each.trainable
    assert not any(layer.trainable for layer in each.layers)
    x, y = samples()
    before = each.get_weights()
    with pytest.warns(UserWarning, match="does not have any trainable weights") as record:
        each.fit(x, y, 8, 1, 0)
    assert [warning.filename for warning in record] == [__file__]  # the user's own line
    assert not any(changed(before, each.get_weights()))
    each.layers[-1].trainable = True
    each.fit(x, y, 8, 1, 0)
    assert changed(before, each.get_weights()) == [False] * (len(before) - 2) + [True] * 2


def test_frozen_from_the_beginning() -> None:
    each = model(trainable=False)
    assert each.trainable_weights == []
    each.add(layers.Dense(2, name="more"))
    assert not each.layers[-1].trainable
    assert convkit.Sequential([layers.Dense(2)], False, "named").name == "named"
    single = layers.Dense(3, trainable=False)
    assert single.get_config()["trainable"] is False
    late = convkit.Sequential([single, layers.Dense(2)])
    late.build((None, 4))
    assert [w.path.split("/")[1] for w in late.non_trainable_weights] == ["kernel", "bias"]


def test_the_same_bits_with_any_number_of_threads() -> None:
    x, y = samples(64)

    def train() -> tuple[np.ndarray, ...]:
        each = model()
        each.layers[2].trainable = each.layers[3].trainable = False
        history = each.fit(x, y, 16, 2, 0)
        each.layers[3].trainable = True
        each.fit(x, y, 16, 1, 0)
        return (*each.get_weights(), *map(np.array, history.history.values()))

    assert_threads_agree(train)


def test_a_model_of_frozen_layers_leaves_them_frozen() -> None:
    """As in Keras: a new head on old features does not thaw them."""
    inputs = convkit.Input((4,))
    old = layers.Dense(3, trainable=False)
    features = old(inputs)
    model = convkit.Model(inputs, layers.Dense(2)(features))
    assert not old.trainable
    assert len(model.trainable_weights) == 2
    loaded = convkit.models.clone_model(model)
    assert [layer.trainable for layer in loaded.layers[1:]] == [False, True]
    convkit.Model(inputs, features, trainable=False)
    assert model.layers[-1].trainable
