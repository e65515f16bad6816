"""Dense layers and the bias gradient against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from compare import (
    Array,
    all_float64,
    assert_close,
    assert_out_is_used,
    assert_threads_agree,
    float64,
    random_array,
    random_integers,
    rms,
)
from convkit import ops, reference
from shapes import DENSES, TAIL_CHANNELS, Dense

every_problem = pytest.mark.parametrize("problem", DENSES, ids=str)

BIAS_SHAPES = (
    *((3, 5, 4, c) for c in TAIL_CHANNELS),
    (1, 1),
    (1, 300),
    (257, 7),
    (2, 3, 9),
    (8, 28, 28, 32),
)


class Data:
    """A problem's arrays in float32."""

    def __init__(self, problem: Dense, *, whole: bool = False) -> None:
        make = random_integers if whole else random_array
        self.x = make("x", (problem.n, problem.c))
        self.w = make("w", (problem.c, problem.oc))
        self.b = make("b", (problem.oc,))
        self.dy = make("dy", (problem.n, problem.oc))


@every_problem
@pytest.mark.usefixtures("isa")
def test_forward(problem: Dense) -> None:
    data = Data(problem)
    plain = reference.dense_forward(*all_float64(data.x, data.w))
    assert_close(ops.dense_forward(data.x, data.w), plain, terms=problem.c)
    biased = plain + data.b
    assert_close(ops.dense_forward(data.x, data.w, data.b), biased, terms=problem.c)
    y = ops.dense_forward(data.x, data.w, data.b, activation="relu")
    assert_close(y, np.maximum(biased, 0), terms=problem.c, scale=rms(biased))


@every_problem
@pytest.mark.usefixtures("isa")
def test_backward(problem: Dense) -> None:
    data = Data(problem)
    x, w, dy = all_float64(data.x, data.w, data.dy)
    dx = ops.dense_backward_input(data.dy, data.w)
    assert_close(dx, reference.dense_backward_input(dy, w), terms=problem.oc)
    dw = ops.dense_backward_weights(data.x, data.dy)
    assert_close(dw, reference.dense_backward_weights(x, dy), terms=problem.n)


@every_problem
@pytest.mark.usefixtures("isa")
def test_whole_numbers_are_exact(problem: Dense) -> None:
    data = Data(problem, whole=True)
    x, w, dy = all_float64(data.x, data.w, data.dy)
    y = ops.dense_forward(data.x, data.w, data.b, activation="relu")
    np.testing.assert_array_equal(y, np.maximum(x @ w + data.b, 0))
    np.testing.assert_array_equal(ops.dense_backward_input(data.dy, data.w), dy @ w.T)
    np.testing.assert_array_equal(ops.dense_backward_weights(data.x, data.dy), x.T @ dy)


@every_problem
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(problem: Dense) -> None:
    data = Data(problem)
    assert_out_is_used(lambda **k: ops.dense_forward(data.x, data.w, **k), ["out"])
    assert_out_is_used(
        lambda **k: ops.dense_forward(data.x, data.w, data.b, activation="relu", **k), ["out"]
    )
    assert_out_is_used(lambda **k: ops.dense_backward_input(data.dy, data.w, **k), ["out"])
    assert_out_is_used(lambda **k: ops.dense_backward_weights(data.x, data.dy, **k), ["out"])


@every_problem
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(problem: Dense) -> None:
    data = Data(problem)

    def everything() -> tuple[Array, ...]:
        return (
            ops.dense_forward(data.x, data.w, data.b, activation="relu"),
            ops.dense_backward_input(data.dy, data.w),
            ops.dense_backward_weights(data.x, data.dy),
            ops.bias_backward(data.dy),
        )

    assert_threads_agree(everything)


@pytest.mark.parametrize("shape", BIAS_SHAPES, ids=str)
@pytest.mark.usefixtures("isa")
def test_bias_backward(shape: tuple[int, ...]) -> None:
    rows = int(np.prod(shape[:-1]))
    dy = random_array("dy", shape)
    expected = reference.bias_backward(float64(dy))
    assert_close(ops.bias_backward(dy), expected, terms=rows, scale=float(np.sqrt(rows)))
    whole = random_integers("dy", shape)
    np.testing.assert_array_equal(ops.bias_backward(whole), reference.bias_backward(whole))
    assert_out_is_used(lambda **k: ops.bias_backward(dy, **k), ["out"])
    assert_threads_agree(lambda: ops.bias_backward(dy))


@pytest.mark.parametrize("shape", BIAS_SHAPES, ids=str)
@pytest.mark.usefixtures("isa")
def test_bias_relu_backward(shape: tuple[int, ...]) -> None:
    """The same bits as ReLU alone, and the bias gradient of what ReLU let through."""
    dy, y = random_array("dy", shape), random_array("y", shape)
    dz, db = ops.bias_relu_backward(dy, y)
    np.testing.assert_array_equal(dz, ops.relu_backward(dy, y))
    rows = dy.size // shape[-1]
    expected = reference.bias_relu_backward(float64(dy), float64(y))[1]
    assert_close(db, expected, terms=rows, scale=float(np.sqrt(rows)))
    assert_out_is_used(lambda **k: ops.bias_relu_backward(dy, y, **k), ["out", "db"])
    assert_threads_agree(lambda: ops.bias_relu_backward(dy, y))
    in_place = dy.copy()
    ops.bias_relu_backward(in_place, y, out=in_place)
    np.testing.assert_array_equal(in_place, dz)


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.usefixtures("isa", "one_thread")
def test_body_and_tail_treat_special_numbers_alike(special: float, activation: str | None) -> None:
    """A special weight spoils its output alone; a special input spoils its whole row alone."""
    for width in range(1, 34):
        for position in range(width):
            x, w = np.ones((3, 4), np.float32), np.ones((4, width), np.float32)
            w[1, position] = special
            y = ops.dense_forward(x, w, activation=activation)
            np.testing.assert_array_equal(y[:, position], np.array([special] * 3, np.float32))
            assert (np.delete(y, position, axis=1) == 4).all()
            x, w = np.ones((3, width), np.float32), np.ones((width, 5), np.float32)
            x[1, position] = special
            y = ops.dense_forward(x, w, activation=activation)
            np.testing.assert_array_equal(y[1], np.array([special] * 5, np.float32))
            assert (y[[0, 2]] == width).all()
        dy = np.ones((3, width), np.float32)
        dy[1, width // 2] = special
        db = ops.bias_backward(dy)
        expected = np.full(width, 3, np.float32)
        expected[width // 2] = special
        np.testing.assert_array_equal(db, expected)
