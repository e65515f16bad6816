"""Lookahead against its algorithm in plain NumPy, and what belongs to its inner optimizer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array, random_array
from convkit import layers, optimizers
from convkit.optimizers import schedules

X, Y = random_array("x", (24, 6, 6, 2)), np.arange(24) % 3


@convkit.saving.register_keras_serializable()
class Cubic(schedules.LearningRateSchedule):
    """1 - decay * (step / steps)^3."""

    def __init__(self, decay: float, steps: float) -> None:
        self.decay, self.steps = decay, steps

    def __call__(self, step: int) -> float:
        return 1.0 - self.decay * (step / self.steps) ** 3


def model(optimizer: Any) -> convkit.Sequential:
    convkit.utils.set_random_seed(5)
    made = convkit.Sequential(
        [
            convkit.Input((6, 6, 2)),
            layers.Conv2D(4, 3, use_bias=False),
            layers.BatchNormalization(momentum=0.6),
            layers.Activation("gelu"),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    loss = convkit.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(optimizer, loss)
    return made


def sgd() -> optimizers.SGD:
    return optimizers.SGD(0.05, momentum=0.9, nesterov=True)


class Follow(convkit.callbacks.Callback):
    """Does in NumPy what Lookahead does, to a model that another optimizer trains."""

    def __init__(self, period: int, size: Any) -> None:
        self.period, self.size, self.steps = period, size, 0
        self.slow: list[Array] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.slow = self.model.get_weights()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.steps += 1
        if self.steps % self.period:
            return
        share = np.float32(self.size(self.steps) if callable(self.size) else self.size)
        weights = self.model.get_weights()
        self.slow = [s + share * (w - s) for s, w in zip(self.slow, weights, strict=True)]
        self.model.set_weights(self.slow)

    def on_train_end(self, logs: Any = None) -> None:
        self.model.set_weights(self.slow)


@pytest.mark.parametrize(
    ("period", "size"), [(1, 0.5), (3, 0.8), (5, 0.0), (2, Cubic(0.95**5, 12)), (50, 0.5)]
)
def test_it_computes_the_algorithm(period: int, size: Any) -> None:
    one, two = model(optimizers.Lookahead(sgd(), period, size)), model(sgd())
    start = one.get_weights()
    one.fit(X, Y, 6, 3, 0)
    two.fit(X, Y, 6, 3, 0, callbacks=[Follow(period, size)])
    for mine, theirs, first in zip(one.get_weights(), two.get_weights(), start, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)
        # Without a step towards them, or before the first synchronisation, nothing is learnt.
        assert np.array_equal(mine, first) == (size == 0.0 or period == 50)


def test_what_is_frozen_stays() -> None:
    made = model(optimizers.Lookahead(sgd(), 2))
    made.fit(X, Y, 6, 1, 0)
    made.layers[0].trainable = made.layers[1].trainable = False
    before = made.get_weights()
    made.fit(X, Y, 6, 2, 0)
    moved = [not np.array_equal(a, b) for a, b in zip(before, made.get_weights(), strict=True)]
    assert moved == [False] * 5 + [True] * 2


def test_the_options_are_those_of_the_inner_optimizer() -> None:
    optimizer = optimizers.Lookahead(sgd(), 4, Cubic(0.5, 10))
    made = model(optimizer)
    optimizer.learning_rate = 0.25
    assert float(optimizer.optimizer.learning_rate) == float(optimizer.learning_rate) == 0.25
    made.fit(X, Y, 6, 1, 0)
    assert optimizer.iterations == optimizer.optimizer.iterations == 4
    assert {each.name for each in optimizer.variables} == {"velocity", "slow"}
    assert sum(each.name == "slow" for each in optimizer.variables) == len(made.weights)
    # A change of the inner optimizer reaches captured steps.
    optimizer.optimizer.momentum = 0.0
    optimizer.learning_rate = 0.0
    before = made.layers[0].kernel.numpy()
    made.fit(X, Y, 6, 1, 0)
    np.testing.assert_array_equal(made.layers[0].kernel.numpy(), before)
    again = optimizers.deserialize(optimizers.serialize(optimizer))
    assert again.get_config() == optimizer.get_config()
    optimizer.sync_period = 7
    assert optimizer.sync_period == 7
    with pytest.raises(AttributeError, match="make a new Lookahead"):
        optimizer.optimizer = sgd()
    with pytest.raises(ValueError, match="already belongs to another model"):
        model(optimizer).fit(X, Y, verbose=0)


def test_a_model_that_is_compiled_anew_begins_anew() -> None:
    first = optimizers.Lookahead(sgd(), 2)
    made = model(first)
    made.fit(X, Y, 6, 1, 0)
    assert first.variables
    made.compile(optimizers.Lookahead("adam"), made.loss)
    assert (first.variables, first.iterations) == ([], 0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.Lookahead("adam", 0), "sync_period must be an integer of at least 1"),
        (lambda: optimizers.Lookahead("adam", 2.5), "sync_period must be an integer"),
        (lambda: optimizers.Lookahead("adam", 2, 1.5), r"slow_step_size must lie in 0 \.\. 1"),
        (lambda: optimizers.Lookahead("adam", 2, math.nan), r"slow_step_size must lie in 0 \.\. 1"),
        (lambda: optimizers.Lookahead("none"), "unknown optimizer"),
        (lambda: optimizers.Lookahead(optimizers.Adam(use_ema=True)), "averages of its own"),
        (lambda: optimizers.Lookahead(optimizers.Lookahead()), "averages of its own"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_that_leaves_the_range_is_an_error() -> None:
    made = model(optimizers.Lookahead(sgd(), 2, Cubic(1.0, 2.0)))
    with pytest.raises(ValueError, match=r"slow_step_size must lie in 0 \.\. 1"):
        made.fit(X, Y, 6, 1, 0)
