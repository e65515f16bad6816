"""Normalisation by given statistics, and the addition of biases, against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from compare import (
    Array,
    all_float64,
    assert_elementwise,
    assert_out_is_used,
    assert_threads_agree,
    random_array,
)
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (*((2, 5, 3, c) for c in TAIL_CHANNELS), (33, 32, 32, 3), (9, 7, 7, 128), (3, 40_001))


def make(shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    x, mean, scale = (
        random_array(n, s) for n, s in (("x", shape), ("m", shape[-1:]), ("s", shape[-1:]))
    )
    return x, mean, scale


@pytest.mark.usefixtures("isa", "threads")
def test_forward_and_backward() -> None:
    for shape in SHAPES:
        x, mean, scale = make(shape)
        y = ops.normalization_forward(x, mean, scale)
        expected = reference.normalization_forward(*all_float64(x, mean, scale))
        assert_elementwise(y, expected, ulps=1, floor=float(np.abs(expected).max()))
        dx = ops.normalization_backward(x, scale)
        np.testing.assert_array_equal(dx, reference.normalization_backward(x, scale))


@pytest.mark.usefixtures("isa")
def test_a_large_mean_costs_no_digits() -> None:
    """x * scale - mean * scale would be off by some 1e-3 here."""
    x = (20_000 + np.arange(64, dtype=np.float32) / 8).reshape(16, 4)
    mean, scale = np.full(4, 20_004, np.float32), np.full(4, 8, np.float32)
    expected = (x.astype(np.float64) - mean) * scale
    np.testing.assert_array_equal(ops.normalization_forward(x, mean, scale), expected)


@pytest.mark.usefixtures("isa", "threads")
@pytest.mark.parametrize("activation", [None, "relu"])
def test_biases_are_added(activation: str | None) -> None:
    for shape in SHAPES:
        x, b, _ = make(shape)
        for given in (b, None):
            y = ops.bias_forward(x, given, activation=activation)
            np.testing.assert_array_equal(
                y, reference.bias_forward(x, given, activation=activation)
            )


@pytest.mark.usefixtures("isa")
def test_out_is_used_and_may_be_the_input() -> None:
    for shape in SHAPES:
        x, mean, scale = make(shape)
        forward = ops.normalization_forward, (x, mean, scale)
        for op, arrays in (
            forward,
            (ops.normalization_backward, (x, scale)),
            (ops.bias_forward, (x, mean)),
        ):
            assert_out_is_used(lambda op=op, a=arrays, **k: op(*a, **k), ["out"])
            own = x.copy()
            expected = op(*arrays)
            np.testing.assert_array_equal(op(own, *arrays[1:], out=own), expected)


@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits() -> None:
    for shape in ((64, 28, 28, 1), (33, 32, 32, 3), (3, 70_001)):
        x, mean, scale = make(shape)
        assert_threads_agree(
            lambda x=x, m=mean, s=scale: (
                ops.normalization_forward(x, m, s),
                ops.bias_forward(x, m),
            )
        )


@pytest.mark.parametrize("module", [ops, reference])
def test_shapes_must_agree(module: object) -> None:
    x, five = np.ones((2, 4), np.float32), np.ones(5, np.float32)
    four = np.ones(4, np.float32)
    for call in (
        lambda m: m.normalization_forward(x, five, four),
        lambda m: m.normalization_forward(x, four, five),
        lambda m: m.normalization_backward(x, five),
        lambda m: m.bias_forward(x, five),
    ):
        with pytest.raises(ValueError, match="must have shape"):
            call(module)
