"""Plans: memory used once, nothing read too late, and the table."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import convkit
from convkit import layers, losses
from convkit.lowering import lower
from convkit.parameters import ParameterStore
from stacks import SIZES, batch, build, convolutional, execute


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


def test_training_keeps_activations_until_their_gradients_take_their_place() -> None:
    model = build(convolutional(), SIZES)
    loss = losses.get("sparse_categorical_crossentropy")
    plan = lower(model.layers, SIZES, 4, True, loss=loss)
    backward = [step for step in plan.steps if step.dy is not None]
    over = [i for i, step in enumerate(backward) if step.dx is step.x]
    for i in over:
        x = backward[i].x
        assert not any(step.stage.keeps_input and step.x is x for step in backward[:i])
        assert not any(step.stage.keeps_output and step.y is x for step in backward[:i])
    assert over, "the second convolution's input is not read again"
    activations = {id(step.y) for step in plan.steps}
    gradients = {id(b) for step in backward for b in (step.dy, step.dx) if b is not None}
    assert len(gradients - activations) <= 2, "the other gradients walk between two buffers"
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
    assert plan.runs(2)[1] == []


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
    assert model._training_plan.nbytes > 20 * 40_000


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
        lower(model.layers, (6,), 4, True)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        lower(model.layers, (6,), 0)
