"""Max and average pooling against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    Array,
    assert_close,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    float64,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import POOLS, Pool

every_problem = pytest.mark.parametrize("problem", POOLS, ids=str)


@every_problem
def test_output_shape(problem: Pool) -> None:
    shape = ops.pool2d_output_shape(problem.x_shape, problem.pool_size, **problem.options)
    assert shape == problem.y_shape


@every_problem
@pytest.mark.parametrize("make", [random_array, random_integers], ids=["distinct", "ties"])
@pytest.mark.usefixtures("isa")
def test_max_forward(problem: Pool, make: Any) -> None:
    """A maximum is not rounded, so values and indices must be equal, ties included."""
    x = make(problem.name, problem.x_shape)
    y, indices = ops.max_pool2d_forward(x, problem.pool_size, **problem.options)
    expected, positions = reference.max_pool2d_forward(x, problem.pool_size, **problem.options)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, positions)
    assert y.dtype == np.float32
    assert indices.dtype == positions.dtype
    assert (indices.dtype == np.uint8) == (problem.terms <= 256)


@every_problem
@pytest.mark.usefixtures("isa")
def test_max_backward(problem: Pool) -> None:
    x, dy = random_array("x", problem.x_shape), random_array("dy", problem.y_shape)
    _, indices = reference.max_pool2d_forward(x, problem.pool_size, **problem.options)
    arguments = (indices, problem.x_shape, problem.pool_size)
    dx = ops.max_pool2d_backward(dy, *arguments, **problem.options)
    expected = reference.max_pool2d_backward(float64(dy), *arguments, **problem.options)
    # At most all windows that hold a pixel meet in it.
    assert_close(dx, expected, terms=problem.terms, scale=1.0)
    whole = random_integers("dy", problem.y_shape)
    dx = ops.max_pool2d_backward(whole, *arguments, **problem.options)
    expected = reference.max_pool2d_backward(whole, *arguments, **problem.options)
    np.testing.assert_array_equal(dx, expected)


@every_problem
@pytest.mark.usefixtures("isa")
def test_average(problem: Pool) -> None:
    x, dy = random_array("x", problem.x_shape), random_array("dy", problem.y_shape)
    y = ops.average_pool2d_forward(x, problem.pool_size, **problem.options)
    expected = reference.average_pool2d_forward(float64(x), problem.pool_size, **problem.options)
    assert_close(y, expected, terms=problem.terms)
    arguments = (problem.x_shape, problem.pool_size)
    dx = ops.average_pool2d_backward(dy, *arguments, **problem.options)
    expected = reference.average_pool2d_backward(float64(dy), *arguments, **problem.options)
    assert_close(dx, expected, terms=problem.terms)


@every_problem
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(problem: Pool) -> None:
    x, dy = random_array("x", problem.x_shape), random_array("dy", problem.y_shape)
    size, shape, options = problem.pool_size, problem.x_shape, problem.options
    _, indices = ops.max_pool2d_forward(x, size, **options)
    assert_out_is_used(
        lambda **k: ops.max_pool2d_forward(x, size, **options, **k), ["out", "indices"]
    )
    assert_out_is_used(
        lambda **k: ops.max_pool2d_backward(dy, indices, shape, size, **options, **k), ["out"]
    )
    assert_out_is_used(lambda **k: ops.average_pool2d_forward(x, size, **options, **k), ["out"])
    assert_out_is_used(
        lambda **k: ops.average_pool2d_backward(dy, shape, size, **options, **k), ["out"]
    )


@every_problem
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(problem: Pool) -> None:
    x, dy = random_array("x", problem.x_shape), random_array("dy", problem.y_shape)
    size, shape, options = problem.pool_size, problem.x_shape, problem.options

    def everything() -> tuple[Array, ...]:
        y, indices = ops.max_pool2d_forward(x, size, **options)
        return (
            y,
            indices,
            ops.max_pool2d_backward(dy, indices, shape, size, **options),
            ops.average_pool2d_forward(x, size, **options),
            ops.average_pool2d_backward(dy, shape, size, **options),
        )

    assert_threads_agree(everything)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("options", [{}, {"strides": 1, "padding": "same"}], ids=["plain", "same"])
@pytest.mark.usefixtures("isa", "one_thread")
def test_body_and_tail_treat_special_numbers_alike(special: float, options: dict[str, Any]) -> None:
    """A special number in one channel, at every position of the window, for widths 1 to 33."""
    for channels in range(1, 34):
        for position in range(channels):
            x = random_array("x", (1, 4, 2, channels))
            x[0, position % 4, position % 2, position] = special
            y, indices = ops.max_pool2d_forward(x, **options)
            expected, positions = reference.max_pool2d_forward(x, **options)
            np.testing.assert_array_equal(y, expected)
            np.testing.assert_array_equal(indices, positions)
            average = ops.average_pool2d_forward(x, **options)
            assert_close(average, reference.average_pool2d_forward(x, **options), terms=4, scale=1)


@pytest.mark.parametrize("special", [np.nan, -np.inf])
@pytest.mark.parametrize("window", [(2, 2), (3, 3), (17, 17)])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.usefixtures("isa")
def test_windows_of_nothing_but_nan_or_minus_infinity(
    special: float, window: tuple[int, int], padding: str
) -> None:
    """The first pixel that is not padding wins, and its index is safe to go back with."""
    for channels in (1, 16, 21):
        x = np.full((1, 20, 19, channels), special, np.float32)
        y, indices = ops.max_pool2d_forward(x, window, padding=padding)
        expected, positions = reference.max_pool2d_forward(x, window, padding=padding)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(indices, positions)
        dy = random_array("dy", y.shape)
        dx = ops.max_pool2d_backward(dy, indices, x.shape, window, padding=padding)
        expected = reference.max_pool2d_backward(dy, positions, x.shape, window, padding=padding)
        np.testing.assert_array_equal(dx, expected)


@pytest.mark.usefixtures("isa", "one_thread")
def test_the_first_nan_of_a_window_wins() -> None:
    for window in ((2, 2), (3, 3)):
        size = window[0] * window[1]
        for first in range(size):
            for second in range(first, size):
                pixels = np.arange(size, dtype=np.float32)
                pixels[[first, second]] = np.nan
                x = np.repeat(pixels.reshape(1, *window, 1), 19, axis=3)
                y, indices = ops.max_pool2d_forward(x, window)
                assert np.isnan(y).all()
                assert (indices == first).all()


@pytest.mark.usefixtures("isa")
def test_zeros_of_either_sign_are_equal() -> None:
    x = np.zeros((1, 2, 2, 19), np.float32)
    x[0, 0, 0] = -0.0
    _, indices = ops.max_pool2d_forward(x)
    assert (indices == 0).all()


def test_strides_default_to_the_window() -> None:
    x = random_array("x", (1, 6, 9, 3))
    first = ops.max_pool2d_forward(x, (2, 3))
    assert_same_bits(first, ops.max_pool2d_forward(x, (2, 3), strides=(2, 3)))
    assert_same_bits(ops.average_pool2d_forward(x, 3), ops.average_pool2d_forward(x, (3, 3)))
