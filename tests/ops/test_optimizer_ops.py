"""The SGD, RMSprop and Adam kernels against the reference, over several steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    Guarded,
    all_float64,
    assert_elementwise,
    assert_threads_agree,
    float64,
    random_array,
)
from convkit import ops, reference

SHAPES = (*((n,) for n in range(1, 35)), (3, 3, 5, 7), (1000,), (70_001,))
STEPS = 4

SGD_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"momentum": 0.9},
    {"momentum": 0.9, "nesterov": True},
    {"momentum": 0.5, "nesterov": True, "weight_decay": 0.01},
    {"weight_decay": 0.1},
)
RMSPROP_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"rho": 0.5, "epsilon": 1e-3},
    {"momentum": 0.9},
    {"momentum": 0.5, "weight_decay": 0.01},
)
FTRL_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"l1": 0.05, "l2": 0.1, "shrinkage": 0.2, "beta": 0.3},
    {"power": 0.75, "weight_decay": 0.1},
)
ADAM_OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    {"weight_decay": 0.01},
)


def gradients(shape: tuple[int, ...]) -> list[Array]:
    return [random_array(f"g{step}", shape) for step in range(STEPS)]


def compare(actual: Array, expected: Array) -> None:
    # A few roundings a step, each of at most half an eps of w or of the step taken.
    assert_elementwise(actual, expected, ulps=4 * STEPS)


@pytest.mark.parametrize("options", SGD_OPTIONS, ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_sgd(options: dict[str, Any]) -> None:
    for shape in SHAPES:
        w, velocity = random_array("w", shape), np.zeros(shape, np.float32)
        expected_w, expected_velocity = all_float64(w, velocity)
        for g in gradients(shape):
            given = g.copy()
            ops.sgd_update(w, g, velocity, learning_rate=0.1, **options)
            reference.sgd_update(expected_w, g, expected_velocity, learning_rate=0.1, **options)
            np.testing.assert_array_equal(g, given)
        compare(w, expected_w)
        if options.get("momentum"):
            compare(velocity, expected_velocity)


@pytest.mark.usefixtures("isa")
def test_sgd_without_momentum_needs_no_velocity() -> None:
    w, g = random_array("w", (19,)), random_array("g", (19,))
    expected = float64(w)
    ops.sgd_update(w, g, None, learning_rate=0.1)
    reference.sgd_update(expected, g, None, learning_rate=0.1)
    compare(w, expected)
    with pytest.raises((ValueError, TypeError), match="velocity"):
        ops.sgd_update(w, g, None, learning_rate=0.1, momentum=0.9)


@pytest.mark.parametrize("options", RMSPROP_OPTIONS, ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_rmsprop(options: dict[str, Any]) -> None:
    for shape in SHAPES:
        w, v, buffer = (random_array("w", shape), *(np.zeros(shape, np.float32) for _ in range(2)))
        expected = all_float64(w, v, buffer)
        has_momentum = "momentum" in options
        for g in gradients(shape):
            given = g.copy()
            own = buffer if has_momentum else None
            ops.rmsprop_update(w, g, v, own, learning_rate=0.01, **options)
            expected_w, expected_v, expected_buffer = expected
            own = expected_buffer if has_momentum else None
            reference.rmsprop_update(expected_w, g, expected_v, own, learning_rate=0.01, **options)
            np.testing.assert_array_equal(g, given)
        for actual, wanted in zip((w, v, buffer), expected, strict=True):
            compare(actual, wanted)
    with pytest.raises((ValueError, TypeError), match="momentum_buffer"):
        ops.rmsprop_update(w, g, v, None, learning_rate=0.1, momentum=0.9)


@pytest.mark.parametrize("options", ADAM_OPTIONS, ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_adam(options: dict[str, Any]) -> None:
    for shape in SHAPES:
        w, m, v = random_array("w", shape), np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        expected = all_float64(w, m, v)
        for step, g in enumerate(gradients(shape), start=1):
            ops.adam_update(w, g, m, v, learning_rate=0.01, step=step, **options)
            expected_w, expected_m, expected_v = expected
            reference.adam_update(
                expected_w, g, expected_m, expected_v, learning_rate=0.01, step=step, **options
            )
        for actual, wanted in zip((w, m, v), expected, strict=True):
            compare(actual, wanted)


@pytest.mark.usefixtures("isa")
def test_adam_after_many_steps_and_with_tiny_gradients() -> None:
    """A gradient of 1e-15 squares to a denormal number; step 10**9 has no bias left."""
    g = np.full(21, 1e-15, np.float32)
    w, m, v = (np.zeros(21, np.float32) for _ in range(3))
    expected = all_float64(w, m, v)
    for step in (1, 2, 10**9):
        ops.adam_update(w, g, m, v, learning_rate=0.01, step=step)
        expected_w, expected_m, expected_v = expected
        reference.adam_update(expected_w, g, expected_m, expected_v, learning_rate=0.01, step=step)
    assert np.isfinite(w).all()
    assert_elementwise(w, expected[0], floor=1e-6, ulps=64)


@pytest.mark.usefixtures("isa")
def test_averages_without_gradients_decay_to_zero_and_not_to_denormal_numbers() -> None:
    """Processors are very slow with denormal numbers, and 0.9 times one may be the same one."""
    names = ("velocity", "m", "v", "rho", "momentum")
    averages = {name: np.zeros(21, np.float32) for name in names}
    w = np.ones(21, np.float32)
    g = np.linspace(-1.0, 1.0, 21, dtype=np.float32)
    for step in range(1, 1201):
        velocity, m, v, rho, momentum = averages.values()
        ops.sgd_update(w, g, velocity, learning_rate=0.01, momentum=0.9)
        ops.adam_update(w, g, m, v, learning_rate=0.01, beta_2=0.9, step=step)
        ops.rmsprop_update(w, g, rho, momentum, learning_rate=0.01, momentum=0.9)
        g[:] = 0.0
        for name, average in averages.items():
            sizes = np.abs(average[average != 0.0])
            assert (sizes >= np.finfo(np.float32).tiny).all(), (name, step)
    for name, average in averages.items():
        np.testing.assert_array_equal(average, np.zeros(21), err_msg=name)
    assert np.isfinite(w).all()


@pytest.mark.usefixtures("isa")
def test_nothing_outside_the_arrays_is_written() -> None:
    for shape in SHAPES:
        guards = [Guarded(shape) for _ in range(4)]
        w, velocity, m, v = (guard.array for guard in guards)
        for array in (w, velocity, m, v):
            array[...] = 0
        g = random_array("g", shape)
        ops.sgd_update(w, g, velocity, learning_rate=0.1, momentum=0.9, nesterov=True)
        ops.adam_update(w, g, m, v, learning_rate=0.1, step=1)
        for guard in guards:
            guard.check()
            assert (guard.array != 0).all()


@pytest.mark.usefixtures("isa", "one_thread")
def test_a_special_gradient_spoils_its_weight_alone() -> None:
    for width in range(1, 34):
        for position in range(width):
            g = np.ones(width, np.float32)
            g[position] = np.nan
            for optimizer in ("sgd", "adam"):
                w, m, v = (np.zeros(width, np.float32) for _ in range(3))
                if optimizer == "sgd":
                    ops.sgd_update(w, g, m, learning_rate=0.1, momentum=0.9)
                else:
                    ops.adam_update(w, g, m, v, learning_rate=0.1, step=1)
                assert np.isnan(w[position])
                others = np.delete(w, position)
                assert np.isfinite(others).all()
                assert np.unique(others).size <= 1


@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits() -> None:
    shape = (70_001,)

    def everything() -> tuple[Array, ...]:
        w, velocity, m, v = (random_array(name, shape) for name in ("w", "velocity", "m", "v"))
        v = np.abs(v)
        for step, g in enumerate(gradients(shape), start=1):
            ops.sgd_update(w, g, velocity, learning_rate=0.1, momentum=0.9, nesterov=True)
            ops.adam_update(w, g, m, v, learning_rate=0.01, step=step, weight_decay=0.01)
            ops.rmsprop_update(w, g, v, m, learning_rate=0.01, momentum=0.9)
        return w, velocity, m, v

    assert_threads_agree(everything)


def test_arrays_that_do_not_fit() -> None:
    w, g = np.ones(6, np.float32), np.ones(6, np.float32)
    others: tuple[Any, ...] = (
        np.ones(5, np.float32),
        np.ones(7, np.float32),
        np.ones((2, 3), np.float32),
        np.ones(0, np.float32),
        np.ones(6, np.float64),
        np.ones(12, np.float32)[::2],
        [1.0] * 6,
        None,
    )
    for other in others:
        with pytest.raises((ValueError, TypeError)):
            ops.sgd_update(w, g, other, learning_rate=0.1, momentum=0.9)
        with pytest.raises((ValueError, TypeError)):
            ops.adam_update(w, g, other, np.ones(6, np.float32), learning_rate=0.1, step=1)
        with pytest.raises((ValueError, TypeError)):
            ops.adam_update(w, g, np.ones(6, np.float32), other, learning_rate=0.1, step=1)
        if other is not None and len(other) == 6 and np.ndim(other) == 1:
            with pytest.raises((ValueError, TypeError)):
                ops.sgd_update(other, g, None, learning_rate=0.1)
    for shape in ((5,), (7,), (2, 3), (0,)):
        with pytest.raises(ValueError, match=r"\bg\b|gradient"):
            ops.sgd_update(w, np.ones(shape, np.float32), None, learning_rate=0.1)
        with pytest.raises(ValueError, match=r"\bg\b|gradient"):
            ops.adam_update(
                w, np.ones(shape, np.float32), w.copy(), w.copy(), learning_rate=0.1, step=1
            )
    np.testing.assert_array_equal(w, 1)
    read_only = np.ones(6, np.float32)
    read_only.flags.writeable = False
    with pytest.raises((ValueError, TypeError)):
        ops.sgd_update(read_only, g, None, learning_rate=0.1)


@pytest.mark.parametrize("step", [0, -1, 1.5])
def test_wrong_steps(step: Any) -> None:
    w, m, v = (np.ones(3, np.float32) for _ in range(3))
    with pytest.raises((ValueError, TypeError), match=r"step|integer"):
        ops.adam_update(w, w.copy(), m, v, learning_rate=0.1, step=step)


# Each with its slots, their first value, and some options.
OTHERS: tuple[tuple[str, tuple[str, ...], float, dict[str, Any]], ...] = (
    ("adagrad", ("accumulator",), 0.1, {}),
    ("adagrad", ("accumulator",), 0.0, {"epsilon": 1e-3, "weight_decay": 0.1}),
    ("adadelta", ("v", "u"), 0.0, {}),
    ("adadelta", ("v", "u"), 0.0, {"rho": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("adamax", ("m", "u"), 0.0, {}),
    ("adamax", ("m", "u"), 0.0, {"beta_1": 0.5, "beta_2": 0.9, "weight_decay": 0.1}),
    ("nadam", ("m", "v"), 0.0, {}),
    ("nadam", ("m", "v"), 0.0, {"beta_1": 0.5, "epsilon": 1e-3, "weight_decay": 0.1}),
    ("lion", ("m",), 0.0, {}),
    ("lion", ("m",), 0.0, {"beta_1": 0.5, "beta_2": 0.5, "weight_decay": 0.1}),
    *(("ftrl", ("accumulator", "linear"), 0.1, options) for options in FTRL_OPTIONS),
    ("adam", ("m", "v", "peak"), 0.0, {"beta_2": 0.5, "weight_decay": 0.1}),
    ("rmsprop", ("v", "momentum_buffer", "mean"), 0.0, {"momentum": 0.5, "rho": 0.6}),
)
COUNTED = ("adam", "adamax", "nadam")


def update(module: Any, name: str, step: int, options: dict[str, Any], **arrays: Array) -> None:
    counted = {"step": step} if name in COUNTED else {}
    getattr(module, f"{name}_update")(**arrays, learning_rate=0.01, **counted, **options)


@pytest.mark.parametrize(("name", "slots", "first", "options"), OTHERS, ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_others(name: str, slots: tuple[str, ...], first: float, options: dict[str, Any]) -> None:
    for shape in SHAPES:
        start = 0.0 if name == "ftrl" else 1.0  # a proximal step forgets where it began
        own = {"w": random_array("w", shape) * np.float32(start)}
        own |= {slot: np.full(shape, first, np.float32) for slot in slots}
        if "linear" in own:
            own["linear"][...] = 0.0
        wanted = {key: float64(array) for key, array in own.items()}
        for step, g in enumerate(gradients(shape), start=1):
            given = g.copy()
            update(ops, name, step, options, g=g, **own)
            update(reference, name, step, options, g=g, **wanted)
            np.testing.assert_array_equal(g, given)
        for key in own:
            # Differences of neighbouring numbers (of means and squares, of powers) lose some bits,
            # and their roots are divided by.
            assert_elementwise(own[key], wanted[key], floor=0.1, ulps=40 * STEPS)


@pytest.mark.parametrize("options", [{}, {"nesterov": False, "rounds": 3, "weight_decay": 0.1}])
@pytest.mark.parametrize("shape", [(1, 1), (3, 17), (17, 3), (64, 64), (130, 70), (70, 300)])
@pytest.mark.usefixtures("isa", "threads")
def test_muon(shape: tuple[int, int], options: dict[str, Any]) -> None:
    w, m = random_array("w", shape), np.zeros(shape, np.float32)
    wanted_w, wanted_m = all_float64(w, m)
    for g in gradients(shape):
        ops.muon_update(w, g, m, learning_rate=0.1, scale=2.0, **options)
        reference.muon_update(wanted_w, g, wanted_m, learning_rate=0.1, scale=2.0, **options)
    # Small singular values grow by 3.4 in a round, and their roundings with them: by up to 500.
    np.testing.assert_allclose(w, wanted_w, rtol=0, atol=2e-4)
    np.testing.assert_allclose(m, wanted_m, rtol=1e-5, atol=1e-6)


def test_muon_makes_steps_orthogonal() -> None:
    w, g = np.zeros((20, 50), np.float32), random_array("g", (20, 50))
    ops.muon_update(w, g, np.zeros_like(w), learning_rate=1.0)
    # Five rounds of the polynomial take singular values to 0.7 .. 1.2 (Jordan et al., 2024).
    values = np.linalg.svd(w, compute_uv=False)
    assert values.min() > 0.6
    assert values.max() < 1.3
    with pytest.raises(ValueError, match="matrix"):
        ops.muon_update(w[0], g[0], w[0].copy(), learning_rate=1.0)


@pytest.mark.parametrize("rounds", [-1, 1001, 2**30])  # the last would take minutes for 3 x 2
def test_rounds_of_muon_are_few(rounds: int) -> None:
    w, g, m = (np.ones((3, 2), np.float32) for _ in range(3))
    with pytest.raises(ValueError, match=f"rounds must be between 0 and 1000, but is {rounds}"):
        ops.muon_update(w, g, m, learning_rate=1.0, rounds=rounds)
    assert (w == 1.0).all()


@pytest.mark.usefixtures("isa")
def test_others_give_the_same_bits_for_all_threads() -> None:
    def everything() -> tuple[Array, ...]:
        found: list[Array] = []
        for name, slots, first, options in OTHERS:
            own = {"w": random_array("w", (70_001,))}
            own |= {slot: np.full((70_001,), first, np.float32) for slot in slots}
            for step, g in enumerate(gradients((70_001,)), start=1):
                update(ops, name, step, options, g=g, **own)
            found += own.values()
        w, m = random_array("w", (300, 170)), np.zeros((300, 170), np.float32)
        for g in gradients(w.shape):
            ops.muon_update(w, g, m, learning_rate=0.1)
        return (*found, w, m)

    assert_threads_agree(everything)


@pytest.mark.usefixtures("isa")
def test_lost_gradients_are_seen() -> None:
    for name, slots, first, options in OTHERS:
        own = {slot: np.full(5, first, np.float32) for slot in ("w", *slots)}
        g = np.array([1.0, np.nan, 1.0, 1.0, 1.0], np.float32)
        update(ops, name, 1, options, g=g, **own)
        assert np.isnan(own["w"]).tolist() == [False, True, False, False, False], name


@pytest.mark.usefixtures("isa")
def test_ftrl_without_gradients_gives_zeros() -> None:
    w, zeros = np.ones(21, np.float32), np.zeros(21, np.float32)
    ops.ftrl_update(w, zeros, zeros.copy(), zeros.copy(), learning_rate=0.1)
    np.testing.assert_array_equal(w, zeros)
