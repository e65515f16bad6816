"""Optimizers on the flat buffers: Keras's steps, frozen layers, and whose they are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from convkit import optimizers, reference
from convkit.core.parameters import Parameter, ParameterStore


def store(seed: int = 0) -> tuple[list[Parameter], ParameterStore]:
    rng = np.random.default_rng(seed)
    parameters = [Parameter(name, rng.normal(size=20)) for name in "abc"]
    made = ParameterStore(parameters)
    made.gradients[...] = rng.normal(size=made.gradients.shape)
    return parameters, made


def test_adam_follows_the_reference() -> None:
    _, target = store()
    optimizer = optimizers.Adam(0.01, 0.8, 0.95, 1e-5, weight_decay=0.02)
    w, g = target.values.astype(np.float64), target.gradients.astype(np.float64)
    m, v = np.zeros_like(w), np.zeros_like(w)
    for step in (1, 2, 3):
        optimizer.apply(target)
        reference.adam_update(
            w, g, m, v, learning_rate=0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-5, step=step,
            weight_decay=0.02,
        )  # fmt: skip
    np.testing.assert_allclose(target.values, w, rtol=1e-5, atol=1e-6)
    assert optimizer.iterations == 3
    assert set(optimizer.slots) == {"momentum", "velocity"}


@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_follows_the_reference(momentum: float, nesterov: bool) -> None:
    _, target = store()
    optimizer = optimizers.SGD(0.1, momentum, nesterov, weight_decay=0.01)
    w, g = target.values.astype(np.float64), target.gradients.astype(np.float64)
    velocity = np.zeros_like(w) if momentum else None
    for _ in range(3):
        optimizer.apply(target)
        reference.sgd_update(
            w, g, velocity, learning_rate=0.1, momentum=momentum, nesterov=nesterov,
            weight_decay=0.01,
        )  # fmt: skip
    np.testing.assert_allclose(target.values, w, rtol=1e-5, atol=1e-6)
    assert set(optimizer.slots) == ({"velocity"} if momentum else set())


def test_keras_defaults() -> None:
    adam, adamw, sgd = optimizers.Adam(), optimizers.AdamW(), optimizers.SGD()
    assert (adam.learning_rate, adam.beta_1, adam.beta_2, adam.epsilon) == (1e-3, 0.9, 0.999, 1e-7)
    assert (adam.weight_decay, adamw.weight_decay) == (0.0, 0.004)
    assert (sgd.learning_rate, sgd.momentum, sgd.nesterov) == (0.01, 0.0, False)
    assert optimizers.Adam(**adam.get_config()).get_config() == adam.get_config()
    assert optimizers.SGD(**sgd.get_config()).get_config() == sgd.get_config()
    assert optimizers.AdamW(**adamw.get_config()).get_config() == adamw.get_config()


def test_frozen_parameters_do_not_move_and_their_slots_rest() -> None:
    parameters, target = store()
    parameters[1].frozen = True
    before = [p.numpy() for p in parameters]
    optimizer = optimizers.Adam()
    optimizer.apply(target)
    moved = [not np.array_equal(p.value, b) for p, b in zip(parameters, before, strict=True)]
    assert moved == [True, False, True]
    middle = slice(32, 64)
    assert not optimizer.slots["momentum"][middle].any()
    parameters[1].frozen = False
    optimizer.apply(target)
    assert optimizer.slots["momentum"][middle].any()


def test_slots_are_allocated_once() -> None:
    _, target = store()
    optimizer = optimizers.Adam()
    optimizer.apply(target)
    slots = dict(optimizer.slots)
    optimizer.apply(target)
    assert all(optimizer.slots[name] is array for name, array in slots.items())


def test_an_optimizer_serves_one_model() -> None:
    _, first = store(1)
    _, second = store(2)
    optimizer = optimizers.Adam()
    optimizer.apply(first)
    with pytest.raises(ValueError, match="already belongs to another model"):
        optimizer.apply(second)
    assert optimizer.iterations == 1
    optimizer.unbind(second)
    assert optimizer.iterations == 1, "not its store, so nothing happens"
    optimizer.unbind(first)
    assert optimizer.iterations == 0
    optimizer.apply(second)


def test_learning_rate_can_be_set() -> None:
    _, target = store()
    optimizer = optimizers.SGD(0.1)
    optimizer.learning_rate = 0.0
    before = target.values.copy()
    optimizer.apply(target)
    np.testing.assert_array_equal(target.values, before)
    for wrong in (-1.0, float("nan"), float("inf"), "fast", True):
        with pytest.raises(ValueError, match="learning_rate must be a finite number"):
            optimizer.learning_rate = wrong  # type: ignore[assignment]
    assert optimizer.learning_rate == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optimizers.Adam(beta_1=1.0), "beta_1 must be at least 0 and below 1"),
        (lambda: optimizers.Adam(beta_2=-0.1), "beta_2"),
        (lambda: optimizers.Adam(epsilon=-1), "epsilon"),
        (lambda: optimizers.SGD(momentum=1.5), "momentum"),
        (lambda: optimizers.RMSprop(rho=1.0), "rho must be at least 0 and below 1"),
        (lambda: optimizers.RMSprop(momentum=1.0), "momentum"),
        (lambda: optimizers.AdamW(weight_decay=-1), "weight_decay"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_names() -> None:
    assert type(optimizers.get("adam")) is optimizers.Adam
    assert type(optimizers.get("AdamW")) is optimizers.AdamW
    assert type(optimizers.get("SGD")) is optimizers.SGD
    own = optimizers.SGD()
    assert optimizers.get(own) is own
    assert type(optimizers.get("Nadam")) is optimizers.Nadam
    described = optimizers.serialize(optimizers.Lion(0.25, global_clipnorm=2.0))
    again = optimizers.get(described)
    assert type(again) is optimizers.Lion
    assert again.get_config() == described["config"]
    for name in ("adafactor", None, optimizers.Adam, {"class_name": "Dense"}):
        with pytest.raises(ValueError, match=r"unknown optimizer.*adam, adamax, adamw, ftrl, lion"):
            optimizers.get(name)  # type: ignore[arg-type]
