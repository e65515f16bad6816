"""The rescaling of channels against the reference."""

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

SHAPES = (
    *((2, 5, 3, c) for c in TAIL_CHANNELS),
    *((n, 1) for n in range(1, 35)),
    *((n, 3) for n in range(1, 35)),
    (7,),
    (64, 28, 28, 1),
    (33, 32, 32, 3),
    (9, 7, 7, 128),
)


def make(shape: tuple[int, ...]) -> tuple[Array, Array, Array]:
    return tuple(
        random_array(name, s) for name, s in (("x", shape), ("a", shape[-1:]), ("b", shape[-1:]))
    )


@pytest.mark.usefixtures("isa", "threads")
def test_forward_and_backward() -> None:
    for shape in SHAPES:
        x, scale, offset = make(shape)
        y = ops.rescaling_forward(x, scale, offset)
        # Half a unit of the result, and without multiply-add instructions half one of the product.
        expected = reference.rescaling_forward(*all_float64(x, scale, offset))
        assert_elementwise(y, expected, ulps=1, floor=float(np.abs(x * scale).max()))
        dx = ops.rescaling_backward(x, scale)
        np.testing.assert_array_equal(dx, reference.rescaling_backward(x, scale))
        assert (np.signbit(dx) == np.signbit(x * scale)).all()


@pytest.mark.usefixtures("isa")
def test_a_value_never_depends_on_its_place() -> None:
    """Vectors, their tails and the rest of several positions in one vector give the same bits."""
    for channels in (1, 2, 3, 5, 16, 17):
        row = random_array("row", (channels,))
        scale, offset = random_array("a", (channels,)), random_array("b", (channels,))
        y = ops.rescaling_forward(np.tile(row, (101, 1)), scale, offset)
        assert (y.view(np.uint32) == y[0].view(np.uint32)).all()


@pytest.mark.usefixtures("isa")
def test_special_numbers_stay_where_they_are() -> None:
    for channels in (1, 3, 20):
        for special in (np.nan, np.inf, -np.inf):
            x = random_array("x", (7, channels))
            x[3, channels // 2] = special
            y = ops.rescaling_forward(x, np.full(channels, -2.0), np.ones(channels))
            np.testing.assert_array_equal(y, x * -2 + 1)


@pytest.mark.usefixtures("isa")
def test_out_is_used_and_may_be_the_input() -> None:
    for shape in SHAPES:
        x, scale, offset = make(shape)
        assert_out_is_used(
            lambda a=(x, scale, offset), **k: ops.rescaling_forward(*a, **k), ["out"]
        )
        assert_out_is_used(lambda a=(x, scale), **k: ops.rescaling_backward(*a, **k), ["out"])
        expected = ops.rescaling_forward(x, scale, offset)
        np.testing.assert_array_equal(ops.rescaling_forward(x, scale, offset, out=x), expected)


@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits() -> None:
    for shape in ((64, 28, 28, 1), (33, 32, 32, 3), (70_001,)):
        x, scale, offset = make(shape)
        assert_threads_agree(
            lambda x=x, a=scale, b=offset: (
                ops.rescaling_forward(x, a, b),
                ops.rescaling_backward(x, a),
            )
        )
