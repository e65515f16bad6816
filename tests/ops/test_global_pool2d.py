"""Global pooling against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from compare import (
    Array,
    assert_close,
    assert_out_is_used,
    assert_threads_agree,
    float64,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (
    *((2, 5, 3, c) for c in TAIL_CHANNELS),
    (1, 1, 1, 1),
    (5, 1, 1, 33),
    (1, 1, 9, 4),
    (3, 33, 17, 6),
    (2, 64, 64, 3),
    (9, 7, 7, 128),
)

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)


@every_shape
@pytest.mark.usefixtures("isa")
def test_average(shape: tuple[int, int, int, int]) -> None:
    x, dy = random_array("x", shape), random_array("dy", (shape[0], shape[3]))
    pixels = shape[1] * shape[2]
    y = ops.global_average_pool2d_forward(x)
    # The mean of many numbers is small beside the numbers, 1 / sqrt(pixels) of them.
    scale = float(1 / np.sqrt(pixels))
    assert_close(y, reference.global_average_pool2d_forward(float64(x)), terms=pixels, scale=scale)
    dx = ops.global_average_pool2d_backward(dy, shape)
    assert_close(dx, reference.global_average_pool2d_backward(float64(dy), shape))


@every_shape
@pytest.mark.usefixtures("isa")
def test_max(shape: tuple[int, int, int, int]) -> None:
    for make in (random_array, random_integers):
        x, dy = make("x", shape), make("dy", (shape[0], shape[3]))
        y, indices = ops.global_max_pool2d_forward(x)
        expected, positions = reference.global_max_pool2d_forward(x)
        assert y.dtype == np.float32
        assert indices.dtype == np.int32
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(indices, positions)
        dx = ops.global_max_pool2d_backward(dy, indices, shape)
        expected = reference.global_max_pool2d_backward(dy, positions, shape)
        assert dx.dtype == np.float32
        np.testing.assert_array_equal(dx, expected)


@every_shape
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(shape: tuple[int, int, int, int]) -> None:
    x, dy = random_array("x", shape), random_array("dy", (shape[0], shape[3]))
    _, indices = ops.global_max_pool2d_forward(x)
    assert_out_is_used(lambda **k: ops.global_average_pool2d_forward(x, **k), ["out"])
    assert_out_is_used(lambda **k: ops.global_average_pool2d_backward(dy, shape, **k), ["out"])
    assert_out_is_used(lambda **k: ops.global_max_pool2d_forward(x, **k), ["out", "indices"])
    assert_out_is_used(lambda **k: ops.global_max_pool2d_backward(dy, indices, shape, **k), ["out"])


@every_shape
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(shape: tuple[int, int, int, int]) -> None:
    x, dy = random_array("x", shape), random_array("dy", (shape[0], shape[3]))

    def everything() -> tuple[Array, ...]:
        y, indices = ops.global_max_pool2d_forward(x)
        return (
            y,
            indices,
            ops.global_max_pool2d_backward(dy, indices, shape),
            ops.global_average_pool2d_forward(x),
            ops.global_average_pool2d_backward(dy, shape),
        )

    assert_threads_agree(everything)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
def test_body_and_tail_treat_special_numbers_alike(special: float) -> None:
    for channels in range(1, 34):
        for position in range(channels):
            x = random_array("x", (1, 2, 3, channels))
            x[0, position % 2, position % 3, position] = special
            y, indices = ops.global_max_pool2d_forward(x)
            expected, positions = reference.global_max_pool2d_forward(x)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(indices, positions)
            average = ops.global_average_pool2d_forward(x)
            expected = reference.global_average_pool2d_forward(x)
            assert_close(average, expected, terms=6, scale=1)


@pytest.mark.parametrize("special", [np.nan, -np.inf])
@pytest.mark.usefixtures("isa")
def test_planes_of_nothing_but_nan_or_minus_infinity(special: float) -> None:
    for channels in (1, 16, 21):
        x = np.full((2, 3, 4, channels), special, np.float32)
        y, indices = ops.global_max_pool2d_forward(x)
        np.testing.assert_array_equal(y, x[:, 0, 0])
        assert (indices == 0).all()
        dx = ops.global_max_pool2d_backward(np.ones_like(y), indices, x.shape)
        assert (dx[:, 0, 0] == 1).all()
        assert dx.sum() == 2 * channels
