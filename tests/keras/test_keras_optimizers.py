"""Every optimizer and option beside Keras's: the same weights after each of ten steps.

Both are given the same weights and gradients. Keras computes in float32 too, in another order, so
each step differs by some roundings of the weights, which are of the size of 1, and of the steps.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.core.parameters import Parameter, ParameterStore
from peer_keras import WITH_KERAS, Make, keras, numbers

pytestmark = WITH_KERAS

SHAPES = {"kernel": (6, 9), "bias": (9,), "filters": (3, 3, 2, 5), "tall": (14, 4), "scale": (1,)}
STEPS = 10
# Ten steps of some roundings each (6e-8 of weights up to 3); where steps are divided by a root that
# nearly vanishes, a centred mean square, the roundings of that count up to a hundred times.
CLOSE = {"rtol": 1e-5, "atol": 3e-6}

OPTIMIZERS: list[Make] = [
    lambda m: m.optimizers.SGD(0.1),
    lambda m: m.optimizers.SGD(0.1, 0.9, True, 0.01),
    lambda m: m.optimizers.Adam(0.05),
    lambda m: m.optimizers.Adam(0.05, 0.8, 0.7, 1e-3, True),
    lambda m: m.optimizers.Adam(0.05, 0.9, 0.999, 1e-7, False, 0.1),
    lambda m: m.optimizers.AdamW(0.05, 0.1, amsgrad=True),
    lambda m: m.optimizers.RMSprop(0.05),
    lambda m: m.optimizers.RMSprop(0.05, 0.8, 0.7, 1e-3, True),
    lambda m: m.optimizers.RMSprop(0.05, centered=True, epsilon=1e-2, weight_decay=0.1),
    lambda m: m.optimizers.Adagrad(0.1),
    lambda m: m.optimizers.Adagrad(0.1, 0.0, 1e-3, 0.1),
    lambda m: m.optimizers.Adadelta(1.0),
    lambda m: m.optimizers.Adadelta(10.0, 0.5, 1e-3, 0.01),
    lambda m: m.optimizers.Adamax(0.05),
    lambda m: m.optimizers.Adamax(0.05, 0.8, 0.7, 1e-3, 0.1),
    lambda m: m.optimizers.Nadam(0.05),
    lambda m: m.optimizers.Nadam(0.05, 0.8, 0.7, 1e-3, 0.1),
    lambda m: m.optimizers.Lion(0.05),
    lambda m: m.optimizers.Lion(0.05, 0.5, 0.6, 0.1),
    lambda m: m.optimizers.Ftrl(0.1),
    lambda m: m.optimizers.Ftrl(0.1, -0.7, 0.5, 0.1, 0.2, 0.3, 0.4, 0.05),
    lambda m: m.optimizers.Muon(0.05),
    lambda m: m.optimizers.Muon(0.05, exclude_layers=["tall"], rms_rate=None, nesterov=False),
    lambda m: m.optimizers.Muon(0.05, 0.8, 0.7, 0.2, 1e-3, 0.1, adam_lr_ratio=0.5, ns_steps=3),
]
NAMES = (
    *("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "Lion", "Ftrl"),
    "Muon",
)
OPTIONS: list[dict[str, Any]] = [
    {"clipnorm": 0.7},
    {"clipnorm": 100.0},
    {"clipvalue": 0.3},
    {"global_clipnorm": 1.5},
    {"use_ema": True},
    {"use_ema": True, "ema_momentum": 0.6, "ema_overwrite_frequency": 3},
    {"gradient_accumulation_steps": 2},
    {"gradient_accumulation_steps": 3, "global_clipnorm": 0.5, "weight_decay": 0.1},
    {"gradient_accumulation_steps": 2, "use_ema": True, "ema_overwrite_frequency": 2},
    {"loss_scale_factor": 8.0},
    {"weight_decay": 0.2},
]


def values(seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


class Both:
    """The same weights, in Keras's variables and in a store."""

    def __init__(self, make: Make) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.theirs, self.ours = make(keras), make(convkit)
        start = values(0)
        self.variables = [keras.Variable(value, name=name) for name, value in start.items()]
        self.parameters = [Parameter(name, value.copy()) for name, value in start.items()]
        self.store = ParameterStore(self.parameters)

    def step(self, number: int) -> None:
        """One step of both, with the same gradients."""
        gradients = values(100 + number)
        for parameter in self.parameters:
            parameter.gradient[...] = gradients[parameter.name]
        # What Keras is given are the gradients of the scaled loss.
        factor = np.float32(self.ours.loss_scale_factor or 1.0)
        tensors = [keras.ops.convert_to_tensor(value * factor) for value in gradients.values()]
        self.theirs.apply(tensors, self.variables)
        self.ours.apply(self.store)

    def compare(self, message: str = "", **bounds: float) -> None:
        """Assert equal weights."""
        for variable, parameter in zip(self.variables, self.parameters, strict=True):
            np.testing.assert_allclose(
                parameter.value,
                numbers(variable),
                **(bounds or CLOSE),
                err_msg=f"{parameter.name} {message}",
            )


def assert_same_steps(both: Both, **bounds: float) -> None:
    before = [parameter.numpy() for parameter in both.parameters]
    for number in range(STEPS):
        both.step(number)
        both.compare(f"after step {number + 1}", **bounds)
    for old, parameter in zip(before, both.parameters, strict=True):
        assert not np.array_equal(old, parameter.value)


def bounds_of(optimizer: Any) -> dict[str, float]:
    if isinstance(optimizer, convkit.optimizers.Muon):
        # Roundings grow with the small singular values, by up to 3.4 in each of five rounds.
        return {"rtol": 1e-4, "atol": 1e-4}
    if isinstance(optimizer, convkit.optimizers.RMSprop) and optimizer.centered:
        return {"rtol": 1e-4, "atol": 1e-4}
    return CLOSE


@pytest.mark.parametrize("case", range(len(OPTIMIZERS)))
def test_ten_steps(case: int) -> None:
    both = Both(OPTIMIZERS[case])
    assert_same_steps(both, **bounds_of(both.ours))
    assert both.ours.iterations == int(both.theirs.iterations) == STEPS


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["SGD", "Adam", "Nadam", "Muon"])
def test_options(name: str, options: dict[str, Any]) -> None:
    both = Both(lambda m: getattr(m.optimizers, name)(0.05, **options))
    assert_same_steps(both, **bounds_of(both.ours))
    assert both.ours.iterations == int(both.theirs.iterations)
    if "use_ema" in options:
        averages = both.store.split(both.ours.slots["average"])
        kept = both.theirs._model_variables_moving_average
        for parameter, average in zip(both.parameters, kept, strict=True):
            np.testing.assert_allclose(averages[parameter], numbers(average), **CLOSE)
        both.theirs.finalize_variable_values(both.variables)
        both.ours.finalize_variable_values(both.parameters)
        both.compare(**bounds_of(both.ours))
        np.testing.assert_array_equal(both.parameters[0].value, averages[both.parameters[0]])


@pytest.mark.parametrize("name", ["SGD", "AdamW", "Lion", "Muon"])
def test_weights_without_decay(name: str) -> None:
    both = Both(lambda m: getattr(m.optimizers, name)(0.05, weight_decay=0.5))
    both.theirs.exclude_from_weight_decay([both.variables[0]], ["bias", "sca.e"])
    both.ours.exclude_from_weight_decay([both.parameters[0]], ["bias", "sca.e"])
    assert_same_steps(both, **bounds_of(both.ours))
    decays = [both.ours.decays(parameter) for parameter in both.parameters]
    assert decays == [False, False, True, True, False]


@pytest.mark.parametrize("options", [{}, {"gradient_accumulation_steps": 2}])
def test_schedules_follow_the_steps(options: dict[str, Any]) -> None:
    def make(m: Any) -> Any:
        return m.optimizers.Adam(m.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), **options)

    assert_same_steps(Both(make))


@pytest.mark.parametrize("name", NAMES)
def test_configurations_have_keras_s_keys(name: str) -> None:
    ours, theirs = (
        getattr(m.optimizers, name)(clipvalue=0.5, use_ema=True).get_config()
        for m in (convkit, keras)
    )
    assert set(ours) == set(theirs)
    decays = {"weight_decay": 0.0, "adam_weight_decay": 0.0}  # what None is here
    for key in set(ours) - {"name"}:
        wanted = decays[key] if key in decays and theirs[key] is None else theirs[key]
        is_rate = key == "learning_rate"  # which Keras keeps in float32
        assert ours[key] == (pytest.approx(wanted, rel=1e-6) if is_rate else wanted), key
    again = getattr(convkit.optimizers, name).from_config(ours)
    assert again.get_config() == ours


@pytest.mark.parametrize("name", NAMES)
def test_names_in_any_letters(name: str) -> None:
    for given in (name, name.lower()):
        assert (
            type(convkit.optimizers.get(given)).__name__
            == type(keras.optimizers.get(given)).__name__
        )


@pytest.mark.parametrize(
    "options",
    [
        {"clipnorm": 1.0, "clipvalue": 1.0},
        {"gradient_accumulation_steps": 1},
        {"use_ema": True, "ema_momentum": 1.5},
        {"use_ema": True, "ema_overwrite_frequency": -1},
    ],
    ids=str,
)
def test_both_refuse(options: dict[str, Any]) -> None:
    for m in (convkit, keras):
        with pytest.raises(ValueError, match="|".join(options)):
            m.optimizers.Adam(**options)


def test_the_rate_reads_as_keras_s_variable() -> None:
    for m in (convkit, keras):
        optimizer = m.optimizers.Adam(0.25)
        rate = optimizer.learning_rate
        rate.assign(0.125)
        assert float(optimizer.learning_rate) == 0.125
        assert optimizer.learning_rate.numpy() == rate.numpy() == np.float32(0.125)
        assert np.asarray(rate.numpy()).dtype == np.float32
