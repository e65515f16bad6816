"""Frozen layers and models: what stays, what is not computed, and what follows."""

from __future__ import annotations

import itertools
import tracemalloc
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_threads_agree, float64
from convkit import layers, reference, storage

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
    untouched = [w.path for w in each.weights if w.has_gradient and (w.gradient == 123.0).all()]
    assert untouched == [w.path for w in each.layers[index].weights if w.has_gradient]


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


# Single parameters.


def named(each: Any) -> dict[str, Any]:
    return dict(each.named_weights())


@pytest.mark.parametrize(
    "path", ["conv2d/kernel", "conv2d/bias", "batch_normalization/beta", "dense/kernel"]
)
def test_one_parameter_stays_and_the_others_move(path: str) -> None:
    x, y = samples()
    convkit.utils.clear_session()
    each = model()
    held = named(each)[path]
    each.fit(x, y, 8, 1, 0)
    held.trainable = False
    assert held not in each.trainable_weights
    assert held in each.non_trainable_weights
    before = {name: weight.numpy() for name, weight in named(each).items()}
    each.fit(x, y, 8, 1, 0)
    moved = {name for name, w in named(each).items() if not np.array_equal(w.value, before[name])}
    assert moved == before.keys() - {path}
    held.trainable = True
    each.fit(x, y, 8, 1, 0)
    assert not np.array_equal(held.value, before[path])


def test_a_frozen_kernel_in_front_needs_no_gradient_of_its_own() -> None:
    """The bias alone learns, as that of a whitening layer: its gradient is what it always is."""
    x, y = samples()
    gradients = []
    for trainable in (True, False):
        each = model()
        each.train_on_batch(x, y)
        each.layers[0].kernel.trainable = trainable
        each.layers[0].kernel.gradient[...] = 123.0
        each.train_on_batch(x, y)
        assert (each.layers[0].kernel.gradient == 123.0).all() == (not trainable)
        gradients.append(each.layers[0].bias.gradient.copy())
    np.testing.assert_array_equal(*gradients)
    assert gradients[0].any()


def test_the_layer_and_the_parameter_must_both_be_trainable() -> None:
    dense = model().layers[7]
    dense.kernel.trainable = False
    assert (dense.kernel.trainable, dense.bias.trainable) == (False, True)
    dense.trainable = False
    dense.kernel.trainable = True
    assert (dense.kernel.trainable, dense.bias.trainable) == (False, False)
    dense.trainable = True
    assert (dense.kernel.trainable, dense.bias.trainable) == (True, True)
    norm = model().layers[3]
    with pytest.raises(ValueError, match="state that the layer itself updates"):
        norm.moving_mean.trainable = True
    norm.moving_mean.trainable = False
    assert not norm.moving_mean.trainable


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "Muon", "Lookahead"])
def test_a_multiplier_is_a_learning_rate_of_its_own(optimizer: str) -> None:
    """Of one step: a parameter with multiplier 8 moves as with a learning rate 8 times as large."""
    x, y = samples()
    options = {"SGD": {"momentum": 0.9, "nesterov": True}, "Adam": {"weight_decay": 0.1}}
    moves = []
    for rate, multiplier in ((1e-3, 1.0), (8e-3, 1.0), (1e-3, 8.0)):
        each = model()
        made = getattr(convkit.optimizers, optimizer)(**options.get(optimizer, {}))
        made.learning_rate = rate
        each.compile(made, "sparse_categorical_crossentropy")
        for layer in (each.layers[0], each.layers[7]):
            layer.kernel.learning_rate_multiplier = multiplier
        before = each.get_weights()
        each.train_on_batch(x, y)
        moves.append([b - a for a, b in zip(before, each.get_weights(), strict=True)])
    plain, eight, mixed = moves
    for i in range(len(plain)):
        own = i in (0, 8)
        np.testing.assert_allclose(mixed[i], (eight if own else plain)[i], rtol=1e-4, atol=1e-7)
    assert not np.allclose(plain[0], eight[0], rtol=1e-2)


def test_multipliers_reach_replayed_steps_and_can_be_set_again() -> None:
    x, y = samples()
    bits = []
    for captured in (True, False):
        each = model()
        assert each.optimizer is not None
        each.optimizer.capturable = captured
        each.layers[0].bias.learning_rate_multiplier = 64.0
        each.fit(x, y, 8, 1, 0)
        each.layers[0].bias.learning_rate_multiplier = 0.5
        each.layers[3].beta.trainable = False
        each.fit(x, y, 8, 1, 0)
        bits.append(each.get_weights())
    for one, two in zip(*bits, strict=True):
        np.testing.assert_array_equal(one, two)
    for wrong in (0.0, -1.0, np.inf, np.nan, "2", True):
        with pytest.raises(ValueError, match="a learning_rate_multiplier is above 0"):
            each.layers[0].bias.learning_rate_multiplier = wrong


def test_what_was_said_of_parameters_is_saved(tmp_path: Any) -> None:
    x, y = samples()
    each = model()
    each.layers[0].bias.learning_rate_multiplier = 64.0
    each.layers[2].kernel.trainable = False
    each.fit(x, y, 8, 1, 0)
    each.save(tmp_path / "model")
    again = convkit.models.load_model(tmp_path / "model")
    assert again.layers[0].bias.learning_rate_multiplier == 64.0
    assert [w.path for w in again.weights if w.held] == [each.layers[2].kernel.path]
    for one in (each, again):
        one.fit(x, y, 8, 1, 0)
    for one, two in zip(each.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_what_a_callback_said_of_parameters_is_in_a_backup(tmp_path: Any) -> None:
    """A bias that learns for one epoch, as in a training that begins again in the second."""

    def freeze(each: Any) -> convkit.callbacks.Callback:
        def begin(epoch: int, logs: Any) -> None:
            each.layers[0].bias.trainable = epoch < 1

        return convkit.callbacks.LambdaCallback(on_epoch_begin=begin)

    class Stop(convkit.callbacks.Callback):
        left = 8

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt

    x, y = samples()
    whole, part, rest = model(), model(), model()
    never = Stop()
    never.left = 0
    backup = convkit.callbacks.BackupAndRestore
    whole.fit(x, y, 8, 3, 0, [freeze(whole)])
    with pytest.raises(KeyboardInterrupt):
        part.fit(x, y, 8, 3, 0, [freeze(part), Stop(), backup(tmp_path, save_freq=3)])
    # The backup was written within the second epoch, whose beginning nobody hears of again.
    rest.fit(x, y, 8, 3, 0, [freeze(rest), never, backup(tmp_path, save_freq=3)])
    for one, two in zip(whole.get_weights(), rest.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize(
    "entries",
    [
        {"held": ["nobody/kernel"]},
        {"held": [["a"]]},
        {"held": "a"},
        {"multipliers": {"nobody/kernel": 2.0}},
        {"multipliers": {"a/kernel": 0.0}},
        {"multipliers": {"a/kernel": [1.0]}},
        {"multipliers": {"a/kernel": "2"}},
        {"multipliers": ["a/kernel"]},
    ],
)
def test_what_a_file_says_of_parameters_is_checked(entries: dict[str, Any]) -> None:
    made = convkit.Sequential([layers.Dense(2, input_shape=(3,), name="a")])
    document, arrays = storage.describe(made)
    document["training"].update(entries)
    shapes = {name: array.shape for name, array in arrays.items()}
    given = storage.Arrays(shapes, lambda name: np.array(arrays[name]))
    with pytest.raises(ValueError, match=r"held|multiplier|weights that the model does not have"):
        storage.restore(convkit.Sequential(), document, given)
