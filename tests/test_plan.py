"""Plans: the right gradients, the same with and without fusion, and memory used once."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import fusion, layers, losses, reference
from convkit.layers.base import Layer, Run
from convkit.losses import Loss
from convkit.lowering import lower
from convkit.parameters import ParameterStore
from convkit.plan import Plan

SEED = 11


def build(stack: list[Layer], sizes: tuple[int, ...]) -> convkit.Sequential:
    """A model with weights that are neither zero nor one anywhere."""
    convkit.utils.set_random_seed(SEED)
    model = convkit.Sequential([convkit.Input(sizes), *stack])
    rng = np.random.default_rng(SEED)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if "variance" in w.name else rng.normal(0, 0.3, w.shape)
            for w in model.weights
        ]
    )
    return model


def convolutional() -> list[Layer]:
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.Conv2D(6, 3, strides=2, groups=2, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.MaxPooling2D(2, strides=1),
        layers.Flatten(),
        layers.Dropout(0.4),
        layers.Dense(7, activation="tanh"),
        layers.Dense(6),
        layers.ReLU(),
        layers.Dense(3, activation="softmax"),
    ]


def pooled() -> list[Layer]:
    return [
        layers.BatchNormalization(scale=False),
        layers.Conv2D(5, (2, 3), dilation_rate=2, activation="gelu"),
        layers.AveragePooling2D(2, padding="same"),
        layers.Conv2D(4, 1, activation="leaky_relu"),
        layers.Activation("elu"),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="sigmoid"),
        layers.Activation("linear"),
        layers.Dense(3),
        layers.Softmax(),
    ]


def max_pooled() -> list[Layer]:
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
        layers.Conv2D(5, 2, padding="same", use_bias=False),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


def global_max() -> list[Layer]:
    return [
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.Activation("tanh"),
        layers.Conv2D(5, 2, activation="elu"),
        layers.BatchNormalization(center=False),
        layers.ReLU(),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def normalised() -> list[Layer]:
    """Everything that a convolution and its normalisation can have behind them."""
    return [
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(5, 2, padding="same", use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Activation("relu"),
        layers.Conv2D(5, 3, padding="same"),
        layers.BatchNormalization(center=False),
        layers.MaxPooling2D(2),
        layers.Conv2D(6, 1),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(3, activation="softmax"),
    ]


STACKS = {f.__name__: f for f in (convolutional, pooled, max_pooled, global_max, normalised)}
SIZES = (7, 8, 2)


def batch(n: int, sizes: tuple[int, ...] = SIZES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, *sizes)).astype(np.float32), rng.integers(0, 3, n)


def execute(plan: Plan, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run everything once; return the output and the losses."""
    bound = plan.bind(len(x))
    bound.x[...] = x
    run = Run(plan.training, SEED, 3)
    bound.forward(run)
    if plan.head is not None:
        bound.loss(y)
    bound.backward(run)
    return bound.output.copy(), bound.losses.copy()


def oracle_loss(model: convkit.Sequential, weights: list[np.ndarray], x: Any, y: Any) -> float:
    """The training loss in float64, layer by layer from the reference; no plan, no fusion."""
    left = list(weights)
    for layer in model.layers:
        own = [left.pop(0) for _ in layer.weights]
        if isinstance(layer, layers.Conv2D):
            x = reference.conv2d_forward(
                x, *own, strides=layer.strides, padding=layer.padding,
                dilation=layer.dilation_rate, groups=layer.groups,
            )  # fmt: skip
        elif isinstance(layer, layers.Dense):
            x = reference.dense_forward(x, *own)
        elif isinstance(layer, layers.BatchNormalization):
            gamma = own.pop(0) if layer.scale else np.ones(x.shape[-1])
            beta = own.pop(0) if layer.center else np.zeros(x.shape[-1])
            statistics = [own[0].copy(), own[1].copy()]
            x = reference.batchnorm_forward(x, gamma, beta, *statistics, epsilon=layer.epsilon)[0]
        elif isinstance(layer, layers.MaxPooling2D | layers.AveragePooling2D):
            maximum = isinstance(layer, layers.MaxPooling2D)
            op = reference.max_pool2d_forward if maximum else reference.average_pool2d_forward
            x = op(x, layer.pool_size, strides=layer.strides, padding=layer.padding)
            x = x[0] if maximum else x
        elif isinstance(layer, layers.GlobalAveragePooling2D):
            x = reference.global_average_pool2d_forward(x)
        elif isinstance(layer, layers.GlobalMaxPooling2D):
            x = reference.global_max_pool2d_forward(x)[0]
        elif isinstance(layer, layers.Flatten):
            x = x.reshape(len(x), -1)
        elif isinstance(layer, layers.Dropout):
            offset = convkit.random.dropout_offset(3, layer.index)
            x = reference.dropout_forward(x, layer.rate, seed=SEED, offset=offset)
        name = getattr(layer, "activation", None)
        if name is not None:
            x = getattr(reference, f"{name}_forward")(x)
    return float(reference.cross_entropy(x, y)[0].mean())


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("fuse", [True, False])
def test_gradients_of_whole_models_agree_with_finite_differences(name: str, fuse: bool) -> None:
    model = build(STACKS[name](), SIZES)
    x, y = batch(4)
    before = [w.astype(np.float64) for w in model.get_weights()]
    store = ParameterStore(model.weights)
    store.gradients[...] = np.nan  # whatever is not written stays visible
    for parameter in model.weights:
        parameter.gradient[...] = np.nan
    plan = lower(model.layers, SIZES, 4, True, loss=losses.get("sparse_categorical_crossentropy"),
                 fuse=fuse)  # fmt: skip
    _, sample_losses = execute(plan, x, y)
    x64 = x.astype(np.float64)
    assert sample_losses.mean() == pytest.approx(oracle_loss(model, before, x64, y), rel=1e-5)
    rng = np.random.default_rng(0)
    step = 1e-6
    for position, parameter in enumerate(model.weights):
        if not parameter.trainable:
            continue
        assert np.isfinite(parameter.gradient).all(), parameter.path
        for _ in range(5):
            index = tuple(int(rng.integers(0, size)) for size in parameter.shape)
            values = []
            for sign in (1, -1):
                moved = [w.copy() for w in before]
                moved[position][index] += sign * step
                values.append(oracle_loss(model, moved, x64, y))
            expected = (values[0] - values[1]) / (2 * step)
            assert parameter.gradient[index] == pytest.approx(expected, rel=2e-3, abs=2e-5), (
                parameter.path
            )


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("training", [True, False])
def test_fused_equals_unfused(name: str, training: bool) -> None:
    model = build(STACKS[name](), SIZES)
    weights = model.get_weights()
    x, y = batch(5)
    loss = losses.get("sparse_categorical_crossentropy")
    store = ParameterStore(model.weights)
    results = []
    for fuse in (True, False):
        model.set_weights(weights)
        store.gradients[...] = 0.0
        plan = lower(model.layers, SIZES, 5, training, loss=loss, fuse=fuse)
        results.append((*execute(plan, x, y), store.gradients.copy(), store.state.copy()))
    for fused, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=2e-5, atol=2e-6)
    assert results[0][2].any() == training, "gradients are written in training only"
    model.set_weights(weights)
    untouched = np.array_equal(store.state, results[0][3])
    assert untouched != training, "so are the moving statistics"


# Which stack has a fusion, and how the stage that it makes describes itself in the end.
FUSED = {
    "convolution, batch normalisation, ReLU, max-pool": (normalised, "relu + max_pool2d"),
    "convolution, batch normalisation, max-pool": (normalised, "statistics + max_pool2d"),
    "convolution, batch normalisation, ReLU": (normalised, "statistics + relu"),
    "convolution, batch normalisation": (normalised, "batch statistics"),
    "convolution, ReLU, max-pool": (max_pooled, "relu + max_pool2d"),
    "convolution, max-pool": (max_pooled, "direct rows/direct + max_pool2d"),
    "activation epilogue": (convolutional, "relu"),
}


@pytest.mark.parametrize("entry", fusion.FUSIONS, ids=lambda entry: entry.name)
def test_every_fusion_is_used_and_can_be_switched_off(entry: fusion.Fusion) -> None:
    loss = losses.get("sparse_categorical_crossentropy")
    stack, end = FUSED.get(entry.name, (convolutional, ""))
    model = build(stack(), SIZES)
    fused = lower(model.layers, SIZES, 2, True, loss=loss)
    plain = lower(model.layers, SIZES, 2, True, loss=loss, fuse=False)
    if entry.name not in FUSED:
        assert entry.name == "softmax with cross-entropy"
        assert fused.head is not None
        assert plain.head is not None
        assert fused.head.softmax is not None
        assert plain.head.softmax is None
        return
    assert isinstance(entry.make, type)
    steps = [step for step in fused.steps if isinstance(step.stage, entry.make)]
    described = [step.stage.describe((2, *step.input_sizes), True) for step in steps]
    assert any(text.endswith(end) for text in described), described
    assert not any(isinstance(step.stage, entry.make) for step in plain.steps)


def test_a_frozen_normalisation_is_not_fused() -> None:
    model = build(normalised(), SIZES)
    model.layers[1].trainable = False
    plan = lower(model.layers, SIZES, 2, True, loss=losses.get("sparse_categorical_crossentropy"))
    assert sum(isinstance(step.stage, fusion.ConvBatchNorm) for step in plan.steps) == 3


@pytest.mark.parametrize(
    "activation", ["relu", "softmax", "sigmoid", "tanh", "gelu", "leaky_relu", "elu", "linear"]
)
def test_an_activation_inside_a_layer_is_one_behind_it(activation: str) -> None:
    inside = build([layers.Dense(4, activation), layers.Dense(3, "softmax")], (6,))
    behind = build(
        [layers.Dense(4), layers.Activation(activation), layers.Dense(3, "softmax")], (6,)
    )
    x, y = batch(5, (6,))
    loss = losses.get("sparse_categorical_crossentropy")
    results = []
    for model in (inside, behind):
        store = ParameterStore(model.weights)
        plan = lower(model.layers, (6,), 5, True, loss=loss)
        results.append((*execute(plan, x, y), store.gradients))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("loss", [losses.SparseCategoricalCrossentropy(from_logits=True),
                                  losses.SparseCategoricalCrossentropy()])  # fmt: skip
def test_logits_and_probabilities_meet(loss: Loss) -> None:
    softmax = not getattr(loss, "from_logits")  # noqa: B009
    model = build([layers.Dense(3, "softmax" if softmax else None)], (6,))
    x, y = batch(4, (6,))
    store = ParameterStore(model.weights)
    output, values = execute(lower(model.layers, (6,), 4, True, loss=loss), x, y)
    logits = x @ model.get_weights()[0] + model.get_weights()[1]
    expected, probs, dlogits = reference.softmax_cross_entropy(logits.astype(np.float64), y)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_allclose(output, probs if softmax else logits, rtol=1e-4, atol=1e-6)
    gradient = x.T @ dlogits
    np.testing.assert_allclose(
        store.gradients[: gradient.size].reshape(gradient.shape), gradient, rtol=1e-4, atol=1e-6
    )


def test_a_partial_batch_uses_the_front_of_the_same_memory() -> None:
    model = build(convolutional(), SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    store = ParameterStore(model.weights)
    weights = model.get_weights()
    large = lower(model.layers, SIZES, 8, True, loss=loss)
    exact = lower(model.layers, SIZES, 3, True, loss=loss)
    results = []
    for plan in (large, exact):
        model.set_weights(weights)
        results.append((*execute(plan, *batch(3)), store.gradients.copy()))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    assert large.bind(3) is large.bind(3)
    assert np.shares_memory(large.bind(3).x, large.bind(8).x)
    assert np.shares_memory(large.bind(3).output, large.bind(8).output)
    for n in (0, 9):
        with pytest.raises(ValueError, match=f"a plan for 8 samples cannot run {n}"):
            large.bind(n)


def test_training_keeps_activations_and_gradients_walk_between_two_buffers() -> None:
    model = build(convolutional(), SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    plan = lower(model.layers, SIZES, 4, True, loss=loss)
    gradients = {id(b) for step in plan.steps for b in (step.dy, step.dx) if b is not None}
    assert len(gradients) == 2
    kept = [step for step in plan.steps if step.stage.keeps_input]
    assert len({id(step.x) for step in kept}) == len(kept)
    assert plan.steps[0].dx is None, "nobody needs the gradient of the images"
    for step in plan.steps:
        if step.stage.is_view(True):
            assert step.x is step.y
            assert step.dy is None


def test_inference_walks_between_two_buffers() -> None:
    model = build(convolutional(), SIZES)
    plan = lower(model.layers, SIZES, 4)
    assert len({id(step.y) for step in plan.steps} - {id(plan.x)}) == 2
    training = lower(
        model.layers, SIZES, 4, True, loss=losses.get("sparse_categorical_crossentropy")
    )
    assert plan.nbytes < 0.7 * training.nbytes


def test_a_step_never_writes_over_what_backward_reads() -> None:
    # tanh reads its output again, so the dropout behind it may not run in place; ReLU behind
    # max-pooling may, because the pooling reads only its indices.
    stack = [
        layers.Conv2D(2, 1),
        layers.MaxPooling2D(2, strides=1),
        layers.Activation("tanh"),
        layers.Dropout(0.5),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, "softmax"),
    ]
    model = build(stack, SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    plan = lower(model.layers, SIZES, 2, True, loss=loss)
    tanh, dropout = plan.steps[2], plan.steps[3]
    assert tanh.x is tanh.y
    assert dropout.x is not dropout.y


def test_backward_stops_at_the_first_trainable_layer() -> None:
    model = build([layers.Dense(5, "relu"), layers.Dense(4, "relu"), layers.Dense(3, "softmax")],
                  (6,))  # fmt: skip
    loss = losses.get("sparse_categorical_crossentropy")
    model.layers[0].trainable = False
    plan = lower(model.layers, (6,), 2, True, loss=loss)
    assert [step.dy is not None for step in plan.steps] == [False, True, True]
    assert [step.dx is not None for step in plan.steps] == [False, False, True]
    model.layers[1].trainable = model.layers[2].trainable = False
    plan = lower(model.layers, (6,), 2, True, loss=loss)
    assert plan.bind(2).backwards == []


def test_one_step_allocates_next_to_nothing() -> None:
    model = build(convolutional(), SIZES)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    x, y = batch(8)
    x = np.repeat(x, 40, axis=0)
    y = np.repeat(y, 40)
    model.train_on_batch(x, y)
    tracemalloc.start()
    model.train_on_batch(x, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # Labels and small objects of Python; the activations take 20 times as much.
    assert peak < 40_000
    assert model._plans["train"].nbytes > 20 * 40_000


def test_the_table() -> None:
    convkit.utils.clear_session()
    model = build(convolutional(), SIZES)
    model.compile("adam", "sparse_categorical_crossentropy")
    text = model.plan(batch_size=16)
    lines = text.splitlines()
    assert lines[0].split() == ["step", "layers", "operation", "output", "bytes"]
    assert "batch_normalization+activation" in text
    assert "batchnorm batch statistics + relu" in text
    assert "conv2d" in lines[2]
    assert "+ relu" in lines[2]
    assert "(16, 7, 8, 4)" in lines[2]
    assert "softmax + sparse_categorical_crossentropy" in lines[-2]
    assert lines[-1].startswith("training, batch size 16: ")
    plain = model.plan(4, training=False)
    assert "moving statistics" in plain
    assert "inference, batch size 4" in plain
    assert "crossentropy" not in plain
    uncompiled = convkit.Sequential([convkit.Input((6,)), layers.Dense(3)])
    assert "inference, batch size 32" in uncompiled.plan()


def test_the_table_says_what_the_steps_run_on(isa: str, threads: int) -> None:
    model = build([layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)], SIZES)
    last = model.plan(4).splitlines()[-1]
    assert last.endswith(f"; {isa}, {threads} thread{'s' if threads > 1 else ''}")


def test_the_algorithm_is_the_one_that_ops_choose() -> None:
    layer = layers.Conv2D(8, 3, padding="same")
    layer.build((None, 8, 8, 4))
    chosen = {
        convkit.ops.conv2d_algorithm((2, 8, 8, 4), (3, 3, 4, 8), padding="same", direction=d)
        for d in ("forward", "backward_input", "backward_weights")
    }
    text = layer.describe((2, 8, 8, 4), True)
    assert all(name in text for name in chosen)


def test_wrong_arguments() -> None:
    model = build([layers.Dense(3)], (6,))
    with pytest.raises(ValueError, match="needs a loss"):
        lower(model.layers, (6,), 4, True)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        lower(model.layers, (6,), 0)
