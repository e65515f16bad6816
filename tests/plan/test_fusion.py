"""Fusions: the right gradients of whole models, the same with and without them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, losses, reference
from convkit.core.parameters import ParameterStore
from convkit.layers.step_context import StepContext
from convkit.losses import Loss
from convkit.plan import fusion, lower
from random_graphs import run_poisoned
from stacks import (
    SEED,
    SIZES,
    STACKS,
    activated,
    batch,
    build,
    convolutional,
    execute,
    max_pooled,
    normalised,
)


def oracle_loss(model: convkit.Sequential, weights: list[np.ndarray], x: Any, y: Any) -> float:
    """The training loss in float64, layer by layer from the reference; no plan, no fusion."""
    left = list(weights)
    for layer in model.layers:
        own = [left.pop(0) for _ in layer.weights]
        if isinstance(layer, layers.DepthwiseConv2D):
            w, *bias = own
            w = w.reshape(*w.shape[:2], 1, -1)
            x = reference.conv2d_forward(x, w, *bias, padding=layer.padding, groups=layer.groups)
        elif isinstance(layer, layers.Conv2D):
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
        elif isinstance(layer, layers.PReLU):
            x = reference.prelu_forward(x, *own)
        elif isinstance(layer, layers.ZeroPadding2D):
            x = np.pad(x, ((0, 0), *layer.padding, (0, 0)))
        elif isinstance(layer, layers.Flatten):
            x = x.reshape(len(x), -1)
        elif isinstance(layer, layers.Dropout):
            offset = convkit.core.random.dropout_offset(layer.index)
            x = reference.dropout_forward(x, layer.rate, seed=SEED, step=3, offset=offset)
        name = getattr(layer, "activation", None)
        if isinstance(layer, layers.ReLU):
            given = ("max_value", "negative_slope", "threshold")
            x = reference.relu_forward(x, **{each: getattr(layer, each) for each in given})
        elif name == "relu6":
            x = reference.relu_forward(x, max_value=6.0)
        elif name is not None:
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
    plan = lower(model.graph, 4, True, loss=losses.get("sparse_categorical_crossentropy"),
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
        plan = lower(model.graph, 5, training, loss=loss, fuse=fuse)
        results.append((*execute(plan, x, y), store.gradients.copy(), store.state.copy()))
    for fused, plain in zip(*results, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=2e-5, atol=2e-6)
    assert results[0][2].any() == training, "gradients are written in training only"
    model.set_weights(weights)
    untouched = np.array_equal(store.state, results[0][3])
    assert untouched != training, "so are the moving statistics"


def transposed() -> list[layers.Layer]:
    return [layers.Conv2DTranspose(4, 3, activation="relu"), *convolutional()]


def summed() -> convkit.Model:
    """Sums of normalised convolutions, with ReLU and without."""
    inputs = convkit.Input(SIZES)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(inputs))
    y = layers.BatchNormalization()(layers.Conv2D(4, 1)(inputs))
    x = layers.ReLU()(layers.Add()([x, y]))
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.GlobalAveragePooling2D()(layers.Add()([x, y]))
    return convkit.Model(inputs, layers.Dense(3, "softmax")(x))


# Which stack has a fusion, and how the stage that it makes describes itself in the end.
FUSED = {
    "convolution, batch normalisation, ReLU, max-pool": (normalised, "relu + max_pool2d"),
    "convolution, batch normalisation, max-pool": (normalised, "statistics + max_pool2d"),
    "convolution, batch normalisation, sum, ReLU": (summed, "statistics + add + relu"),
    "convolution, batch normalisation, sum": (summed, "statistics + add"),
    "convolution, batch normalisation, activation": (activated, "statistics + gelu"),
    "convolution, batch normalisation": (normalised, "batch statistics"),
    "convolution, ReLU, max-pool": (max_pooled, "relu + max_pool2d"),
    "convolution, max-pool": (max_pooled, "direct rows/direct + max_pool2d"),
    "batch normalisation, activation": (activated, "statistics + leaky_relu"),
    "kernel, activation with its input": (activated, "dense + mish"),
    "kernel, activation": (activated, "conv2d direct rows/direct + selu"),
    "activation epilogue": (transposed, "relu"),
}


@pytest.mark.parametrize("entry", fusion.FUSIONS, ids=lambda entry: entry.name)
def test_every_fusion_is_used_and_can_be_switched_off(entry: fusion.Fusion) -> None:
    loss = losses.get("sparse_categorical_crossentropy")
    stack, end = FUSED.get(entry.name, (convolutional, ""))
    model = stack() if stack is summed else build(stack(), SIZES)
    fused = lower(model.graph, 2, True, loss=loss)
    plain = lower(model.graph, 2, True, loss=loss, fuse=False)
    if entry.name not in FUSED:
        if entry.name == "sigmoid with binary cross-entropy":
            model, loss = build([layers.Dense(1, "sigmoid")], (6,)), losses.get("bce")
            fused = lower(model.graph, 2, True, loss=loss)
            plain = lower(model.graph, 2, True, loss=loss, fuse=False)
        else:
            assert entry.name == "softmax with cross-entropy"
        assert fused.head is not None
        assert plain.head is not None
        assert fused.head.activation is not None
        assert plain.head.activation is None
        return
    assert isinstance(entry.make, type)
    steps = [step for step in fused.steps if isinstance(step.stage, entry.make)]
    shapes = [step.shapes(2) if step.stage.merges else step.shapes(2)[0] for step in steps]
    described = [
        step.stage.describe(shape, True) for step, shape in zip(steps, shapes, strict=True)
    ]
    assert any(text.endswith(end) for text in described), described
    assert not any(isinstance(step.stage, entry.make) for step in plain.steps)


def test_a_frozen_normalisation_is_not_fused() -> None:
    model = build(normalised(), SIZES)
    model.layers[1].trainable = False
    plan = lower(model.graph, 2, True, loss=losses.get("sparse_categorical_crossentropy"))
    assert sum(isinstance(step.stage, fusion.ConvBatchNorm) for step in plan.steps) == 3


def test_a_frozen_normalisation_is_part_of_the_convolution_when_it_predicts() -> None:
    model = build(normalised(), SIZES)
    for layer in model.layers:
        layer.trainable = False
    x, y = batch(5)
    fused, plain = lower(model.graph, 5), lower(model.graph, 5, fuse=False)
    assert sum(isinstance(step.stage, fusion.ConvBatchNorm) for step in fused.steps) == 4
    outputs = [execute(plan, x, y)[0] for plan in (fused, plain)]
    np.testing.assert_allclose(*outputs, rtol=2e-5, atol=2e-6)
    np.testing.assert_array_equal(model.predict(x, verbose=0), outputs[0])


@pytest.mark.parametrize("activation", convkit.activations.NAMES)
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
        plan = lower(model.graph, 5, True, loss=loss)
        results.append((*execute(plan, x, y), store.gradients))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "given", [{"max_value": 0.25}, {"negative_slope": 0.5}, {"threshold": 0.25}], ids=str
)
def test_a_relu_with_arguments_is_not_fused_as_one_without(given: dict[str, float]) -> None:
    """The layer before it computes max(x, 0) alone."""
    model = build([layers.Dense(6), layers.ReLU(**given), layers.Dense(3)], (6,))
    x, _ = batch(5, (6,))
    plan = lower(model.graph, 5, False)
    assert any(
        str(value) in step.stage.describe((5, 6), False)
        for step in plan.steps
        for value in given.values()
    )
    dense, _, last = model.layers
    between = reference.relu_forward(reference.dense_forward(x, *dense.get_weights()), **given)
    expected = reference.dense_forward(between, *last.get_weights())
    np.testing.assert_allclose(model.predict(x, verbose=0), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("loss", [losses.SparseCategoricalCrossentropy(from_logits=True),
                                  losses.SparseCategoricalCrossentropy()])  # fmt: skip
def test_logits_and_probabilities_meet(loss: Loss) -> None:
    softmax = not getattr(loss, "from_logits")  # noqa: B009
    model = build([layers.Dense(3, "softmax" if softmax else None)], (6,))
    x, y = batch(4, (6,))
    store = ParameterStore(model.weights)
    output, values = execute(lower(model.graph, 4, True, loss=loss), x, y)
    logits = x @ model.get_weights()[0] + model.get_weights()[1]
    expected, probs, dlogits = reference.softmax_cross_entropy(logits.astype(np.float64), y)
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    np.testing.assert_allclose(output, probs if softmax else logits, rtol=1e-4, atol=1e-6)
    gradient = x.T @ dlogits
    np.testing.assert_allclose(
        store.gradients[: gradient.size].reshape(gradient.shape), gradient, rtol=1e-4, atol=1e-6
    )


# A last activation and the loss: computed from the logits, wherever the activation stands.

CAT_OR_DOG: dict[str, list[layers.Layer]] = {
    "inside": [layers.Flatten(), layers.Dense(2, activation="sigmoid")],
    "behind": [layers.Flatten(), layers.Dense(2), layers.Activation("sigmoid")],
    "views follow": [
        layers.Conv2D(2, (5, 5), activation="sigmoid"),
        layers.Flatten(),
        layers.Activation("linear"),
        layers.Reshape((2,)),
    ],
    "a map": [layers.Conv2D(3, 2), layers.ReLU(), layers.Conv2D(1, 1, activation="sigmoid")],
    "behind another": [layers.Flatten(), layers.Dense(3, "tanh"), layers.Activation("sigmoid")],
}


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", CAT_OR_DOG)
def test_a_sigmoid_before_binary_cross_entropy(
    name: str, smoothing: float, isa: str, threads: int
) -> None:
    """Losses, outputs and gradients are those of the plan that takes both one by one."""
    sizes = (5, 5, 2)
    model = build([type(each).from_config(each.get_config()) for each in CAT_OR_DOG[name]], sizes)
    loss = losses.BinaryCrossentropy(label_smoothing=smoothing)
    rng = np.random.default_rng(3)
    x = rng.normal(size=(5, *sizes)).astype(np.float32)
    y = loss.prepare(rng.integers(0, 2, (5, *model.output_shape[1:])), model.output_shape[1:])
    weight = rng.random(5, np.float32)
    store = ParameterStore(model.weights)
    results = []
    for training in (True, False):
        for fuse in (True, False):
            store.gradients[...] = 0.0
            plan = lower(model.graph, 5, training, loss=loss, fuse=fuse)
            assert len(plan.heads) == 1
            assert (plan.heads[0].of.activation is not None) == fuse
            bound = plan.bind(5)
            bound.x[...], bound.head.targets, bound.head.sample_weight = x, y, weight
            bound(StepContext(training, SEED, 3))
            results.append((bound.output.copy(), bound.head.losses.copy(), store.gradients.copy()))
    predicted = model.predict(x, verbose=0)
    for output, values, gradients in results:
        np.testing.assert_array_equal(output, predicted)
        np.testing.assert_allclose(values, results[1][1], rtol=2e-6)
        if gradients.any():
            np.testing.assert_allclose(gradients, results[1][2], rtol=2e-5, atol=2e-7)
    assert [bool(gradients.any()) for _, _, gradients in results] == [True, True, False, False]


@pytest.mark.parametrize("logit", [5.0, 16.0, 17.0, 20.0, 50.0, 200.0, 1e30])
@pytest.mark.parametrize("end", ["inside", "behind", "view", "softmax", "softmax view"])
def test_a_wrong_answer_is_learnt_however_sure_it_is(logit: float, end: str) -> None:
    """The gradient of the loss in the logit is 1 there, however much the probability rounds."""
    ends = {
        "inside": [layers.Dense(1, activation="sigmoid")],
        "behind": [layers.Dense(1), layers.Activation("sigmoid")],
        "view": [layers.Dense(1), layers.Reshape((1, 1)), layers.Activation("sigmoid"),
                 layers.Flatten()],
        "softmax": [layers.Dense(2, activation="softmax")],
        "softmax view": [layers.Dense(2), layers.Reshape((1, 2)), layers.Softmax(),
                         layers.Flatten()],
    }  # fmt: skip
    model = convkit.Sequential([convkit.Input((1,)), *ends[end]])
    kernel = [[logit, 0.0]] if end.startswith("softmax") else [[logit]]
    model.layers[0].set_weights([np.float32(kernel), np.zeros(len(kernel[0]), np.float32)])
    loss = "sparse_categorical_crossentropy" if end.startswith("softmax") else "bce"
    model.compile(convkit.optimizers.SGD(1.0), loss)
    x, y = np.ones((4, 1), np.float32), np.full(4, int(end.startswith("softmax")))
    assert model.evaluate(x, y, verbose=0) == pytest.approx(max(logit, np.log1p(np.exp(5.0))), 2e-3)
    model.train_on_batch(x, y)
    bias = model.layers[0].get_weights()[1]
    assert bias[0] == pytest.approx(-1.0, abs=0.01)


def test_a_softmax_along_another_axis_stays_where_it_is() -> None:
    stack = [layers.Dense(6), layers.Reshape((2, 3)), layers.Softmax(), layers.Flatten()]
    model = build(stack, (4,))
    plan = lower(model.graph, 2, True, loss=losses.get("categorical_crossentropy"))
    assert len(plan.heads) == 1
    assert plan.heads[0].of.activation is None


def test_raw_pixels_are_learnt() -> None:
    """Bytes that nobody scaled begin with logits in the hundreds, many of them wrong."""
    convkit.utils.set_random_seed(1)
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, 96)
    x = (rng.integers(0, 200, (96, 12, 12, 1)) + y[:, None, None, None] * 55).astype(np.uint8)
    model = convkit.Sequential(
        [
            layers.Conv2D(8, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=30, verbose=0).history
    assert history["loss"][0] > 5.0
    assert history["accuracy"][-1] > 0.9


@pytest.mark.parametrize("name", ["activated", "pooled_first"])
def test_activations_with_any_number_of_threads_and_any_memory(name: str) -> None:
    model = build(STACKS[name](), SIZES)
    x, y = batch(9)
    state, loss = model.get_weights(), losses.get("sparse_categorical_crossentropy")
    store = ParameterStore(model.weights)
    results = []
    before = convkit.runtime.get_num_threads()
    try:
        for threads in (1, 2, 3, 7):
            convkit.runtime.set_num_threads(threads)
            model.set_weights(state)
            plan = lower(model.graph, 9, True, loss=loss)
            if threads == 2:
                bound = run_poisoned(plan, 9, [x], [y], StepContext(True, SEED, 3))
                results.append((bound.output.copy(), bound.head.losses.copy()))
            else:
                results.append(execute(plan, x, y))
            results[-1] = (*results[-1], store.gradients.copy(), store.state.copy())
    finally:
        convkit.runtime.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


def test_the_argument_of_a_fused_activation_may_change() -> None:
    leaky = layers.LeakyReLU(0.5)
    model = build([layers.Dense(4), layers.BatchNormalization(), leaky], (6,))
    x, _ = batch(5, (6,))
    before = model.predict_on_batch(x)
    leaky.negative_slope = 0.25
    expected = np.where(before > 0, before, before / 2)
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)


class _Doubled:
    """A layer that gives twice what it inherits."""

    def forward(self, x: Any, y: Any, saved: Any, context: Any, **given: Any) -> None:
        super().forward(x, y, saved, context, **given)  # type: ignore[misc]
        y *= 2


@pytest.mark.parametrize(
    ("kind", "place"),
    [
        (layers.Conv2D, 1),
        (layers.BatchNormalization, 2),
        (layers.Activation, 3),
        (layers.MaxPooling2D, 4),
        (layers.DepthwiseConv2D, 5),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_class_of_ones_own_computes_is_not_fused_away(kind: Any, place: int) -> None:
    own = type(f"Own{kind.__name__}", (_Doubled, kind), {})

    def made(kinds: dict[int, Any]) -> convkit.Sequential:
        given = [
            (layers.Input, ((8, 8, 3),)),
            (layers.Conv2D, (4, 3)),
            (layers.BatchNormalization, ()),
            (layers.Activation, ("relu",)),
            (layers.MaxPooling2D, (2,)),
            (layers.DepthwiseConv2D, (3,)),
            (layers.BatchNormalization, ()),
        ]
        return convkit.Sequential(
            [kinds.get(i, usual)(*arguments) for i, (usual, arguments) in enumerate(given)]
        )

    x = np.random.default_rng(0).random((5, 8, 8, 3), np.float32)
    model = made({place: own})
    fused, unfused = (lower(model.graph, 5, fuse=fuse).bind(5) for fuse in (True, False))
    for bound in (fused, unfused):
        bound.x[:] = x
        bound(StepContext())
    np.testing.assert_allclose(fused.output, unfused.output, rtol=1e-4, atol=1e-5)
    plain = made({})
    plain.set_weights(model.get_weights())
    assert np.abs(plain.predict(x, verbose=0) - fused.output).max() > 1e-3
