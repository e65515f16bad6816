"""Dropout: the kernel must drop exactly the elements that the reference drops."""

from __future__ import annotations

import numpy as np
import pytest

from compare import assert_out_is_used, assert_same_bits, assert_threads_agree, random_array
from convkit import ops, reference

RATES = (0.0, 0.1, 0.25, 0.5, 0.9, 0.999, 1 - 2**-24)
KEYS = ((0, 0), (1, 0), (0, 1), (2**32 - 1, 2**32), (2**63 + 12345, 2**40 + 7), (2**64 - 1,) * 2)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.usefixtures("isa", "threads")
def test_the_same_elements_with_the_same_bits(rate: float) -> None:
    for seed, offset in KEYS:
        for shape in ((1,), (2,), (3,), (4,), (5,), (17,), (63,), (4, 33), (2, 3, 5, 7)):
            x = random_array("x", shape)
            y = ops.dropout_forward(x, rate, seed=seed, offset=offset)
            assert_same_bits(y, reference.dropout_forward(x, rate, seed=seed, offset=offset))
            dx = ops.dropout_backward(x, rate, seed=seed, offset=offset)
            assert_same_bits(dx, y)


@pytest.mark.usefixtures("isa")
def test_a_large_array() -> None:
    x = np.ones((37, 41, 43), np.float32)
    y = ops.dropout_forward(x, 0.5, seed=3, offset=9)
    assert_same_bits(y, reference.dropout_forward(x, 0.5, seed=3, offset=9))
    assert abs((y == 2).mean() - 0.5) < 0.01
    assert_threads_agree(lambda: ops.dropout_forward(x, 0.5, seed=3, offset=9))


@pytest.mark.usefixtures("isa", "one_thread")
def test_every_width_and_special_number() -> None:
    """A dropped NaN is 0, a kept one stays; the same in the vector's body and its tail."""
    for width in range(1, 34):
        for special in (np.nan, np.inf):
            x = np.full(width, special, np.float32)
            y = ops.dropout_forward(x, 0.5, seed=width)
            expected = reference.dropout_forward(x, 0.5, seed=width)
            np.testing.assert_array_equal(y, expected)


@pytest.mark.usefixtures("isa", "threads")
def test_out_is_used_and_may_be_the_input() -> None:
    for shape in ((1,), (33,), (300, 333)):
        x = random_array("x", shape)
        assert_out_is_used(
            lambda x=x, **k: ops.dropout_forward(x, 0.3, seed=5, offset=1, **k), ["out"]
        )
        assert_out_is_used(
            lambda x=x, **k: ops.dropout_backward(x, 0.3, seed=5, offset=1, **k), ["out"]
        )
        buffer = x.copy()
        assert ops.dropout_forward(buffer, 0.3, seed=5, out=buffer) is buffer
        assert_same_bits(buffer, ops.dropout_forward(x, 0.3, seed=5))


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5, np.nan, np.inf])
def test_rates_outside_zero_to_one(rate: float) -> None:
    x = np.ones(4, np.float32)
    with pytest.raises(ValueError, match="rate"):
        ops.dropout_forward(x, rate, seed=0)
    with pytest.raises(ValueError, match="rate"):
        ops.dropout_backward(x, rate, seed=0)


def test_seeds_are_taken_modulo_64_bits() -> None:
    x = np.ones(99, np.float32)
    for module in (ops, reference):
        for same in ((3 + 2**64, 5), (3, 5 - 2**64), (3 - 2**65, 5 + 2**70)):
            y = module.dropout_forward(x, 0.5, seed=same[0], offset=same[1])
            assert_same_bits(y, module.dropout_forward(x, 0.5, seed=3, offset=5))
        for step, offset in ((5, 0), (4, 1), (2**64 + 7, -2)):
            assert_same_bits(y, module.dropout_forward(x, 0.5, seed=3, step=step, offset=offset))
        for wrong in (1.5, "1", None):
            with pytest.raises(TypeError):
                module.dropout_forward(x, 0.5, seed=wrong)
            with pytest.raises(TypeError):
                module.dropout_forward(x, 0.5, seed=1, offset=wrong)
            with pytest.raises(TypeError):
                module.dropout_forward(x, 0.5, seed=1, step=wrong)
