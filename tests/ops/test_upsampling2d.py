"""Upsampled images against the reference: repeated pixels, bilinear interpolation, the adjoint."""

from __future__ import annotations

from functools import partial
from typing import Any

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
    float64,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (
    *((2, 4, 3, c) for c in TAIL_CHANNELS),
    (1, 1, 1, 1),
    (3, 1, 7, 4),
    (2, 9, 1, 20),
    (5, 14, 13, 16),
)
SIZES = ((1, 1), (2, 2), (3, 3), (1, 4), (5, 2), (7, 1), (2, 9))
KINDS = ("nearest", "bilinear")

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_size = pytest.mark.parametrize("size", SIZES, ids=str)
every_kind = pytest.mark.parametrize("interpolation", KINDS)


def larger(shape: tuple[int, ...], size: tuple[int, int]) -> tuple[int, ...]:
    return shape[0], shape[1] * size[0], shape[2] * size[1], shape[3]


@every_shape
@every_size
@every_kind
@pytest.mark.usefixtures("isa")
def test_both_directions(shape: tuple[int, ...], size: tuple[int, int], interpolation: str) -> None:
    x, dy = random_array("x", shape), random_array("dy", larger(shape, size))
    options: dict[str, Any] = {"interpolation": interpolation}
    y = ops.upsampling2d_forward(x, size, **options)
    # A value is made of four pixels at most, by two roundings a direction.
    wanted = reference.upsampling2d_forward(float64(x), size, **options)
    assert_elementwise(y, wanted, ulps=4, floor=4)
    dx = ops.upsampling2d_backward(dy, size, **options)
    terms = 4 * size[0] * size[1]
    assert_close(dx, reference.upsampling2d_backward(float64(dy), size, **options), terms=terms)


@every_shape
@every_size
def test_repeated_pixels_are_exact(shape: tuple[int, ...], size: tuple[int, int]) -> None:
    x, dy = random_array("x", shape), random_integers("dy", larger(shape, size))
    y = np.repeat(np.repeat(x, size[0], axis=1), size[1], axis=2)
    assert_same_bits(ops.upsampling2d_forward(x, size), y)
    sums = dy.reshape(*shape[:2], size[0], shape[2], size[1], shape[3]).sum(axis=(2, 4))
    np.testing.assert_array_equal(ops.upsampling2d_backward(dy, size), sums)


@every_size
@every_kind
def test_backward_is_the_adjoint(size: tuple[int, int], interpolation: str) -> None:
    """Of whole numbers and weights that are powers of two, exactly: <U x, dy> = <x, U^T dy>."""
    if interpolation == "bilinear":
        size = (2, 4)
    shape = (2, 5, 4, 17)
    x, dy = random_integers("x", shape), random_integers("dy", larger(shape, size))
    y = ops.upsampling2d_forward(x, size, interpolation=interpolation)
    dx = ops.upsampling2d_backward(dy, size, interpolation=interpolation)
    assert float((float64(y) * dy).sum()) == float((float64(x) * dx).sum())


def test_half_pixels() -> None:
    """The middles of two pixels become four numbers, and the ends are flat."""
    x = np.array([0, 8], np.float32).reshape(1, 1, 2, 1)
    y = ops.upsampling2d_forward(x, (1, 4), interpolation="bilinear")
    np.testing.assert_array_equal(y.ravel(), [0, 0, 1, 3, 5, 7, 8, 8])
    odd = ops.upsampling2d_forward(3 * x, (1, 3), interpolation="bilinear")
    np.testing.assert_allclose(odd.ravel(), [0, 0, 8, 16, 24, 24], rtol=1e-6)


@every_kind
def test_infinities_stay_where_nothing_is_beside_them(interpolation: str) -> None:
    x = np.zeros((1, 3, 3, 1), np.float32)
    x[0, 0, 0], x[0, 2, 2] = np.inf, np.nan
    y = ops.upsampling2d_forward(x, 3, interpolation=interpolation)[0, ..., 0]
    assert (y[:2, :2] == np.inf).all()
    assert np.isnan(y[-2:, -2:]).all()
    assert np.isfinite(y[:2, -2:]).all()
    assert np.isfinite(y[4, 4])


@every_kind
def test_sums_over_a_factor_of_thousands(interpolation: str) -> None:
    """A chain of additions would be wrong by some hundred units in the last place."""
    for size in ((20000, 1), (1, 20000)):
        shape = (1, 2, 2, 3)
        dy = np.abs(random_array("dy", larger(shape, size))) + 1
        dx = ops.upsampling2d_backward(dy, size, interpolation=interpolation)
        wanted = reference.upsampling2d_backward(float64(dy), size, interpolation=interpolation)
        np.testing.assert_allclose(dx, wanted, rtol=3e-6)


@every_kind
def test_threads_give_the_same_bits(interpolation: str) -> None:
    x, dy = random_array("x", (16, 14, 14, 33)), random_array("dy", (16, 28, 42, 33))
    options: dict[str, Any] = {"interpolation": interpolation}

    def both() -> tuple[Array, Array]:
        return (
            ops.upsampling2d_forward(x, (2, 3), **options),
            ops.upsampling2d_backward(dy, (2, 3), **options),
        )

    assert_threads_agree(both)


@every_kind
@every_size
def test_out_is_used_and_its_surroundings_are_not(
    interpolation: str, size: tuple[int, int]
) -> None:
    for shape in ((2, 3, 4, 5), (1, 2, 2, 16)):
        x, dy = random_array("x", shape), random_array("dy", larger(shape, size))
        for function, given in ((ops.upsampling2d_forward, x), (ops.upsampling2d_backward, dy)):
            call = partial(function, given, size, interpolation=interpolation)
            assert_out_is_used(call, ["out"])


def test_wrong_arguments() -> None:
    x = np.ones((1, 4, 6, 2), np.float32)
    for module in (ops, reference):
        for function in (module.upsampling2d_forward, module.upsampling2d_backward):
            with pytest.raises(ValueError, match="interpolation must be 'nearest' or 'bilinear'"):
                function(x, 2, interpolation="bicubic")
            with pytest.raises(ValueError, match="size"):
                function(x, 0)
            with pytest.raises(ValueError, match="size"):
                function(x, (1, 2, 3))
        with pytest.raises(ValueError, match=r"dy"):
            module.upsampling2d_backward(x, (3, 1))
        with pytest.raises(ValueError, match="dimensions"):
            module.upsampling2d_forward(x[0], 2)


@pytest.mark.parametrize("size", [2**31 - 1, (1, 2**31 - 1)])
def test_more_pixels_than_memory(size: Any) -> None:
    with pytest.raises((ValueError, MemoryError)):
        ops.upsampling2d_forward(np.ones((2, 30, 30, 1), np.float32), size)


def test_the_reference_is_linear() -> None:
    """Its two directions are each other's adjoint, in float64."""
    for interpolation in KINDS:
        x, dy = all_float64(random_array("x", (2, 3, 4, 2)), random_array("dy", (2, 15, 8, 2)))
        y = reference.upsampling2d_forward(x, (5, 2), interpolation=interpolation)
        dx = reference.upsampling2d_backward(dy, (5, 2), interpolation=interpolation)
        np.testing.assert_allclose((y * dy).sum(), (x * dx).sum())
