"""The fused convolution, normalisation, ReLU and pool: against the reference and its parts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    DIRECT,
    WINOGRAD,
    Array,
    all_float64,
    assert_close,
    assert_same_bits,
    assert_threads_agree,
    float64,
    random_array,
)
from convkit import ops, reference
from shapes import CONVOLUTIONS, Conv

# A normalised channel needs more than one value, and some more for a gradient that is not all
# rounding: (x - mean) * rstd of two values is always -1 and 1.
PROBLEMS = [p for p in CONVOLUTIONS if min(p.y_shape[1:3]) >= 2 and p.backward_weights_terms >= 12]

every_problem = pytest.mark.parametrize("problem", PROBLEMS, ids=str)
every_epilogue = pytest.mark.parametrize(
    ("activation", "max_pool"),
    [("relu", True), ("relu", False), (None, True), (None, False), ("gelu", False)],
)


def inputs(problem: Conv) -> tuple[Array, ...]:
    """x, w, b, gamma, beta, moving_mean, moving_variance."""
    vector = problem.w_shape[3:]
    shapes = {"x": problem.x_shape, "w": problem.w_shape, "b": vector, "gamma": vector}
    shapes.update({"beta": vector, "moving mean": vector, "moving variance": vector})
    arrays = [random_array(f"{problem.name} {name}", shape) for name, shape in shapes.items()]
    arrays[3] += np.float32(2)  # a scale near zero would leave gradients that are all rounding
    return tuple(arrays)


def gradient_of(problem: Conv, max_pool: bool) -> Array:
    n, oh, ow, oc = problem.y_shape
    return random_array(
        f"{problem.name} dy", (n, oh // 2, ow // 2, oc) if max_pool else (n, oh, ow, oc)
    )


def forward(
    module: Any, problem: Conv, arrays: tuple[Array, ...], **options: Any
) -> tuple[Any, ...]:
    """y, z, mean, rstd, indices and the moving statistics after the call."""
    arrays = tuple(array.copy() for array in arrays)
    results = module.conv2d_batchnorm_forward(*arrays, **options, **problem.options)
    return (*results, *arrays[5:])


def backward(
    module: Any, problem: Conv, *arrays: Array | None, **options: Any
) -> tuple[Array, ...]:
    """dx, dw, db, dgamma, dbeta."""
    x = arrays[0]
    assert x is not None
    shapes = (problem.x_shape, problem.w_shape, problem.w_shape[3:])
    results = tuple(np.full(shape, 7, x.dtype) for shape in shapes)
    named = dict(zip(("dx", "dw", "db"), results, strict=True))
    named.update({key: options.pop(key) for key in ("dx", "dw", "db") if key in options})
    return (
        *results,
        *module.conv2d_batchnorm_backward(*arrays, **named, **options, **problem.options),
    )


def activated(x: Array, activation: str | None) -> Array:
    return x if activation is None else getattr(reference, f"{activation}_forward")(x)


def factor(problem: Conv, direction: str = "forward") -> float:
    chosen = ops.conv2d_algorithm(
        problem.x_shape, problem.w_shape, direction=direction, **problem.options
    )
    return WINOGRAD if chosen == "winograd" else DIRECT


@every_problem
@every_epilogue
@pytest.mark.usefixtures("isa")
def test_forward(problem: Conv, activation: str | None, max_pool: bool) -> None:
    arrays = inputs(problem)
    options = {"activation": activation, "max_pool": max_pool}
    y, z, mean, rstd, indices, *moving = forward(ops, problem, arrays, **options)
    wanted = forward(reference, problem, all_float64(*arrays), **options)
    terms = problem.forward_terms
    assert_close(z, wanted[1], terms=terms, factor=factor(problem))
    size = float(np.sqrt(np.mean(np.square(wanted[1]))))
    assert_close(mean, wanted[2], terms=terms, factor=factor(problem), scale=size)
    # The statistics are those of z as it was written, whatever the error of the convolution.
    _, own_mean, own_rstd = reference.batchnorm_forward(
        float64(z), *all_float64(*arrays[3:5]), *(float64(a).copy() for a in arrays[5:])
    )
    assert_close(mean, own_mean, terms=64, scale=size)
    np.testing.assert_allclose(rstd, own_rstd, rtol=2e-6)
    for actual, expected in zip(moving, wanted[5:], strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)
    gamma, beta = all_float64(*arrays[3:5])
    exact = (float64(z) - float64(mean)) * float64(rstd) * gamma + beta
    exact = activated(exact, activation)
    scale = float(np.sqrt(np.mean(np.square(exact)))) + float(np.abs(mean * rstd * gamma).max())
    if not max_pool:
        assert indices is None
        assert_close(y, exact, scale=scale)
        return
    maxima, _ = reference.max_pool2d_forward(exact, (2, 2))
    assert_close(y, maxima, scale=scale)
    n, oh, ow, oc = y.shape
    windows = exact[:, : 2 * oh, : 2 * ow].reshape(n, oh, 2, ow, 2, oc).transpose(0, 1, 3, 5, 2, 4)
    chosen = np.take_along_axis(windows.reshape(n, oh, ow, oc, 4), indices[..., None], -1)[..., 0]
    assert_close(chosen.astype(np.float32), maxima, scale=scale)


@every_problem
@every_epilogue
@pytest.mark.usefixtures("isa")
def test_inference(problem: Conv, activation: str | None, max_pool: bool) -> None:
    arrays = inputs(problem)
    arrays[6][...] = np.abs(arrays[6]) + np.float32(0.1)
    options: dict[str, Any] = {"activation": activation, "max_pool": max_pool, **problem.options}
    y = ops.conv2d_batchnorm_inference(*arrays, **options)
    exact = all_float64(*arrays)
    expected = reference.conv2d_batchnorm_inference(*exact, **options)
    z = reference.conv2d_forward(*exact[:3], **problem.options)
    slope = float(np.abs(exact[3] / np.sqrt(exact[6])).max())
    offset = float(np.abs(exact[5]).max() * slope + np.abs(exact[4]).max())
    scale = slope * float(np.sqrt(np.mean(np.square(z)))) + offset
    assert_close(y, expected, terms=problem.forward_terms, factor=factor(problem), scale=scale)


@every_problem
@every_epilogue
@pytest.mark.usefixtures("isa")
def test_backward(problem: Conv, activation: str | None, max_pool: bool) -> None:
    arrays = inputs(problem)
    dy = gradient_of(problem, max_pool)
    y, z, mean, rstd, indices, *_ = forward(
        ops, problem, arrays, activation=activation, max_pool=max_pool
    )
    given = (*arrays[:2], z, *arrays[3:5], mean, rstd, dy)
    exact = all_float64(*given)
    if activation == "relu" and not max_pool:
        # Where rounding decides whether ReLU is open, float64 may decide otherwise.
        edge = (exact[2] - exact[5]) * exact[6] * exact[3] + exact[4]
        dy[np.abs(edge) < 1e-4] = 0
        exact = all_float64(*given)
    pooled = (y, indices) if max_pool else (None, None)
    actual = backward(ops, problem, *given, *pooled, activation=activation)
    wanted = backward(
        reference,
        problem,
        *exact,
        *((float64(y), indices) if max_pool else pooled),
        activation=activation,
    )
    positions = problem.backward_weights_terms
    terms = (problem.backward_input_terms, positions, positions, positions, positions)
    # dz is a difference of numbers as large as dy * gamma * rstd, and its sum over a channel, the
    # bias's gradient, is nothing but rounding.
    slope = float(np.abs(exact[3] * exact[6]).max() * np.sqrt(np.mean(np.square(exact[7]))))
    inner = float(np.sqrt(problem.backward_input_terms)) * slope
    outer = float(np.sqrt(positions)) * slope
    scales = (
        inner * float(np.sqrt(np.mean(np.square(exact[1])))),
        outer * float(np.sqrt(np.mean(np.square(exact[0])))),
        outer,
        outer,
        outer,
    )
    error = factor(problem, "backward_weights")
    for array, other, count, scale in zip(actual, wanted, terms, scales, strict=True):
        assert_close(array, other, terms=count, factor=error, scale=scale)
    # A model's first layer has no use for the gradient of its input.
    alone = backward(ops, problem, *given, *pooled, activation=activation, dx=None)
    for array, other, count, scale in zip(
        alone[1:], wanted[1:], terms[1:], scales[1:], strict=True
    ):
        assert_close(array, other, terms=count, factor=error, scale=scale)


@every_problem
@every_epilogue
@pytest.mark.usefixtures("isa")
def test_the_gradient_of_the_input_may_take_its_place(
    problem: Conv, activation: str | None, max_pool: bool
) -> None:
    arrays = inputs(problem)
    options: dict[str, Any] = {"activation": activation}
    y, z, mean, rstd, indices, *_ = forward(ops, problem, arrays, max_pool=max_pool, **options)
    pooled = (y, indices) if max_pool else (None, None)
    given = (*arrays[1:2], z, *arrays[3:5], mean, rstd, gradient_of(problem, max_pool), *pooled)
    apart = backward(ops, problem, arrays[0], *given, **options)
    x = arrays[0].copy()
    over = backward(ops, problem, x, *given, dx=x, **options)
    assert_same_bits((x, *over[1:]), apart)


@pytest.mark.parametrize(
    "problem",
    [*PROBLEMS, Conv("16 pieces", (64, 14, 14, 64), (3, 3, 64, 32), padding="same")],
    ids=str,
)
def test_same_bits_for_any_number_of_threads(problem: Conv) -> None:
    arrays = inputs(problem)

    def call() -> tuple[Array, ...]:
        results = []
        for max_pool in (True, False):
            y, z, mean, rstd, indices, *moving = forward(
                ops, problem, arrays, activation="relu", max_pool=max_pool
            )
            given = (*arrays[:2], z, *arrays[3:5], mean, rstd, gradient_of(problem, max_pool))
            pooled = (y, indices) if max_pool else (None, None)
            results += [y, z, mean, rstd, *moving]
            results += backward(ops, problem, *given, *pooled, activation="relu")
            if not max_pool:
                results += backward(ops, problem, *given, *pooled, activation="silu")
        y, z, mean, rstd, *_ = forward(ops, problem, arrays, residual=z, activation="relu")
        given = (*arrays[:2], z, *arrays[3:5], mean, rstd, gradient_of(problem, False))
        more = {"dresidual": np.empty_like(y), "dx": arrays[0].copy(), "add_to_dx": True}
        results += [y, *backward(ops, problem, *given, y, activation="relu", **more)]
        results += [more["dresidual"], more["dx"]]
        return tuple(results)

    # Of many pieces of a batch, threads have runs, or share one.
    assert_threads_agree(
        call, (1, 2, 3, 6, 7, 12, 32, 64) if problem.name == "16 pieces" else (1, 2, 3, 7)
    )


@pytest.mark.parametrize("channels", [1, 7, 16, 33])
@pytest.mark.usefixtures("isa")
def test_nan_spoils_its_channel_only(channels: int) -> None:
    x, w = np.ones((2, 6, 6, 1), np.float32), np.ones((3, 3, 1, channels), np.float32)
    b, gamma = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    b[-1] = np.nan
    moving = np.zeros(channels, np.float32), np.ones(channels, np.float32)
    y, *_ = ops.conv2d_batchnorm_forward(
        x, w, b, gamma, gamma, *moving, padding="same", activation="relu", max_pool=True
    )
    assert np.isnan(y[..., -1]).all()
    assert np.isfinite(y[..., :-1]).all()


@every_problem
@pytest.mark.parametrize("activation", ["relu", None])
@pytest.mark.usefixtures("isa")
def test_a_residual(problem: Conv, activation: str | None) -> None:
    """Added before the activation: in training, in inference, and over the residual itself."""
    arrays = inputs(problem)
    arrays[6][...] = np.abs(arrays[6]) + np.float32(0.1)
    residual = random_array(f"{problem.name} residual", problem.y_shape)
    options: dict[str, Any] = {"activation": activation}
    y, *trained = forward(ops, problem, arrays, residual=residual, **options)
    normal, *plain = forward(ops, problem, arrays)
    assert trained.pop(3) is plain.pop(3) is None
    assert_same_bits(tuple(trained), tuple(plain))
    exact = float64(normal) + float64(residual)
    exact = exact if activation is None else np.maximum(exact, 0)
    assert_close(y, exact, scale=float(np.abs(exact).max()) + 1)
    over = residual.copy()
    forward(ops, problem, arrays, residual=over, out=over, **options)
    assert_same_bits((over,), (y,))
    given = {**options, **problem.options}
    y = ops.conv2d_batchnorm_inference(*arrays, residual=residual, **given)
    alone = reference.conv2d_batchnorm_inference(*all_float64(*arrays), **problem.options)
    exact = reference.conv2d_batchnorm_inference(
        *all_float64(*arrays), residual=float64(residual), **given
    )
    scale = float(np.abs(alone).max()) + float(np.abs(arrays[5] * arrays[3]).max() * 4)
    assert_close(y, exact, terms=problem.forward_terms, factor=factor(problem), scale=scale)
    over = residual.copy()
    ops.conv2d_batchnorm_inference(*arrays, residual=over, out=over, **given)
    assert_same_bits((over,), (y,))


@every_problem
@pytest.mark.usefixtures("isa")
def test_backward_behind_a_residual(problem: Conv) -> None:
    """ReLU's gradient is the residual's, and all others are those of a layer without ReLU."""
    arrays = inputs(problem)
    _, z, mean, rstd, *_ = forward(ops, problem, arrays)
    y = random_array(f"{problem.name} sum", problem.y_shape)
    dy = gradient_of(problem, False)
    expected = reference.relu_backward(dy, np.maximum(y, 0))
    given = (*arrays[:2], z, *arrays[3:5], mean, rstd)
    wanted = backward(ops, problem, *given, expected.astype(np.float32))
    for dresidual in (np.empty_like(dy), dy):
        actual = backward(
            ops, problem, *given, dy, np.maximum(y, 0), activation="relu", dresidual=dresidual
        )
        np.testing.assert_array_equal(dresidual, expected)
        assert_same_bits(actual, wanted)


@every_problem
@pytest.mark.usefixtures("isa")
def test_the_gradient_of_the_input_may_be_added(problem: Conv) -> None:
    arrays = inputs(problem)
    _, z, mean, rstd, *_ = forward(ops, problem, arrays)
    given = (*arrays[:2], z, *arrays[3:5], mean, rstd, gradient_of(problem, False))
    dx, *others = backward(ops, problem, *given)
    before = random_array(f"{problem.name} before", problem.x_shape)
    sums = before.copy()
    _, *again = backward(ops, problem, *given, dx=sums, add_to_dx=True)
    assert_same_bits(tuple(again), tuple(others))
    exact = float64(before) + float64(dx)
    # Winograd's tiles overlap: up to four numbers are added to the one that is there.
    size = float(np.abs(dx).max() + np.abs(before).max())
    np.testing.assert_allclose(sums, exact, rtol=0, atol=4e-6 * size)


def test_what_does_not_go_with_a_residual() -> None:
    ones, vector = np.ones((1, 4, 4, 1), np.float32), np.ones(1, np.float32)
    w, small = np.ones((1, 1, 1, 1), np.float32), np.ones((1, 2, 2, 1), np.float32)
    for op in (ops.conv2d_batchnorm_forward, ops.conv2d_batchnorm_inference):
        with pytest.raises(ValueError, match="residual and max_pool do not go together"):
            op(ones, w, None, *[vector.copy() for _ in range(4)], residual=ones, max_pool=True)
        with pytest.raises(ValueError, match="residual must have shape"):
            op(ones, w, None, *[vector.copy() for _ in range(4)], residual=small)
    given: tuple[Any, ...] = (ones, w, ones, *[vector] * 4, ones)
    for options in (
        {"y": ones},
        {"dresidual": ones},
        {"y": ones, "dresidual": ones},  # without ReLU
    ):
        with pytest.raises(ValueError, match="come together"):
            ops.conv2d_batchnorm_backward(*given, **options)
    with pytest.raises(ValueError, match="dresidual"):
        ops.conv2d_batchnorm_backward(*given, ones, activation="relu", dresidual=small)


def test_a_pool_needs_both_of_what_it_wrote() -> None:
    ones, vector = np.ones((1, 4, 4, 1), np.float32), np.ones(1, np.float32)
    w = np.ones((1, 1, 1, 1), np.float32)
    with pytest.raises(ValueError, match="y and indices come together"):
        ops.conv2d_batchnorm_backward(
            ones, w, ones, *[vector] * 4, ones[:, :2, :2], ones[:, :2, :2]
        )
    wrong = np.full((1, 2, 2, 1), 4, np.uint8)
    with pytest.raises(ValueError, match="indices must be in"):
        ops.conv2d_batchnorm_backward(
            ones, w, ones, *[vector] * 4, ones[:, :2, :2], ones[:, :2, :2], wrong
        )
