"""PReLU against the reference: which axes share a slope, every width, special numbers."""

from __future__ import annotations

import numpy as np
import pytest

from compare import (
    Array,
    all_float64,
    assert_close,
    assert_elementwise,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    random_array,
)
from convkit import ops, reference
from shapes import PRELUS


def make(case: tuple[tuple[int, ...], tuple[int, ...]]) -> tuple[Array, Array, Array]:
    shape, alpha_shape = case
    return random_array("dy", shape), random_array("x", shape), random_array("alpha", alpha_shape)


@pytest.mark.usefixtures("isa", "threads")
def test_against_the_reference() -> None:
    for case in PRELUS:
        dy, x, alpha = make(case)
        # A single product is rounded as NumPy rounds it.
        np.testing.assert_array_equal(
            ops.prelu_forward(x, alpha), reference.prelu_forward(x, alpha)
        )
        dx = ops.prelu_backward_input(dy, x, alpha)
        np.testing.assert_array_equal(dx, reference.prelu_backward_input(dy, x, alpha))
        dalpha = ops.prelu_backward_alpha(dy, x, alpha.shape)
        expected = reference.prelu_backward_alpha(*all_float64(dy, x), alpha.shape)
        terms = x.size // alpha.size
        assert_close(dalpha, expected, terms=terms, scale=np.sqrt(terms))


@pytest.mark.usefixtures("isa")
def test_long_sums_are_made_of_blocks() -> None:
    """A chain of additions of a million equal terms would be off by thousands of units."""
    for shape, alpha_shape in (((2, 700, 800, 1), (1, 1, 1)), ((1_000_003, 1), (1,))):
        x = np.full(shape, -0.1, np.float32)
        dalpha = ops.prelu_backward_alpha(np.ones(shape, np.float32), x, alpha_shape)
        expected = float(x.ravel()[0]) * x.size
        assert_elementwise(dalpha, np.full(alpha_shape, expected), ulps=128)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
def test_special_numbers(special: float) -> None:
    """In x and in the gradient, at places of the body and of the tail."""
    for case in ((6, 37), (37,)), ((6, 37), (1,)), ((2, 3, 37, 5), (3, 37, 1)):
        for place in (0, 36, -1):
            dy, x, alpha = make(case)
            x.reshape(-1)[place] = special
            with np.errstate(all="ignore"):
                assert_same = np.testing.assert_array_equal
                assert_same(ops.prelu_forward(x, alpha), reference.prelu_forward(x, alpha))
                dx = ops.prelu_backward_input(dy, x, alpha)
                assert_same(dx, reference.prelu_backward_input(dy, x, alpha))
                for gradient, values in ((dy, x), (x, np.abs(dy)), (x, dy)):
                    assert_close(
                        ops.prelu_backward_alpha(gradient, values, case[1]),
                        reference.prelu_backward_alpha(*all_float64(gradient, values), case[1]),
                        terms=case[0][0] * 37,
                    )


@pytest.mark.usefixtures("isa")
def test_out_is_used_and_may_be_an_input() -> None:
    for case in PRELUS[:24]:
        dy, x, alpha = make(case)
        assert_out_is_used(lambda a=(x, alpha), **k: ops.prelu_forward(*a, **k), ["out"])
        given = (dy, x, alpha)
        assert_out_is_used(lambda a=given, **k: ops.prelu_backward_input(*a, **k), ["out"])
        given = (dy, x, alpha.shape)
        assert_out_is_used(lambda a=given, **k: ops.prelu_backward_alpha(*a, **k), ["out"])
        dx = ops.prelu_backward_input(dy, x, alpha)
        for buffers in ((dy.copy(), x), (dy, x.copy())):
            for buffer in buffers:
                if buffer is not x and buffer is not dy:
                    ops.prelu_backward_input(*buffers, alpha, out=buffer)
                    assert_same_bits(buffer, dx)
        y = ops.prelu_forward(x, alpha)
        assert_same_bits(ops.prelu_forward(x, alpha, out=x), y)


@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits() -> None:
    for case in PRELUS[-8:]:
        dy, x, alpha = make(case)
        assert_threads_agree(
            lambda dy=dy, x=x, alpha=alpha: (
                ops.prelu_forward(x, alpha),
                ops.prelu_backward_input(dy, x, alpha),
                ops.prelu_backward_alpha(dy, x, alpha.shape),
            )
        )


def test_slopes_that_do_not_fit() -> None:
    x = random_array("x", (2, 3, 4, 5))
    for shape in ((5,), (3, 4), (3, 4, 2), (2, 4, 5), (1, 3, 4, 5)):
        for module in (ops, reference):
            with pytest.raises(ValueError, match="alpha must have the sizes of a sample"):
                module.prelu_forward(x, np.ones(shape, np.float32))
            with pytest.raises(ValueError, match="alpha must have the sizes of a sample"):
                module.prelu_backward_alpha(x, x, shape)
    x = random_array("x", (2, 3, 4, 5, 6, 7))
    with pytest.raises(ValueError, match="two runs of neighbouring axes"):
        ops.prelu_forward(x, np.ones((3, 1, 5, 1, 7), np.float32))
    with pytest.raises(ValueError, match="dy must have shape"):
        ops.prelu_backward_input(x[:1], x, np.ones((1, 1, 1, 1, 1), np.float32))
