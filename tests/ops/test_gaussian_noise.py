"""Normally distributed noise: against the reference, its distribution, the same bits everywhere."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from compare import (
    Array,
    all_float64,
    assert_elementwise,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    random_array,
)
from convkit import ops, reference, runtime

COUNTS = (1, 2, 3, 4, 5, 15, 16, 17, 31, 33, 63, 65, 129, 1000)
SEEDS = ((0, 0), (2**64 - 1, 2**64 - 1), (12345, 3 << 48))


@pytest.fixture
def own_isa() -> Iterator[None]:
    former = runtime.isa()
    yield
    runtime.set_isa(former)


def noise(count: int, seed: int = 3, step: int = 0) -> Array:
    return ops.gaussian_noise_forward(np.zeros(count, np.float32), 1.0, seed=seed, step=step)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize(("seed", "offset"), SEEDS)
@pytest.mark.usefixtures("isa")
def test_against_the_reference(count: int, seed: int, offset: int) -> None:
    x = random_array("x", (count,))
    numbers = {"seed": seed, "step": 7, "offset": offset}
    (exact,) = all_float64(x)
    # The logarithm's two units, the root's and the angle's, times radii up to six.
    for stddev in (0.25, 3.0):
        wanted = reference.gaussian_noise_forward(exact, stddev, **numbers)
        y = ops.gaussian_noise_forward(x, stddev, **numbers)
        assert_elementwise(y, wanted, ulps=8, floor=6 * stddev)
    for rate in (0.1, 0.5):
        y = ops.gaussian_dropout_forward(x, rate, **numbers)
        wanted = reference.gaussian_dropout_forward(exact, rate, **numbers)
        assert_elementwise(y, wanted, ulps=8, floor=6 * float(np.abs(x).max()))
        assert_same_bits(ops.gaussian_dropout_backward(x, rate, **numbers), y)
        np.testing.assert_array_equal(
            reference.gaussian_dropout_backward(exact, rate, **numbers), wanted
        )


@pytest.mark.usefixtures("own_isa")
def test_all_instruction_sets_give_the_same_bits() -> None:
    x = random_array("x", (100_003,))
    found = []
    for name in runtime.available_isas():
        runtime.set_isa(name)
        found.append(
            (
                ops.gaussian_noise_forward(x, 0.7, seed=5, step=11),
                ops.gaussian_dropout_forward(x, 0.3, seed=5, step=11),
            )
        )
    for each in found[1:]:
        assert_same_bits(each, found[0])


def test_the_numbers_are_normal() -> None:
    z = noise(1_000_000).astype(np.float64)
    count = z.size
    # Six standard deviations of each mean.
    assert abs(z.mean()) < 6 / math.sqrt(count)
    assert abs((z**2).mean() - 1) < 6 * math.sqrt(2 / count)
    assert abs((z**3).mean()) < 6 * math.sqrt(15 / count)
    assert abs((z**4).mean() - 3) < 6 * math.sqrt(96 / count)
    assert 4.3 < np.abs(z).max() < 5.7
    # Kolmogorov and Smirnov: the distribution function is nowhere further away than 1.95 / sqrt(n),
    # but once in a thousand.
    grid = np.linspace(-4, 4, 801)
    below = np.searchsorted(np.sort(z), grid, side="right") / count
    wanted = np.array([0.5 * (1 + math.erf(each / math.sqrt(2))) for each in grid])
    assert np.abs(below - wanted).max() < 1.95 / math.sqrt(count)
    # Neighbours, and pairs of pairs, have nothing to do with each other.
    for lag in (1, 2, 3, 4, 8):
        assert abs((z[lag:] * z[:-lag]).mean()) < 6 / math.sqrt(count)
    assert abs((z * noise(count, step=1)).mean()) < 6 / math.sqrt(count)
    assert abs((z * noise(count, seed=4)).mean()) < 6 / math.sqrt(count)


def test_an_element_s_number_does_not_depend_on_the_others() -> None:
    whole = noise(1000)
    for count in (1, 5, 64, 999):
        assert_same_bits(noise(count), whole[:count])
    x = random_array("x", (10, 100))
    assert_same_bits(
        ops.gaussian_noise_forward(x, 0.5, seed=3).ravel(),
        ops.gaussian_noise_forward(x.ravel(), 0.5, seed=3),
    )


def test_what_is_multiplied_has_dropout_s_mean_and_variance() -> None:
    ones = np.ones(500_000, np.float32)
    for rate in (0.1, 0.5, 0.8):
        y = ops.gaussian_dropout_forward(ones, rate, seed=8).astype(np.float64)
        variance = rate / (1 - rate)
        assert abs(y.mean() - 1) < 6 * math.sqrt(variance / y.size)
        assert abs(y.var() - variance) < 6 * variance * math.sqrt(2 / y.size)


def test_nothing_is_added_without_a_deviation() -> None:
    x = random_array("x", (77,))
    assert_same_bits(ops.gaussian_noise_forward(x, 0.0, seed=1), x)
    assert_same_bits(ops.gaussian_dropout_forward(x, 0.0, seed=1), x)
    assert_same_bits(ops.gaussian_noise_backward(x), x)
    assert_same_bits(reference.gaussian_noise_backward(x), x)
    buffer = x.copy()
    assert ops.gaussian_noise_backward(buffer, out=buffer) is buffer
    assert_same_bits(buffer, x)


def test_threads_and_out() -> None:
    x = random_array("x", (70_001,))

    def both() -> tuple[Array, ...]:
        return (
            ops.gaussian_noise_forward(x, 0.3, seed=5, offset=1),
            ops.gaussian_dropout_forward(x, 0.3, seed=5, offset=1),
            ops.gaussian_noise_backward(x),
        )

    assert_threads_agree(both)
    for size in (1, 5, 64, 1000):
        part = x[:size]
        for function in (ops.gaussian_noise_forward, ops.gaussian_dropout_forward):
            assert_out_is_used(lambda f=function, p=part, **k: f(p, 0.3, seed=5, **k), ["out"])
            buffer = part.copy()
            assert function(buffer, 0.3, seed=5, out=buffer) is buffer
            assert_same_bits(buffer, function(part, 0.3, seed=5))
        assert_out_is_used(lambda p=part, **k: ops.gaussian_noise_backward(p, **k), ["out"])


def test_wrong_arguments() -> None:
    x = np.ones(4, np.float32)
    for module in (ops, reference):
        for wrong in (-0.1, np.nan, np.inf):
            with pytest.raises(ValueError, match=r"deviation|stddev"):
                module.gaussian_noise_forward(x, wrong, seed=0)
        for wrong in (-0.1, 1.0, np.nan):
            with pytest.raises(ValueError, match="rate"):
                module.gaussian_dropout_forward(x, wrong, seed=0)
        with pytest.raises(TypeError):
            module.gaussian_noise_forward(x, 1.0, seed=1.5)
    with pytest.raises(ValueError, match="deviation"):
        ops.gaussian_noise_forward(x, 1e300, seed=0)
