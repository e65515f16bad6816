"""The fused convolution, ReLU and max-pool: against the reference, and against its three parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    DIRECT,
    WINOGRAD,
    Array,
    assert_close,
    assert_same_bits,
    assert_threads_agree,
    direct_convolutions,
    float64,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import CONVOLUTIONS, Conv

PROBLEMS = [p for p in CONVOLUTIONS if min(p.y_shape[1:3]) >= 2]

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
with_or_without_relu = pytest.mark.parametrize("activation", ["relu", None])


def inputs(problem: Conv, make: Any = random_array) -> tuple[Array, Array, Array, Array]:
    n, oh, ow, oc = problem.y_shape
    shapes = {
        "x": problem.x_shape,
        "w": problem.w_shape,
        "b": (oc,),
        "dy": (n, oh // 2, ow // 2, oc),
    }
    x, w, b, dy = (make(f"{problem.name} {name}", shape) for name, shape in shapes.items())
    return x, w, b, dy


def gradients(
    module: Any, problem: Conv, *arrays: Array, activation: str | None
) -> tuple[Array, ...]:
    x, w = arrays[:2]
    dtype = arrays[-1].dtype
    results = tuple(np.full(shape, 7, dtype) for shape in (x.shape, w.shape, w.shape[3:]))
    module.conv2d_max_pool2d_backward(
        *arrays,
        activation=activation,
        **dict(zip(("dx", "dw", "db"), results, strict=True)),
        **problem.options,
    )
    return results


def factor(problem: Conv) -> float:
    chosen = ops.conv2d_algorithm(problem.x_shape, problem.w_shape, **problem.options)
    return WINOGRAD if chosen == "winograd" else DIRECT


@every_problem
@with_or_without_relu
@pytest.mark.usefixtures("isa")
def test_against_the_reference(problem: Conv, activation: str | None) -> None:
    x, w, b, dy = inputs(problem)
    y, indices = ops.conv2d_max_pool2d_forward(x, w, b, activation=activation, **problem.options)
    whole = reference.conv2d_forward(
        float64(x), float64(w), float64(b), activation=activation, **problem.options
    )
    expected, _ = reference.max_pool2d_forward(whole, (2, 2))
    scale = float(np.sqrt(np.mean(np.square(whole))))
    assert_close(
        y, expected, terms=problem.forward_terms, factor=factor(problem), scale=max(scale, 1e-30)
    )
    # Two outputs of a window may round to another order: what counts is that the index points to
    # an output as large as the maximum.
    n, oh, ow, oc = y.shape
    windows = whole[:, : 2 * oh, : 2 * ow].reshape(n, oh, 2, ow, 2, oc).transpose(0, 1, 3, 5, 2, 4)
    chosen = np.take_along_axis(windows.reshape(n, oh, ow, oc, 4), indices[..., None], -1)[..., 0]
    assert_close(
        chosen.astype(np.float32),
        expected,
        terms=problem.forward_terms,
        factor=factor(problem),
        scale=max(scale, 1e-30),
    )
    # The gradients from the same indices.
    actual = gradients(ops, problem, x, w, y, indices, dy, activation=activation)
    wanted = gradients(
        reference,
        problem,
        float64(x),
        float64(w),
        float64(y),
        indices,
        float64(dy),
        activation=activation,
    )
    terms = (problem.backward_input_terms, problem.backward_weights_terms, dy.size // oc)
    for array, other, count in zip(actual, wanted, terms, strict=True):
        assert_close(array, other, terms=count, factor=factor(problem))


@every_problem
@with_or_without_relu
@pytest.mark.usefixtures("isa")
def test_whole_numbers_are_exactly_those_of_the_parts(
    problem: Conv, activation: str | None
) -> None:
    x, w, b, dy = inputs(problem, random_integers)
    with direct_convolutions():
        y, indices = ops.conv2d_max_pool2d_forward(
            x, w, b, activation=activation, **problem.options
        )
        actual = gradients(ops, problem, x, w, y, indices, dy, activation=activation)
        whole = ops.conv2d_forward(x, w, b, activation=activation, **problem.options)
        parts = ops.max_pool2d_forward(whole, (2, 2))
        masked = dy if activation is None else ops.relu_backward(dy, y)
        back = ops.max_pool2d_backward(masked, indices, whole.shape, (2, 2))
        expected = (
            ops.conv2d_backward_input(back, w, x.shape, **problem.options),
            ops.conv2d_backward_weights(x, back, w.shape, **problem.options),
            ops.bias_backward(masked),
        )
    assert_same_bits((y, indices), parts)
    for array, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(array, other)


@every_problem
@pytest.mark.usefixtures("isa")
def test_the_gradient_of_the_input_may_take_its_place(problem: Conv) -> None:
    x, w, b, dy = inputs(problem)
    y, indices = ops.conv2d_max_pool2d_forward(x, w, b, **problem.options)
    apart = gradients(ops, problem, x, w, y, indices, dy, activation=None)
    over, dw = x.copy(), np.full_like(w, 7)
    ops.conv2d_max_pool2d_backward(over, w, y, indices, dy, dx=over, dw=dw, **problem.options)
    assert_same_bits((over, dw), apart[:2])


@pytest.mark.parametrize(
    "problem",
    [*PROBLEMS, Conv("16 pieces", (64, 16, 16, 64), (3, 3, 64, 32), padding="same")],
    ids=str,
)
def test_same_bits_for_any_number_of_threads(problem: Conv) -> None:
    x, w, b, dy = inputs(problem)

    def call() -> tuple[Array, ...]:
        y, indices = ops.conv2d_max_pool2d_forward(x, w, b, activation="relu", **problem.options)
        return (y, indices, *gradients(ops, problem, x, w, y, indices, dy, activation="relu"))

    # Of many pieces of a batch, threads have runs, or share one.
    assert_threads_agree(
        call, (1, 2, 3, 6, 7, 12, 32, 64) if problem.name == "16 pieces" else (1, 2, 3, 7)
    )


@pytest.mark.parametrize("channels", [1, 7, 16, 33])
@pytest.mark.usefixtures("isa")
def test_nan_wins_a_window(channels: int) -> None:
    x = np.ones((1, 6, 6, 16), np.float32)
    w = np.ones((3, 3, 16, channels), np.float32)
    x[0, 5, 5, 3] = np.nan
    y, _ = ops.conv2d_max_pool2d_forward(x, w, padding="same", activation="relu")
    assert np.isnan(y[0, 2, 2]).all()
    assert np.isfinite(y[0, 0, 0]).all()


def test_only_what_is_wanted_is_written() -> None:
    x, w = np.ones((1, 4, 4, 2), np.float32), np.ones((3, 3, 2, 3), np.float32)
    y, indices = ops.conv2d_max_pool2d_forward(x, w)
    dw = np.zeros_like(w)
    ops.conv2d_max_pool2d_backward(x, w, y, indices, np.ones_like(y), dw=dw)
    assert dw.any()


def test_errors() -> None:
    x, w = np.ones((1, 4, 4, 2), np.float32), np.ones((3, 3, 2, 3), np.float32)
    with pytest.raises(ValueError, match="2 x 2 pool does not fit"):
        ops.conv2d_max_pool2d_forward(x[:, :3, :3], w)
    y, indices = ops.conv2d_max_pool2d_forward(x, w)
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        ops.conv2d_max_pool2d_backward(x, w, y, indices + np.uint8(4), y, dw=np.zeros_like(w))
    with pytest.raises(TypeError, match="uint8"):
        ops.conv2d_max_pool2d_backward(x, w, y, indices.astype(np.int32), y)
    with pytest.raises(ValueError, match="dx must have shape"):
        ops.conv2d_max_pool2d_backward(x, w, y, indices, y, dx=np.zeros((1, 4, 4, 3), np.float32))
