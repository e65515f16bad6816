"""The penalty kernel against the reference, over every size of tail."""

from __future__ import annotations

import numpy as np
import pytest

from compare import assert_elementwise, assert_threads_agree, float64, random_array
from convkit import ops, reference

# Around the vectors, around a run of 64 vectors of 16, and several tasks of 2**14.
SHAPES = (*((n,) for n in range(1, 35)), (1023,), (1025,), (3, 3, 5, 7), (70_001,))
FACTORS = ({"l1": 0.25}, {"l2": 0.125}, {"l1": 0.01, "l2": 0.02}, {})


@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.usefixtures("isa", "threads")
def test_regularize(factors: dict[str, float]) -> None:
    for shape in SHAPES:
        w, g = random_array("w", shape), random_array("g", shape)
        w.flat[0] = 0.0  # where the gradient of |w| is 0
        expected_g, given = float64(g), w.copy()
        penalty = ops.regularize(w, g, **factors)
        expected = reference.regularize(float64(w), expected_g, **factors)
        np.testing.assert_array_equal(w, given)
        # Sums of up to 64 positive floats before each goes into a double: 64 * eps / 2 at worst.
        assert penalty == pytest.approx(expected, rel=32 * 1.2e-7)
        # Two roundings of the sum and one of each product.
        assert_elementwise(g, expected_g, ulps=4)
        assert ops.regularize(w, **factors) == penalty, "with and without the gradient"


def test_the_gradient_is_that_of_the_penalty() -> None:
    rng = np.random.default_rng(0)
    w, g, step = rng.normal(size=12), np.zeros(12), 1e-6
    reference.regularize(w, g, l1=0.3, l2=0.7)
    for i in range(12):
        there, back = w.copy(), w.copy()
        there[i] += step
        back[i] -= step
        pair = [reference.regularize(v, l1=0.3, l2=0.7) for v in (there, back)]
        assert (pair[0] - pair[1]) / (2 * step) == pytest.approx(g[i], abs=1e-8)


@pytest.mark.usefixtures("isa")
def test_the_same_bits_with_any_number_of_threads() -> None:
    w, start = random_array("w", (200_003,)), random_array("g", (200_003,))

    def run() -> tuple[np.ndarray, np.ndarray]:
        g = start.copy()
        return np.array(ops.regularize(w, g, l1=0.1, l2=0.3)), g

    assert_threads_agree(run)


def test_the_sum_stays_accurate_over_many_parameters() -> None:
    w = np.full(3_000_000, 0.1, np.float32)
    expected = 0.01 * float(np.float32(0.1)) ** 2 * w.size
    assert ops.regularize(w, l2=0.01) == pytest.approx(expected, rel=4e-6)


def test_a_gradient_that_does_not_fit() -> None:
    w = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"g must have shape \(3, 4\)"):
        ops.regularize(w, np.zeros(12, np.float32), l2=0.1)
    with pytest.raises(TypeError, match="g must be a float32 array"):
        ops.regularize(w, np.zeros((3, 4)), l2=0.1)
