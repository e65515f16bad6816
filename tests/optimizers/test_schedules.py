"""Learning-rate schedules: Keras's and PyTorch's values, and their place in an optimizer."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import optimizers
from convkit.core.parameters import Parameter, ParameterStore
from convkit.optimizers import schedules
from convkit.optimizers.schedules import (
    CosineDecay,
    CosineDecayRestarts,
    ExponentialDecay,
    LearningRateSchedule,
    OneCycle,
    PiecewiseConstantDecay,
)

# Keras with PyTorch hands its tensors to NumPy in an old way.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = [*range(40), 99, 100, 101, 1000, 10**6]


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("ExponentialDecay", {"decay_rate": 0.9, "decay_steps": 10}),
        ("ExponentialDecay", {"decay_rate": 0.5, "decay_steps": 7, "staircase": True}),
        ("ExponentialDecay", {"decay_rate": 0.96, "decay_steps": 12.5}),
        ("CosineDecay", {"decay_steps": 20}),
        ("CosineDecay", {"decay_steps": 20, "alpha": 0.1}),
        ("CosineDecay", {"decay_steps": 20, "warmup_target": 0.5, "warmup_steps": 8}),
        ("CosineDecay", {"decay_steps": 9, "alpha": 0.2, "warmup_target": 1.0, "warmup_steps": 1}),
        ("CosineDecay", {"decay_steps": 9, "warmup_steps": 5}),
        ("PiecewiseConstantDecay", {"boundaries": [5, 20], "values": [1.0, 0.5, 0.1]}),
        ("PiecewiseConstantDecay", {"boundaries": [1], "values": [0.1, 0.01]}),
        ("InverseTimeDecay", {"decay_steps": 10, "decay_rate": 0.5}),
        ("InverseTimeDecay", {"decay_steps": 7, "decay_rate": 2.0, "staircase": True}),
        ("PolynomialDecay", {"decay_steps": 30}),
        ("PolynomialDecay", {"decay_steps": 30, "end_learning_rate": 0.02, "power": 2.0}),
        ("PolynomialDecay", {"decay_steps": 8, "power": 0.5, "cycle": True}),
        ("CosineDecayRestarts", {"first_decay_steps": 8}),
        ("CosineDecayRestarts", {"first_decay_steps": 8, "t_mul": 1.0, "m_mul": 0.9}),
        ("CosineDecayRestarts", {"first_decay_steps": 6.5, "t_mul": 1.5, "alpha": 0.1}),
    ],
)
def test_the_values_are_keras_s(name: str, arguments: dict[str, Any], keras: Any) -> None:
    if name != "PiecewiseConstantDecay":
        arguments = {"initial_learning_rate": 0.1, **arguments}
    ours = getattr(schedules, name)(**arguments)
    theirs = getattr(keras.optimizers.schedules, name)(**arguments)
    assert ours.get_config() == theirs.get_config()
    expected = [float(theirs(step)) for step in STEPS]
    # Keras computes in float32: relative to the largest rate, a few roundings of 6e-8, and near a
    # million steps of the steps, of which a restart leaves some thousandths.
    found = np.array([ours(step) for step in STEPS])
    close = np.isclose(found, expected, rtol=2e-6, atol=2e-7)
    assert close[:-1].all()
    assert close[-1] or name == "CosineDecayRestarts" or arguments.get("cycle")


@pytest.mark.parametrize(("growth", "first"), [(3.0, 7.0), (1.1, 10.0), (0.5, 8.0), (2.0, 0.3)])
def test_restarts(growth: float, first: float) -> None:
    """Each decay begins at its own first step, also where logarithms are rounded."""
    schedule = CosineDecayRestarts(1.0, first, growth, 0.5)
    begin, length = 0.0, first
    for number in range(20):
        rate = schedule(begin + 1e-9 * length)  # type: ignore[arg-type]
        assert rate == pytest.approx(0.5**number, rel=1e-6)
        half = schedule(begin + length / 2)  # type: ignore[arg-type]
        assert half == pytest.approx(0.5 ** (number + 1), rel=1e-6)
        begin, length = begin + length, length * growth
    if growth < 1:
        assert schedule(100) == 0.0


def test_a_schedule_of_one_s_own_in_a_file(tmp_path: Any) -> None:
    @convkit.saving.register_keras_serializable()
    class Halved(LearningRateSchedule):
        def __init__(self, start: float) -> None:
            self.start = start

        def __call__(self, step: int) -> float:
            return self.start / (1 + step)

    try:
        made = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(2)])
        made.compile(optimizers.Nadam(Halved(0.5)), "mse")
        made.fit(np.ones((8, 3)), np.ones((8, 2)), batch_size=4, verbose=0)
        made.save(tmp_path / "model")
        loaded = convkit.models.load_model(tmp_path / "model")
        assert loaded.optimizer is not None
        assert float(loaded.optimizer.learning_rate) == 0.5 / 3
        described = schedules.serialize(Halved(0.25))
        again = schedules.deserialize(described)
        assert (type(again), again(1)) == (Halved, 0.125)
    finally:
        del convkit.saving.get_custom_objects()["Custom>Halved"]
    with pytest.raises(ValueError, match="unknown schedule 'Custom>Halved'"):
        schedules.deserialize(described)
    assert schedules.deserialize(described, {"Custom>Halved": Halved})(0) == 0.25


@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize(
    "arguments",
    [
        {"total_steps": 100},
        {"total_steps": 37, "pct_start": 0.25},
        {"total_steps": 10, "div_factor": 10.0, "final_div_factor": 100.0},
    ],
)
def test_one_cycle_has_pytorch_s_values(arguments: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = OneCycle(0.1, **arguments)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    theirs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.1, cycle_momentum=False, **arguments
    )
    for step in range(arguments["total_steps"]):
        assert ours(step) == pytest.approx(theirs.get_last_lr()[0], rel=1e-12)
        if step + 1 < arguments["total_steps"]:
            theirs.step()
    assert ours(10**6) == pytest.approx(ours(arguments["total_steps"] - 1), rel=1e-12)


def test_one_cycle_goes_up_and_down() -> None:
    schedule = OneCycle(1.0, 101, pct_start=0.25, div_factor=10.0, final_div_factor=10.0)
    rates = [schedule(step) for step in range(101)]
    top = int(np.argmax(rates))
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0, abs=1e-2)
    changes = np.diff(rates)
    assert (changes[:top] > 0).all()
    assert (changes[top:] < 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.9), "ExponentialDecay: decay_steps must be a finite"),
        (lambda: ExponentialDecay(-0.1, 5, 0.9), "initial_learning_rate must be"),
        (lambda: ExponentialDecay(0.1, 5, float("nan")), "decay_rate must be"),
        (lambda: CosineDecay("0.1", 5), "initial_learning_rate must be"),  # type: ignore[arg-type]
        (lambda: CosineDecay(0.1, True), "decay_steps must be"),
        (lambda: CosineDecay(0.1, 5, warmup_steps=-1), "warmup_steps must be"),
        (lambda: PiecewiseConstantDecay([1], [0.1]), "one value more than boundaries"),
        (lambda: PiecewiseConstantDecay([2, 2], [0.1, 0.2, 0.3]), "boundaries must increase"),
        (lambda: OneCycle(0.1, 1), "total_steps must be at least 2"),
        (lambda: OneCycle(0.1, 9, pct_start=1.0), "pct_start must lie between 0 and 1"),
        (lambda: OneCycle(0.1, 9, div_factor=0), "div_factor must be a finite number above 0"),
        (lambda: OneCycle([], 9), "max_learning_rate must be"),  # type: ignore[arg-type]
        (lambda: schedules.get({"class_name": "eval"}), "unknown schedule 'eval': use one of"),
    ],
)
def test_wrong_arguments(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


# In an optimizer.


def store_of(count: int = 4) -> ParameterStore:
    return ParameterStore([Parameter("w", np.zeros(count, np.float32))])


def test_each_step_has_the_rate_that_keras_gives_it(keras: Any) -> None:
    """With gradient 1, plain descent adds the rates up; the first step has the rate of step 0."""
    arguments = {"boundaries": [1, 3], "values": [1.0, 0.25, 0.125]}
    theirs = keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay(**arguments))
    variable = keras.Variable(np.zeros(4, np.float32))
    theirs.build([variable])
    ours = optimizers.SGD(PiecewiseConstantDecay(**arguments))
    store = store_of()
    for _ in range(6):
        assert ours.learning_rate == float(theirs.learning_rate)
        store.gradients[:] = 1.0
        ours.apply(store)
        theirs.apply([keras.ops.ones(4)])
        np.testing.assert_array_equal(store.values[:4], keras.ops.convert_to_numpy(variable))
    assert store.values[0] == -(1.0 + 1.0 + 0.25 + 0.25 + 0.125 + 0.125)


@pytest.mark.parametrize("kind", [optimizers.SGD, optimizers.Adam, optimizers.AdamW])
def test_every_optimizer_follows_a_schedule(kind: type[optimizers.Optimizer]) -> None:
    """The same bits as when somebody sets the rate before every step."""
    schedule = CosineDecay(0.01, 20, warmup_target=0.1, warmup_steps=4)
    one, two = kind(schedule), kind(0.5)  # type: ignore[call-arg, arg-type]
    stores = store_of(), store_of()
    rng = np.random.default_rng(0)
    for step in range(30):
        two.learning_rate = schedule(step)
        gradient = rng.normal(size=stores[0].gradients.size)
        for optimizer, store in zip((one, two), stores, strict=True):
            store.gradients[:] = gradient
            optimizer.apply(store)
        np.testing.assert_array_equal(stores[0].values, stores[1].values)
    one.unbind(stores[0])
    assert one.learning_rate == schedule(0)


def test_a_schedule_is_not_overwritten_by_a_number() -> None:
    optimizer = optimizers.Adam(ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match="follows a schedule, ExponentialDecay, and cannot be set"):
        optimizer.learning_rate = 0.5
    optimizer.learning_rate = OneCycle(1.0, 10)  # type: ignore[assignment]
    assert optimizer.learning_rate == OneCycle(1.0, 10)(0)
    number = optimizers.Adam(0.1)
    number.learning_rate = 0.25
    assert number.learning_rate == 0.25
    with pytest.raises(ValueError, match="learning_rate must be a finite number"):
        number.learning_rate = -1.0


def test_configurations_hold_the_schedule() -> None:
    optimizer = optimizers.SGD(CosineDecay(0.1, 10), momentum=0.5)
    twin = optimizers.SGD.from_config(optimizer.get_config())
    assert type(twin.schedule) is CosineDecay
    assert twin.get_config() == optimizer.get_config()


class Halves(LearningRateSchedule):
    def __call__(self, step: int) -> float:
        return 0.5**step


def test_a_schedule_of_the_user_s_own() -> None:
    optimizer = optimizers.SGD(Halves())
    store = store_of()
    for _ in range(3):
        store.gradients[:] = 1.0
        optimizer.apply(store)
    assert store.values[0] == -1.75
    assert optimizer.learning_rate == 0.125


def test_a_model_trains_by_a_schedule() -> None:
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential([convkit.Input((3,)), convkit.layers.Dense(2)])
    schedule = PiecewiseConstantDecay([4], [0.1, 0.0])
    model.compile(optimizers.SGD(schedule), "mse")
    x, y = np.ones((10, 3)), np.ones((10, 2))
    model.fit(x, y, batch_size=2, epochs=1, verbose=0)
    before = model.get_weights()
    model.fit(x, y, batch_size=2, epochs=1, verbose=0)
    np.testing.assert_array_equal(before[0], model.get_weights()[0])


def test_an_evaluation_takes_microseconds() -> None:
    for schedule in (
        ExponentialDecay(0.1, 10, 0.9),
        CosineDecay(0.1, 100, warmup_target=0.5, warmup_steps=10),
        PiecewiseConstantDecay([5, 20], [1.0, 0.5, 0.1]),
        OneCycle(0.1, 1000),
    ):
        times = []
        for _ in range(20):
            start = time.perf_counter()
            for step in range(200):
                schedule(step)
            times.append((time.perf_counter() - start) / 200)
        assert min(times) < 20e-6, "a few microseconds, with room for a slow machine"


@pytest.mark.parametrize(
    "schedule",
    [
        schedules.ExponentialDecay(0.1, 1, 1e308),
        schedules.ExponentialDecay(0.1, 1e-308, 0.5, staircase=True),
        schedules.InverseTimeDecay(0.1, 1e-308, 0.5, staircase=True),
        schedules.CosineDecayRestarts(0.1, 1, 1.0, 1e308),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_learning_rates_beyond_all_numbers(schedule: schedules.LearningRateSchedule) -> None:
    assert schedule(0) == pytest.approx(0.1)
    with pytest.raises(ValueError, match=r"\w+: the learning rate of step 1000 is beyond all num"):
        schedule(1000)
