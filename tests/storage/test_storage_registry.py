"""What cannot be saved: classes that are not convkit's own."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import initializers, layers, losses, metrics, optimizers
from convkit.models import Sequential
from convkit.optimizers import schedules

pytestmark = pytest.mark.usefixtures("one_thread")


class Own(Sequential):
    """A subclass, whose code no file holds."""


class OwnLayer(layers.Flatten):
    """A layer of the user's."""


class OwnInitializer(initializers.Zeros):
    """An initializer of the user's."""


class OwnLoss(losses.MeanSquaredError):
    """A loss of the user's."""


class OwnMetric(metrics.MeanSquaredError):
    """A metric of the user's."""


class OwnOptimizer(optimizers.SGD):
    """An optimizer of the user's."""


class OwnSchedule(schedules.LearningRateSchedule):
    """A schedule of the user's."""

    def __call__(self, step: int) -> float:
        return 0.1


def own(*parts: layers.Layer, kind: type[Sequential] = Sequential, **compiled: Any) -> Sequential:
    model = kind([convkit.Input((4,)), *parts, layers.Dense(2)])
    model.compile(compiled.pop("optimizer", "sgd"), compiled.pop("loss", "mse"), **compiled)
    return model


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: own(kind=Own), "a Own cannot be saved, because its code"),
        (lambda: own(OwnLayer(name="mine")), r'layer "mine" is a .*OwnLayer, which cannot be'),
        (
            lambda: own(layers.Dense(2, name="d", kernel_initializer=OwnInitializer())),
            r'the kernel_initializer of layer "d" is a .*OwnInitializer',
        ),
        (lambda: own(loss=OwnLoss()), r"the loss is a .*OwnLoss, which cannot be saved"),
        (lambda: own(metrics=[OwnMetric(name="q")]), r"the metric q is a .*OwnMetric"),
        (lambda: own(optimizer=OwnOptimizer()), r"the optimizer is a .*OwnOptimizer"),
        (
            lambda: own(optimizer=optimizers.SGD(OwnSchedule())),
            r"the learning_rate of the optimizer is a .*OwnSchedule",
        ),
    ],
)
def test_what_is_not_convkit_s_own(
    make: Callable[[], Sequential], message: str, tmp_path: Path
) -> None:
    model = make()
    with pytest.raises(ValueError, match=message) as caught:
        model.save(tmp_path / "m")
    assert "se save_weights and load_weights" in str(caught.value)
    assert os.listdir(tmp_path) == []
    with pytest.raises(ValueError, match=message):
        pickle.dumps(model)
    model.save_weights(tmp_path / "w")
    twin = make()
    twin.load_weights(tmp_path / "w")
    for mine, theirs in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
