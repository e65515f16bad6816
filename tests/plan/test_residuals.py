"""Sums behind normalised convolutions: what a plan makes of them, and when it does not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import convkit
from convkit import layers, losses, reference
from convkit.core.parameters import ParameterStore
from convkit.layers.conv2d_batchnorm import ConvBatchNorm, ConvBatchNormAdd
from convkit.layers.graph import Tensor
from convkit.layers.step_context import StepContext
from convkit.plan import Plan, Target, lower, lowering
from random_graphs import oracle, run_poisoned

N, SIZES = 9, (7, 6, 16)
Shortcut = Callable[[Tensor], Tensor]


def normalised(
    x: Tensor, kernel: int = 3, relu: bool = False, stride: int = 1, groups: int = 1
) -> Tensor:
    """A convolution of 16 channels and its normalisation."""
    options = {"padding": "same", "strides": stride, "groups": groups}
    y = layers.BatchNormalization()(layers.Conv2D(16, kernel, **options)(x))
    return layers.ReLU()(y) if relu else y


def block(x: Tensor, shortcut: Shortcut, relu: bool = True, groups: int = 1) -> Tensor:
    """Two convolutions and a sum (K. He et al., 2015)."""
    y = normalised(normalised(x, relu=True), groups=groups)
    y = layers.Add()([y, shortcut(x)])
    return layers.ReLU()(y) if relu else y


def of(*blocks: Callable[[Tensor], Tensor]) -> convkit.Model:
    """A model of some blocks."""
    convkit.utils.set_random_seed(3)
    inputs = convkit.Input(SIZES)
    x = normalised(inputs, relu=True)
    for each in blocks:
        x = each(x)
    return convkit.Model(inputs, layers.GlobalAveragePooling2D()(x))


MODELS: dict[str, Callable[[], convkit.Model]] = {
    "identity": lambda: of(lambda x: block(x, lambda z: z), lambda x: block(x, lambda z: z)),
    "projection": lambda: of(lambda x: block(x, lambda z: normalised(z, 1))),
    "without relu": lambda: of(lambda x: block(x, lambda z: z, relu=False)),
    "of one convolution": lambda: of(lambda x: layers.ReLU()(layers.Add()([x, normalised(x)]))),
    "depthwise": lambda: of(lambda x: block(x, lambda z: z, groups=16)),
    "in groups": lambda: of(lambda x: block(x, lambda z: z, groups=4)),
    "of a view": lambda: of(lambda x: block(x, lambda z: layers.Activation("linear")(z))),
    "several forks": lambda: of(
        lambda x: block(x, lambda z: layers.ReLU()(layers.Add()([z, normalised(z)]))),
        lambda x: layers.Add()([x, layers.Add()([block(x, lambda z: z), normalised(x, 1)])]),
    ),
}


def drawn(model: convkit.Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rng = np.random.default_rng(5)
    x = [rng.normal(size=(N, *SIZES)).astype(np.float32)]
    return x, [rng.normal(size=(N, *t.sizes)).astype(np.float32) for t in model.outputs]


def stages(plan: Plan) -> int:
    """How many sums are part of a convolution."""
    return sum(isinstance(step.stage, ConvBatchNormAdd) for step in plan.steps)


def trained(model: convkit.Model, fuse: bool = True, poisoned: bool = False) -> list[np.ndarray]:
    """Outputs, gradients and moving statistics of one step."""
    (x,), targets = drawn(model)
    state = model.get_weights()
    store = ParameterStore(model.weights)
    plan = lower(model.graph, N, True, loss=[Target(losses.MeanSquaredError())], fuse=fuse)
    assert (stages(plan) > 0) == fuse
    if poisoned:
        bound = run_poisoned(plan, N, [x], targets, StepContext(True, 1, 2))
    else:
        bound = plan.bind(N)
        bound.x[...] = x
        bound.take(targets, [None], np.arange(N))
        bound(StepContext(True, 1, 2))
    found = [bound.output.copy(), store.gradients.copy(), store.state.copy()]
    model.set_weights(state)
    return found


@pytest.mark.parametrize("name", MODELS)
def test_training(name: str, isa: str) -> None:
    """Fused and unfused alike, and as PyTorch has it in float64."""
    pytest.importorskip("torch", reason="the oracle of graphs is PyTorch")
    model = MODELS[name]()
    fused = trained(model)
    for one, other in zip(fused, trained(model, fuse=False), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-5)
    (x,), targets = drawn(model)
    if any(getattr(layer, "groups", 1) > 1 for layer in model.layers):
        return  # the oracle knows no groups
    outputs, gradients = oracle(model, [x], targets, [1.0])
    np.testing.assert_allclose(fused[0], outputs[0], rtol=0, atol=2e-5)
    store = ParameterStore(model.weights)
    store.gradients[...] = fused[1]
    wanted = dict(zip([p for p in model.weights if p.trainable], gradients, strict=True))
    for parameter, gradient in wanted.items():
        np.testing.assert_allclose(
            parameter.gradient, gradient, rtol=0, atol=2e-4, err_msg=parameter.path
        )


@pytest.mark.parametrize("name", MODELS)
def test_any_number_of_threads_and_any_memory(name: str) -> None:
    model = MODELS[name]()
    before = convkit.runtime.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 7):
            convkit.runtime.set_num_threads(threads)
            results.append(trained(model, poisoned=threads == 2))
    finally:
        convkit.runtime.set_num_threads(before)
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("n", [1, N])
@pytest.mark.parametrize("name", MODELS)
def test_inference(name: str, n: int, isa: str) -> None:
    model = MODELS[name]()
    rng = np.random.default_rng(8)
    for parameter in model.weights:
        if parameter.name.startswith("moving"):
            parameter.value[...] = rng.uniform(0.5, 1.5, parameter.shape)
    (x,), _ = drawn(model)
    results = []
    for fuse in (True, False):
        plan = lower(model.graph, n, fuse=fuse)
        assert (stages(plan) > 0) == fuse
        bound = plan.bind(n)
        bound.x[...] = x[:n]
        bound(StepContext(False, 1, 2))
        results.append(bound.output.copy())
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(model.predict(x[:n], verbose=0), results[0])


def test_only_where_nobody_else_reads() -> None:
    """Another reader of what the sum is made of, or an output, and it is a stage of its own."""
    inputs = convkit.Input(SIZES)
    y = normalised(inputs)
    total = layers.Add()([y, inputs])
    joined = layers.ReLU()(total)
    loss = Target(losses.MeanSquaredError())
    for outputs, kinds in (
        (joined, (1, "add + relu")),
        ([joined, y], (0, "")),  # the normalised is an output
        ([joined, layers.Flatten()(y)], (0, "")),
        ([joined, total], (1, "statistics + add")),  # the sum is, but not what it is made of
    ):
        model = convkit.Model(inputs, outputs)
        plan = lower(model.graph, 2, True, loss=[loss] * len(model.outputs))
        assert stages(plan) == kinds[0]
        assert kinds[1] in str(plan)


def test_only_two_summands_of_the_same_shape() -> None:
    inputs, gate = convkit.Input(SIZES), convkit.Input((16,))
    y = normalised(inputs)
    for summands in ([y, inputs, inputs], [y, gate], [y, y]):
        model = convkit.Model([inputs, gate], [layers.Add()(summands), gate])
        assert stages(lower(model.graph, 2)) == 0


def test_it_runs_where_the_sum_would() -> None:
    """Both branches are there by then, whichever of them the sum became a part of."""
    plan = lower(MODELS["projection"]().graph, 2)
    kinds = [type(step.stage) for step in plan.steps]
    assert kinds[:4] == [ConvBatchNorm] * 3 + [ConvBatchNormAdd]
    assert plan.steps[2].stage.layer.kernel_size == (1, 1)  # the shortcut's


def test_a_frozen_normalisation_keeps_its_sum_apart() -> None:
    """And a frozen kernel, or a frozen block before it, does not."""
    model = MODELS["identity"]()
    loss = [Target(losses.MeanSquaredError())]
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    norms[-1].trainable = False
    assert stages(lower(model.graph, N, True, loss=loss)) == 1
    norms[-1].trainable = True
    expected = trained(model)
    kernels = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)]
    for layer in model.layers[:8]:  # the first block, its sum and all before
        layer.trainable = False
    left = trained(model)
    np.testing.assert_array_equal(np.isfinite(left[1]), True)
    for layer in model.layers[:8]:
        layer.trainable = True
    kernels[-1].trainable = False
    frozen = trained(model)
    np.testing.assert_array_equal(frozen[0], expected[0])


@pytest.mark.parametrize("frozen", [False, True])
def test_training_goes_on_after_it_was_compiled_again(frozen: bool) -> None:
    """Weights after some steps are those of a plan without fusions, also with a frozen block."""
    results = []
    for fuse in (True, False):
        model = MODELS["identity"]()
        (x,), (y,) = drawn(model)
        model.compile("sgd", "mse")
        model.train_on_batch(x, y)
        for layer in model.layers[3:6] if frozen else ():
            layer.trainable = False
        model.compile(convkit.optimizers.SGD(0.05, momentum=0.9), "mse")
        if fuse:
            for _ in range(3):
                model.train_on_batch(x, y)
        else:
            steps_without_fusions(model, x, y, 3)
        results.append(model.get_weights())
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)


def steps_without_fusions(model: convkit.Model, x: np.ndarray, y: np.ndarray, count: int) -> None:
    """SGD with momentum as the reference has it, on gradients of plans without fusions."""
    velocities = {p: np.zeros(p.shape, np.float32) for p in model.trainable_weights}
    for _ in range(count):
        plan = lower(model.graph, N, True, loss=losses.MeanSquaredError(), fuse=False)
        bound = plan.bind(N)
        bound.x[...] = x
        bound.take([y], [None], np.arange(N))
        bound(StepContext(True, 1, 2))
        for parameter, velocity in velocities.items():
            reference.sgd_update(
                parameter.value, parameter.gradient, velocity, learning_rate=0.05, momentum=0.9
            )


@pytest.mark.parametrize("poisoned", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_a_large_plan_keeps_less(
    name: str, poisoned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A normalised output is written once more for the backward pass, with the same bits."""
    model = MODELS[name]()
    loss = losses.MeanSquaredError()
    kept, plain = trained(model), lower(model.graph, N, True, loss=loss)
    assert not any(any(step.again) for step in plain.steps)
    monkeypatch.setattr(lowering, "RECOMPUTE_FROM", 0)
    small = lower(model.graph, N, True, loss=loss)
    assert sum(any(step.again) for step in small.steps) >= (name != "of one convolution")
    assert small.nbytes <= plain.nbytes
    for one, other in zip(kept, trained(model, poisoned=poisoned), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_plan_is_large_from_a_number_of_bytes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    model = MODELS["identity"]()
    loss = losses.MeanSquaredError()
    plain = lower(model.graph, N, True, loss=loss)
    size = 4 * N * sum(int(np.prod(step.output_sizes)) for step in plain.steps)
    for limit, keeps in ((size + 1, True), (size, False)):
        monkeypatch.setattr(lowering, "RECOMPUTE_FROM", limit)
        plan = lower(model.graph, N, True, loss=loss)
        assert (plan.nbytes == plain.nbytes) == keeps
        assert lower(model.graph, N).nbytes < plan.nbytes  # a prediction keeps nothing


def test_no_array_more_than_without() -> None:
    """The sum and ReLU have no array of their own, and gradients are added where they are."""
    model = MODELS["identity"]()
    loss = [Target(losses.MeanSquaredError())]
    fused = lower(model.graph, N, True, loss=loss)
    plain = lower(model.graph, N, True, loss=loss, fuse=False)
    assert fused.nbytes < plain.nbytes
    assert sum(step.add_to_dx for step in fused.steps) == 2
    assert not any(buffer for step in fused.steps for buffer in step.add_to)
    for step in fused.steps:
        if isinstance(step.stage, ConvBatchNormAdd):
            assert step.dy is not None
            assert step.dx[1] is not None
            assert step.dx[1].slot.place is step.dy.slot.place
    inference = lower(model.graph, N)
    for step in inference.steps:
        if isinstance(step.stage, ConvBatchNormAdd):
            assert step.y.slot.place is step.x[1].slot.place
