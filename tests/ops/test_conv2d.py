"""Convolution kernels against the reference, over the shape table, on every instruction set."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from compare import (
    DIRECT,
    WINOGRAD,
    Array,
    all_float64,
    assert_close,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    direct_convolutions,
    random_array,
    random_integers,
)
from convkit import ops, reference
from shapes import CONVOLUTIONS, MODEL_LAYERS, Conv

every_problem = pytest.mark.parametrize("problem", CONVOLUTIONS, ids=str)


class Data:
    """A problem's inputs in float32 and what the reference makes of them in float64."""

    def __init__(self, problem: Conv, *, whole: bool = False) -> None:
        make = random_integers if whole else random_array
        self.x = make(f"{problem.name} x", problem.x_shape)
        self.w = make(f"{problem.name} w", problem.w_shape)
        self.b = make(f"{problem.name} b", problem.w_shape[3:])
        self.dy = make(f"{problem.name} dy", problem.y_shape)
        x, w, dy = all_float64(self.x, self.w, self.dy)
        options = problem.options
        self.y = reference.conv2d_forward(x, w, **options)
        self.dx = reference.conv2d_backward_input(dy, w, problem.x_shape, **options)
        self.dw = reference.conv2d_backward_weights(x, dy, problem.w_shape, **options)


@cache
def data_of(problem: Conv) -> Data:
    return Data(problem)


@cache
def whole_data_of(problem: Conv) -> Data:
    return Data(problem, whole=True)


def algorithm(problem: Conv, direction: str) -> str:
    return ops.conv2d_algorithm(
        problem.x_shape, problem.w_shape, **problem.options, direction=direction
    )


def error_factor(problem: Conv, direction: str) -> float:
    return WINOGRAD if "winograd" in algorithm(problem, direction) else DIRECT


@every_problem
def test_output_shape(problem: Conv) -> None:
    shape = ops.conv2d_output_shape(problem.x_shape, problem.w_shape, **problem.options)
    assert shape == problem.y_shape
    assert all(type(size) is int for size in shape)


@every_problem
@pytest.mark.usefixtures("isa")
def test_forward(problem: Conv) -> None:
    data = data_of(problem)
    factor = error_factor(problem, "forward")
    y = ops.conv2d_forward(data.x, data.w, **problem.options)
    assert_close(y, data.y, terms=problem.forward_terms, factor=factor)
    biased = data.y + data.b
    y = ops.conv2d_forward(data.x, data.w, data.b, **problem.options)
    assert_close(y, biased, terms=problem.forward_terms, factor=factor)
    y = ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **problem.options)
    rectified = np.maximum(biased, 0)
    scale = float(np.sqrt(np.mean(biased**2)))
    assert_close(y, rectified, terms=problem.forward_terms, factor=factor, scale=scale)


@every_problem
@pytest.mark.usefixtures("isa")
def test_backward_input(problem: Conv) -> None:
    data = data_of(problem)
    dx = ops.conv2d_backward_input(data.dy, data.w, problem.x_shape, **problem.options)
    factor = error_factor(problem, "backward_input")
    assert_close(dx, data.dx, terms=problem.backward_input_terms, factor=factor)


@every_problem
@pytest.mark.usefixtures("isa")
def test_backward_weights(problem: Conv) -> None:
    data = data_of(problem)
    dw = ops.conv2d_backward_weights(data.x, data.dy, problem.w_shape, **problem.options)
    factor = error_factor(problem, "backward_weights")
    assert_close(dw, data.dw, terms=problem.backward_weights_terms, factor=factor)


@every_problem
@pytest.mark.usefixtures("isa")
def test_an_activation_is_applied_as_by_its_own_op(problem: Conv) -> None:
    """Forward, beside what it is applied to or over it, and backward: the same bits."""
    data = data_of(problem)
    arrays, options = (data.x, data.w, data.b), problem.options
    plain = ops.conv2d_forward(*arrays, **options)
    for name, given in (("gelu", {}), ("elu", {"alpha": 0.5})):
        activation = (name, given) if given else name
        wanted = getattr(ops, f"{name}_forward")(plain, **given)
        z, y = np.full_like(plain, 7), np.full_like(plain, 7)
        ops.conv2d_forward(*arrays, activation=activation, out=y, z=z, **options)
        assert_same_bits((y, z), (wanted, plain))
        assert_same_bits(ops.conv2d_forward(*arrays, activation=activation, **options), wanted)
        saved = plain if name == "gelu" else wanted
        behind = getattr(ops, f"{name}_backward")(data.dy, saved, **given)
        apart = all_gradients(ops, problem, data.x, data.w, behind)
        together = all_gradients(
            ops, problem, data.x, data.w, data.dy, saved, activation=activation
        )
        assert_same_bits(tuple(together), tuple(apart))


def all_gradients(module: Any, problem: Conv, *arrays: Array, **options: Any) -> list[Array]:
    """The module's dx, dw and db for x, w, dy, y; where dx is None, only the others."""
    shapes = (problem.x_shape, problem.w_shape, problem.w_shape[3:])
    results = [np.full(shape, 7, arrays[0].dtype) for shape in shapes]
    gradients = {**dict(zip(("dx", "dw", "db"), results, strict=True)), **options}
    module.conv2d_backward(*arrays, **gradients, **problem.options)
    return [array for array in gradients.values() if isinstance(array, np.ndarray)]


def terms_of_gradients(problem: Conv) -> tuple[int, int, int]:
    positions = problem.backward_weights_terms
    return problem.backward_input_terms, positions, positions


@every_problem
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.usefixtures("isa")
def test_all_gradients_together(problem: Conv, activation: str | None) -> None:
    data = data_of(problem)
    y = ops.conv2d_forward(data.x, data.w, data.b, activation=activation, **problem.options)
    arrays = (data.x, data.w, data.dy, y)
    actual = all_gradients(ops, problem, *arrays, activation=activation)
    expected = all_gradients(reference, problem, *all_float64(*arrays), activation=activation)
    factor = error_factor(problem, "backward_weights")
    for array, wanted, terms in zip(actual, expected, terms_of_gradients(problem), strict=True):
        assert_close(array, wanted, terms=terms, factor=factor)
    # A model's first layer has no use for the gradient of its input.
    alone = all_gradients(ops, problem, *arrays, activation=activation, dx=None)
    for array, wanted, terms in zip(
        alone, expected[1:], terms_of_gradients(problem)[1:], strict=True
    ):
        assert_close(array, wanted, terms=terms, factor=factor)


@every_problem
@pytest.mark.usefixtures("isa")
def test_the_gradient_of_the_input_may_take_its_place(problem: Conv) -> None:
    data = data_of(problem)
    y = ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **problem.options)
    apart = all_gradients(ops, problem, data.x, data.w, data.dy, y, activation="relu")
    x = data.x.copy()
    over = all_gradients(ops, problem, x, data.w, data.dy, y, activation="relu", dx=x)
    assert_same_bits(tuple(over), tuple(apart))


@every_problem
@pytest.mark.usefixtures("isa")
def test_all_gradients_of_whole_numbers_are_exact(problem: Conv) -> None:
    data = whole_data_of(problem)
    mask = random_integers(f"{problem.name} mask", problem.y_shape)
    arrays = (data.x, data.w, data.dy, mask)
    with direct_convolutions():
        for dx in ({}, {"dx": None}):
            actual = all_gradients(ops, problem, *arrays, activation="relu", **dx)
            expected = all_gradients(
                reference, problem, *all_float64(*arrays), activation="relu", **dx
            )
            for array, wanted in zip(actual, expected, strict=True):
                np.testing.assert_array_equal(array, wanted)


@every_problem
@pytest.mark.usefixtures("isa")
def test_whole_numbers_are_exact(problem: Conv) -> None:
    """Whole numbers up to 3: every partial sum stays below 2**24, so no rounding can hide an error.

    Winograd's transforms divide, so this is for direct sums; the tests above judge the others.
    """
    data = whole_data_of(problem)
    terms = max(problem.forward_terms, problem.backward_input_terms, problem.backward_weights_terms)
    assert 9 * terms + 3 < 2**24
    options = problem.options
    with direct_convolutions():
        assert "winograd" not in algorithm(problem, "forward")
        y = ops.conv2d_forward(data.x, data.w, **options)
        rectified = ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **options)
        dx = ops.conv2d_backward_input(data.dy, data.w, problem.x_shape, **options)
        dw = ops.conv2d_backward_weights(data.x, data.dy, problem.w_shape, **options)
    np.testing.assert_array_equal(y, data.y)
    np.testing.assert_array_equal(rectified, np.maximum(data.y + data.b, 0))
    np.testing.assert_array_equal(dx, data.dx)
    np.testing.assert_array_equal(dw, data.dw)


@every_problem
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(problem: Conv) -> None:
    """The tests above run with the default number of threads; this one ties all others to them."""
    data = data_of(problem)
    options = problem.options

    def all_directions() -> tuple[Array, ...]:
        return (
            ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **options),
            ops.conv2d_backward_input(data.dy, data.w, problem.x_shape, **options),
            ops.conv2d_backward_weights(data.x, data.dy, problem.w_shape, **options),
            *all_gradients(ops, problem, data.x, data.w, data.dy, data.dy, activation="relu"),
            *all_gradients(ops, problem, data.x, data.w, data.dy, dx=None),
            ops.conv2d_forward(data.x, data.w, data.b, activation="silu", **options),
            *all_gradients(ops, problem, data.x, data.w, data.dy, data.dy, activation="silu"),
        )

    many = problem in MODEL_LAYERS or algorithm(problem, "forward") == "depthwise"
    # Beyond some numbers the work is cut otherwise.
    counts = (1, 2, 3, 6, 7, 16) if many else (1, 2, 3, 6)
    assert_threads_agree(all_directions, counts)
    if "winograd" in {algorithm(problem, "forward"), algorithm(problem, "backward_weights")}:
        with direct_convolutions():
            assert_threads_agree(all_directions, counts)


@pytest.mark.parametrize(
    "problem",
    [
        Conv("64 pieces", (64, 28, 28, 16), (3, 3, 16, 32), padding="same"),
        Conv("16 pieces", (64, 14, 14, 64), (3, 3, 64, 48), padding="same"),
        Conv("13 images a piece", (104, 8, 8, 48), (3, 3, 48, 17), padding="same"),
        Conv("few tiles a thread", (96, 4, 4, 32), (3, 3, 32, 80), padding="same"),
        Conv("first layer", (64, 28, 28, 1), (3, 3, 1, 32), padding="same"),
        Conv("depthwise", (32, 24, 24, 20), (3, 3, 1, 20), groups=20),
    ],
    ids=str,
)
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits_of_many_pieces(problem: Conv) -> None:
    """Threads have runs of pieces of a batch, shares of a piece, or cut what is left over."""
    data = data_of(problem)

    def gradients() -> tuple[Array, ...]:
        return (
            *all_gradients(ops, problem, data.x, data.w, data.dy, data.dy, activation="relu"),
            *all_gradients(ops, problem, data.x, data.w, data.dy, dx=None),
            ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **problem.options),
        )

    assert_threads_agree(gradients, (1, 2, 3, 5, 6, 7, 8, 12, 16, 32, 64))
    dx, dw, db = all_gradients(ops, problem, data.x, data.w, data.dy)
    exact = all_gradients(reference, problem, *all_float64(data.x, data.w, data.dy))
    for found, wanted in zip((dx, dw, db), exact, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-5 * np.abs(wanted).max())


@every_problem
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(problem: Conv) -> None:
    data = data_of(problem)
    options = problem.options
    assert_out_is_used(lambda **k: ops.conv2d_forward(data.x, data.w, **options, **k), ["out"])
    assert_out_is_used(
        lambda **k: ops.conv2d_forward(data.x, data.w, data.b, activation="relu", **options, **k),
        ["out"],
    )
    assert_out_is_used(
        lambda **k: ops.conv2d_backward_input(data.dy, data.w, problem.x_shape, **options, **k),
        ["out"],
    )
    assert_out_is_used(
        lambda **k: ops.conv2d_backward_weights(data.x, data.dy, problem.w_shape, **options, **k),
        ["out"],
    )


def test_relu_needs_the_output() -> None:
    x, w = np.ones((1, 3, 3, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    dy = np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="y, what conv2d_forward returned, is needed"):
        ops.conv2d_backward(x, w, dy, activation="relu")


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("activation", [None, "relu"])
@pytest.mark.usefixtures("isa", "one_thread")
@np.errstate(invalid="ignore")
def test_every_output_channel_treats_nan_alike(special: float, activation: str | None) -> None:
    """With equal weights all channels are equal, in the vector's body and in its tail."""
    x = np.ones((1, 4, 5, 3), np.float32)
    x[0, 1, 2, 1] = special
    for channels in range(1, 34):
        w = np.ones((3, 3, 3, channels), np.float32)
        b = np.zeros(channels, np.float32)
        y = ops.conv2d_forward(x, w, b, padding="same", activation=activation)
        expected = reference.conv2d_forward(x, w[..., :1], padding="same", activation=activation)
        np.testing.assert_array_equal(y, np.broadcast_to(expected, y.shape))


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
@np.errstate(invalid="ignore")
def test_nan_in_one_input_channel_spoils_what_sees_it(special: float) -> None:
    """At every channel position; only the outputs whose window sees the pixel may be spoilt."""
    for channels in (1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33):
        problem = Conv("nan", (1, 5, 5, channels), (3, 3, channels, 5), padding="same")
        w = np.abs(random_array("nan w", problem.w_shape))
        winograd = "winograd" in algorithm(problem, "forward")
        for position in range(channels):
            x = np.ones(problem.x_shape, np.float32)
            x[0, 0, 1, position] = special
            y = ops.conv2d_forward(x, w, padding="same")
            expected = reference.conv2d_forward(x, w, padding="same")
            spoilt = ~np.isfinite(expected)
            assert not np.isfinite(y[spoilt]).any()
            # A Winograd tile shares its pixels among its 4 x 4 outputs.
            if not winograd:
                assert np.isfinite(y[~spoilt]).all()


@pytest.mark.usefixtures("isa", "one_thread")
def test_nan_in_one_gradient_channel_spoils_its_weights_alone() -> None:
    for channels in range(1, 34):
        x = random_array("nan x", (1, 4, 4, 3))
        for position in {0, channels // 2, channels - 1}:
            dy = np.ones((1, 4, 4, channels), np.float32)
            dy[0, 2, 3, position] = np.nan
            dw = ops.conv2d_backward_weights(x, dy, (3, 3, 3, channels), padding="same")
            clean = np.delete(dw, position, axis=3)
            assert np.isfinite(clean).all()
            assert np.isnan(dw[0, 0, :, position]).all()


@pytest.mark.usefixtures("isa")
def test_integer_and_pair_arguments_mean_the_same(rng: np.random.Generator) -> None:
    x = rng.standard_normal((1, 9, 9, 3)).astype(np.float32)
    w = rng.standard_normal((3, 3, 3, 4)).astype(np.float32)
    single = ops.conv2d_forward(x, w, strides=2, dilation=2)
    pair = ops.conv2d_forward(x, w, strides=[2, 2], dilation=(np.int64(2), 2))
    np.testing.assert_array_equal(single, pair)
    same = ops.conv2d_forward(x, w, padding="same")
    explicit = ops.conv2d_forward(x, w, padding=[(1, 1), [1, 1]])
    np.testing.assert_array_equal(same, explicit)


@pytest.mark.parametrize("direction", ["forward", "backward_input", "backward_weights"])
def test_algorithm_names(direction: str) -> None:
    for problem in CONVOLUTIONS:
        name = algorithm(problem, direction)
        assert isinstance(name, str)
        assert name


@pytest.mark.parametrize("direction", ["forward", "backward_input", "backward_weights"])
def test_a_group_a_channel_is_depthwise(direction: str) -> None:
    for problem in CONVOLUTIONS:
        alone = problem.groups > 1 and problem.w_shape[2] == 1
        assert (algorithm(problem, direction) == "depthwise") == alone


@pytest.mark.parametrize("direction", ["forward", "backward_input", "backward_weights"])
def test_what_is_meant_for_winograd_is_computed_so(direction: str) -> None:
    meant = [problem for problem in CONVOLUTIONS if problem.name.startswith("tiles-")]
    assert meant
    for problem in meant:
        assert algorithm(problem, direction) == "winograd", problem


def test_algorithm_rejects_an_unknown_direction() -> None:
    options: dict[str, Any] = CONVOLUTIONS[0].options
    with pytest.raises(ValueError, match="sideways"):
        ops.conv2d_algorithm(
            CONVOLUTIONS[0].x_shape, CONVOLUTIONS[0].w_shape, **options, direction="sideways"
        )
