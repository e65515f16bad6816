"""Plans: memory used once, nothing read too late, and the table."""

from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest

import convkit
from convkit import layers, losses
from convkit.core.parameters import ParameterStore
from convkit.plan import Plan, lower
from convkit.plan.memory import Slot
from stacks import SIZES, batch, build, convolutional, execute


def test_a_partial_batch_uses_the_front_of_the_same_memory() -> None:
    model = build(convolutional(), SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    store = ParameterStore(model.weights)
    weights = model.get_weights()
    large = lower(model.graph, 8, True, loss=loss)
    exact = lower(model.graph, 3, True, loss=loss)
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


def places(plan: Plan) -> list[Slot]:
    """The pieces of memory that arrays share, one after the other."""
    return list(dict.fromkeys(slot.place for slot in plan.memory.slots))


@pytest.mark.parametrize("training", [True, False])
def test_what_lives_at_the_same_time_lies_apart(training: bool) -> None:
    loss = losses.get("sparse_categorical_crossentropy")
    plan = lower(build(convolutional(), SIZES).graph, 4, training, loss=loss)
    found = places(plan)
    assert len(found) > 3
    for i, one in enumerate(found):
        assert 0 <= one.offset <= one.offset + one.nbytes <= plan.nbytes
        assert one.offset % 64 == 0
        for other in found[:i]:
            if one.start <= other.end and other.start <= one.end:
                first, second = sorted((one, other), key=lambda slot: slot.offset)
                assert first.offset + first.nbytes <= second.offset


def test_training_keeps_activations_until_their_gradients_take_their_place() -> None:
    model = build(convolutional(), SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    plan = lower(model.graph, 4, True, loss=loss)
    backward = [step for step in plan.steps if step.dy is not None and step.dx[0] is not None]
    over = [step for step in backward if step.dx[0].slot.place is step.x[0].slot.place]
    assert over, "the second convolution's input is not read again"
    assert plan.steps[0].dx == (None,), "nobody needs the gradient of the images"
    for step in plan.steps:
        if step.stage.is_view(True):
            assert step.x[0].slot.place is step.y.slot.place


def test_inference_needs_the_two_largest_neighbours() -> None:
    model = build(convolutional(), SIZES)
    plan = lower(model.graph, 4)
    loss = losses.get("sparse_categorical_crossentropy")
    assert plan.nbytes < 0.7 * lower(model.graph, 4, True, loss=loss).nbytes
    chain = [layers.Dense(size) for size in (64, 16, 128, 32, 8, 16)]
    widths = [16, 64, 16, 128, 32, 8, 16]
    plan = lower(build(chain, (16,)).graph, 4)
    assert plan.nbytes == 4 * 4 * max(a + b for a, b in itertools.pairwise(widths))


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
    plan = lower(model.graph, 2, True, loss=loss)
    tanh, dropout = plan.steps[2], plan.steps[3]
    assert tanh.x[0].slot.place is tanh.y.slot.place
    assert dropout.x[0].slot.place is not dropout.y.slot.place


def test_backward_stops_at_the_first_trainable_layer() -> None:
    model = build([layers.Dense(5, "relu"), layers.Dense(4, "relu"), layers.Dense(3, "softmax")],
                  (6,))  # fmt: skip
    loss = losses.get("sparse_categorical_crossentropy")
    model.layers[0].trainable = False
    plan = lower(model.graph, 2, True, loss=loss)
    assert [step.dy is not None for step in plan.steps] == [False, True, True]
    assert [step.dx[0] is not None for step in plan.steps] == [False, False, True]
    model.layers[1].trainable = model.layers[2].trainable = False
    plan = lower(model.graph, 2, True, loss=loss)
    assert not any(step.backward(2) for step in plan.steps)


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
    assert model._engine.training_plan.nbytes > 20 * 40_000


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
    assert "softmax + sparse_categorical_crossentropy" in lines[-3]
    assert "update by adam" in lines[-2]
    assert lines[-1].startswith("training, batch size 16: ")
    plain = model.plan(4, training=False)
    assert "moving statistics" in plain
    assert "inference, batch size 4" in plain
    assert "crossentropy" not in plain
    assert "adam" not in plain
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
        lower(model.graph, 4, True)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        lower(model.graph, 0)
