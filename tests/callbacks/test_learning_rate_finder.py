"""The learning-rate finder: what it measures, and that it leaves no trace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_bits
from convkit import callbacks, layers, optimizers
from some_models import stripes

X, Y = stripes(44, seed=1)


def model(optimizer: Any) -> convkit.Sequential:
    convkit.utils.set_random_seed(7)
    made = convkit.Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.Conv2D(4, 3, activation="relu"),
            layers.BatchNormalization(),
            layers.Flatten(),
            layers.Dropout(0.2),
            layers.Dense(3, activation="softmax"),
        ]
    )
    made.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


def test_rates_and_losses_are_those_of_the_steps() -> None:
    finder = callbacks.LearningRateFinder(1e-4, 1e-1, 16, smoothing=0.8, stop_factor=1e6)
    made = model("sgd")
    history = made.fit(X, Y, 8, 10, 0, [finder])
    assert len(history.epoch) == 3  # of six batches, the last one smaller
    np.testing.assert_allclose(finder.learning_rates, np.geomspace(1e-4, 1e-1, 16))
    # The same steps by hand, each with its loss.
    losses: list[float] = []
    by_hand = model(optimizers.SGD(1e-4))

    class Follow(callbacks.Callback):
        seen = (0.0, 0)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            assert by_hand.optimizer is not None
            by_hand.optimizer.learning_rate = finder.learning_rates[len(losses)]

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            plan = by_hand._engine.training_plan
            assert plan is not None
            losses.append(float(plan.bind(8 if batch < 5 else 4).heads[0].losses.mean()))
            by_hand.stop_training = len(losses) == 16

    by_hand.fit(X, Y, 8, 10, 0, [Follow()])
    mean, wanted = 0.0, []
    for i, loss in enumerate(losses):
        mean = 0.8 * mean + 0.2 * loss
        wanted.append(mean / (1 - 0.8 ** (i + 1)))
    np.testing.assert_allclose(finder.losses, wanted, rtol=1e-5)
    end = int(np.argmin(wanted)) + 1
    falls = [wanted[i + 1] - wanted[i - 1] for i in range(1, end - 1)]
    assert finder.suggestion == finder.learning_rates[1 + int(np.argmin(falls))]


def test_the_suggestion_is_where_the_loss_falls_and_not_where_it_is_least() -> None:
    finder = callbacks.LearningRateFinder(1e-3, 10.0, 100)
    finder.learning_rates = [float(rate) for rate in np.geomspace(1e-3, 10.0, 100)]
    fall = 1.0 - 1.0 / (1.0 + np.exp(-(np.arange(100) - 50) / 5))
    finder.losses = [*fall[:80], *(fall[79] + 0.1 * np.arange(20))]
    finder.losses[79] -= 0.02  # by chance
    assert finder.suggestion == finder.learning_rates[50]


@pytest.mark.parametrize("optimizer", ["adam", "adagrad", "lookahead"])
@pytest.mark.parametrize("trained", [False, True])
def test_it_leaves_no_trace(optimizer: str, trained: bool) -> None:
    one, two = model(optimizer), model(optimizer)
    for each in (one, two):
        if trained:
            each.fit(X, Y, 8, 1, 0)
    before = tuple(two.get_weights())
    two.fit(X, Y, 8, 3, 0, [callbacks.LearningRateFinder(1e-3, 1.0, 8)])
    assert_same_bits(tuple(two.get_weights()), before)
    assert two.optimizer is not None
    assert two.optimizer.iterations == (6 if trained else 0)
    for each in (one, two):
        each.fit(X, Y, 8, 2, 0)
    assert_same_bits(tuple(two.get_weights()), tuple(one.get_weights()))


def test_it_ends_where_the_loss_explodes_and_after_an_interruption() -> None:
    finder = callbacks.LearningRateFinder(1e-2, 1e8, 60, stop_factor=2.0)
    made = model("sgd")
    before = tuple(made.get_weights())
    made.fit(X, Y, 8, 50, 0, [finder])
    assert 3 < len(finder.losses) < 60
    assert len(finder.losses) == len(finder.learning_rates)
    assert np.isfinite(finder.losses).all()
    assert_same_bits(tuple(made.get_weights()), before)

    class Stop(callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.fit(X, Y, 8, 5, 0, [finder, Stop()])
    assert_same_bits(tuple(made.get_weights()), before)
    with pytest.raises(ValueError, match="fell for 1 of 1 steps"):
        _ = finder.suggestion


def test_wrong_uses() -> None:
    scheduled = model(optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 5, 0.5)))
    with pytest.raises(TypeError, match="follows a schedule"):
        scheduled.fit(X, Y, verbose=0, callbacks=[callbacks.LearningRateFinder()])
    for options, message in (
        ({"min_learning_rate": 0.0}, "must grow from above 0"),
        ({"max_learning_rate": 1e-9}, "must grow from above 0"),
        ({"steps": 1}, "an integer of at least 2"),
        ({"smoothing": 1.0}, "smoothing must be at least 0 and below 1"),
        ({"stop_factor": 1.0}, "stop_factor must be above 1"),
    ):
        with pytest.raises(ValueError, match=message):
            callbacks.LearningRateFinder(**options)  # type: ignore[arg-type]
