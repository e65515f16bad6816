"""Zeros around images against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import assert_out_is_used, assert_same_bits, assert_threads_agree, random_array
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (
    *((2, 5, 3, c) for c in TAIL_CHANNELS),
    (1, 1, 1, 1),
    (3, 33, 17, 6),
    (32, 28, 28, 32),
)
PADDINGS = (
    ((0, 0), (0, 0)),
    ((1, 1), (1, 1)),
    ((3, 0), (0, 2)),
    ((0, 4), (5, 0)),
    ((7, 1), (2, 9)),
)

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_padding = pytest.mark.parametrize("padding", PADDINGS, ids=str)


@every_shape
@every_padding
@pytest.mark.usefixtures("threads")
def test_copies_are_exact(shape: tuple[int, ...], padding: Any) -> None:
    x = random_array("x", shape)
    y = ops.zero_padding2d_forward(x, padding)
    assert_same_bits(y, reference.zero_padding2d_forward(x, padding))
    dy = random_array("dy", y.shape)
    dx = ops.zero_padding2d_backward(dy, padding)
    assert_same_bits(dx, reference.zero_padding2d_backward(dy, padding))
    # Backward is the transpose of forward: it gives back what was put in, and forgets the frame.
    assert_same_bits(ops.zero_padding2d_backward(y, padding), x)


@every_shape
@every_padding
def test_out_is_used_and_its_surroundings_are_not(shape: tuple[int, ...], padding: Any) -> None:
    x = random_array("x", shape)
    y = ops.zero_padding2d_forward(x, padding)
    assert_out_is_used(lambda **k: ops.zero_padding2d_forward(x, padding, **k), ["out"])
    assert_out_is_used(lambda **k: ops.zero_padding2d_backward(y, padding, **k), ["out"])


def test_threads_give_the_same_bits() -> None:
    x = random_array("x", (32, 28, 28, 32))
    y = ops.zero_padding2d_forward(x, PADDINGS[-1])
    assert_threads_agree(
        lambda: (
            ops.zero_padding2d_forward(x, PADDINGS[-1]),
            ops.zero_padding2d_backward(y, PADDINGS[-1]),
        )
    )


@pytest.mark.parametrize("padding", [((2, 3), (0, 0)), ((0, 0), (4, 0)), ((5, 9), (9, 9))])
def test_a_gradient_that_is_nothing_but_padding(padding: Any) -> None:
    with pytest.raises(ValueError, match="nothing inside a padding"):
        ops.zero_padding2d_backward(np.ones((2, 5, 4, 3), np.float32), padding)


@pytest.mark.parametrize("rows", [2**31 - 1, 2**62])
def test_more_padding_than_memory(rows: int) -> None:
    with pytest.raises((ValueError, MemoryError)):
        ops.zero_padding2d_forward(np.ones((2, 3, 3, 1), np.float32), ((rows, rows), (rows, rows)))
