"""Axes in another order, against NumPy's transposition: every number is the same."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from compare import assert_out_is_used, assert_same_bits, assert_threads_agree, random_array
from convkit import ops, reference

SHAPES: tuple[tuple[int, ...], ...] = (
    (),
    (7,),
    (3, 5),
    (64, 65),
    (129, 17),
    (1, 40),
    (2, 3, 4),
    (5, 16, 33),
    (4, 1, 70),
    (2, 3, 4, 5),
    (3, 28, 28, 8),
    (1, 1, 1, 1),
    (2, 1, 66, 3),
    (2, 3, 2, 3, 2),
)
CASES = [
    pytest.param(shape, axes, id=f"{shape}-{axes}")
    for shape in SHAPES
    for axes in itertools.permutations(range(len(shape)))
]


@pytest.mark.parametrize(("shape", "axes"), CASES)
@pytest.mark.usefixtures("isa")
def test_every_order(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = random_array("x", shape)
    y = ops.permute(x, axes)
    assert_same_bits(y, np.transpose(x, axes).copy())
    assert_same_bits(y, reference.permute(x, axes))
    assert_same_bits(ops.permute(y, tuple(np.argsort(axes))), x)


@pytest.mark.parametrize("axes", [(0, 3, 1, 2), (0, 2, 1, 3), (3, 2, 1, 0), (0, 1, 2, 3)])
def test_threads_give_the_same_bits(axes: tuple[int, ...]) -> None:
    x = random_array("x", (9, 31, 33, 20))
    assert_threads_agree(lambda: ops.permute(x, axes))


@pytest.mark.parametrize(("shape", "axes"), CASES[:: max(1, len(CASES) // 40)])
def test_out_is_used_and_its_surroundings_are_not(
    shape: tuple[int, ...], axes: tuple[int, ...]
) -> None:
    x = random_array("x", shape)
    assert_out_is_used(lambda **k: ops.permute(x, axes, **k), ["out"])


def test_many_axes_and_empty_arrays() -> None:
    x = random_array("x", (2,) * 12)
    axes = (11, 0, 5, 4, 9, 8, 1, 2, 3, 10, 7, 6)
    assert_same_bits(ops.permute(x, axes), np.ascontiguousarray(x.transpose(axes)))
    empty = np.zeros((3, 0, 2), np.float32)
    assert ops.permute(empty, (2, 0, 1)).shape == (2, 3, 0)


def test_wrong_axes() -> None:
    x = np.ones((2, 3), np.float32)
    for wrong in ((0,), (0, 0), (0, 2), (-1, 0), (0, 1, 2), "01", ()):
        for module in (ops, reference):
            with pytest.raises(ValueError, match="axes must name each"):
                module.permute(x, wrong)
    with pytest.raises(ValueError, match="must have shape"):
        ops.permute(x, (1, 0), out=np.empty((2, 3), np.float32))
