"""Batch normalisation against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from compare import (
    EPS,
    Array,
    all_float64,
    assert_close,
    assert_out_is_used,
    assert_same_bits,
    assert_threads_agree,
    random_array,
)
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (
    *((2, 5, 3, c) for c in TAIL_CHANNELS),
    *((7, c) for c in (1, 5, 16, 33)),
    (1, 1, 1, 4),
    (1, 1),
    (3, 4, 5),
    (2, 33, 17, 6),
    (4, 32, 32, 32),
    (8, 14, 14, 64),
    (3000, 5),
)

every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_activation = pytest.mark.parametrize(
    "activation", [None, "relu", "gelu", "relu6", ("elu", {"alpha": 0.5})]
)


class Data:
    """Inputs with a mean of about 1 and a standard deviation of about 2 a channel."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        channels = shape[-1:]
        self.x = 2 * random_array("x", shape) + 1
        self.gamma = random_array("gamma", channels) * 0.3 + 1
        self.beta = random_array("beta", channels) * 0.3
        self.moving_mean = random_array("moving mean", channels)
        self.moving_variance = random_array("moving variance", channels) ** 2
        self.dy = random_array("dy", shape)
        self.terms = int(np.prod(shape[:-1]))

    def forward(self, **options: Any) -> tuple[Array, ...]:
        moving = self.moving_mean.copy(), self.moving_variance.copy()
        results = ops.batchnorm_forward(self.x, self.gamma, self.beta, *moving, **options)
        return (*results, *moving)

    def expected_forward(self, **options: Any) -> tuple[Array, ...]:
        moving = all_float64(self.moving_mean, self.moving_variance)
        arrays = all_float64(self.x, self.gamma, self.beta)
        return (*reference.batchnorm_forward(*arrays, *moving, **options), *moving)


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_forward(shape: tuple[int, ...], activation: Any) -> None:
    data = Data(shape)
    options = {"momentum": 0.9, "epsilon": 1e-2, "activation": activation}
    y, mean, rstd, moving_mean, moving_variance = data.forward(**options)
    expected = data.expected_forward(**options)
    # Adding x in float32 puts an error of up to eps * sqrt(terms) * |x| into the mean and, relative
    # to it, into the variance. rstd stretches both on their way to y.
    largest = float(np.abs(data.x).max())
    stretched = largest * float(expected[2].max())
    assert_close(y, expected[0], terms=data.terms, factor=2, scale=max(stretched, 1))
    assert_close(mean, expected[1], terms=data.terms, factor=1, scale=largest)
    assert_close(rstd, expected[2], terms=data.terms, factor=4)
    assert_close(moving_mean, expected[3], terms=data.terms, factor=1, scale=largest)
    assert_close(moving_variance, expected[4], terms=data.terms, factor=4)


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_inference(shape: tuple[int, ...], activation: Any) -> None:
    data = Data(shape)
    arrays = (data.x, data.gamma, data.beta, data.moving_mean, data.moving_variance)
    before = [array.copy() for array in arrays]
    y = ops.batchnorm_inference(*arrays, epsilon=0.1, activation=activation)
    expected = reference.batchnorm_inference(
        *all_float64(*arrays), epsilon=0.1, activation=activation
    )
    # Terms of size gamma * rstd * x, about 30 at most, cancel.
    assert_close(y, expected, scale=30)
    for array, old in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, old)


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_apply(shape: tuple[int, ...], activation: Any) -> None:
    """The forward pass's output once more, bit for bit."""
    data = Data(shape)
    moving = data.moving_mean.copy(), data.moving_variance.copy()
    y, mean, rstd = ops.batchnorm_forward(
        data.x, data.gamma, data.beta, *moving, activation=activation
    )
    arrays = (data.x, data.gamma, data.beta, mean, rstd)
    assert_same_bits(ops.batchnorm_apply(*arrays, activation=activation), y)
    expected = reference.batchnorm_apply(*all_float64(*arrays), activation=activation)
    assert_close(y, expected, scale=30)


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_backward(shape: tuple[int, ...], activation: Any) -> None:
    data = Data(shape)
    channels = shape[-1]
    mean = random_array("mean", (channels,)) + 1
    rstd = np.abs(random_array("rstd", (channels,))) * 0.2 + 0.4
    if activation == "relu":
        # Where y is within rounding of zero, float32 and float64 may disagree on its sign.
        y = (data.x - mean) * rstd * data.gamma + data.beta
        data.x += np.where(np.abs(y) < 1e-3, 0.1, 0).astype(np.float32)
        y = (data.x - mean) * rstd * data.gamma + data.beta
        assert (np.abs(y) > 1e-4).all()
    arrays = (data.dy, data.x, data.gamma, data.beta, mean, rstd)
    dx, dgamma, dbeta = ops.batchnorm_backward(*arrays, activation=activation)
    expected = reference.batchnorm_backward(*all_float64(*arrays), activation=activation)
    # Sums of `terms` products of dy (size 1) with xhat (size up to 3).
    size = 3 * float(np.sqrt(data.terms))
    assert_close(dgamma, expected[1], terms=data.terms, scale=size)
    assert_close(dbeta, expected[2], terms=data.terms, scale=size)
    assert_close(dx, expected[0], terms=data.terms, scale=3)


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_the_gradient_may_be_added(shape: tuple[int, ...], activation: Any) -> None:
    data = Data(shape)
    _, mean, rstd, *_ = data.forward()
    arrays = (data.dy, data.x, data.gamma, data.beta, mean, rstd)
    dx, *others = ops.batchnorm_backward(*arrays, activation=activation)
    before = random_array("before", shape)
    sums = before.copy()
    _, *again = ops.batchnorm_backward(*arrays, activation=activation, add_to_dx=True, out=sums)
    assert_same_bits(tuple(again), tuple(others))
    assert_same_bits(sums, before + dx)


@pytest.mark.usefixtures("isa")
def test_default_arguments_are_keras() -> None:
    data = Data((4, 6, 6, 8))
    expected = data.expected_forward(momentum=0.99, epsilon=1e-3)
    for actual, wanted in zip(data.forward(), expected, strict=True):
        assert_close(actual, wanted, terms=data.terms)


@pytest.mark.usefixtures("isa")
def test_a_large_mean_does_not_swallow_the_variance() -> None:
    """E[x**2] - E[x]**2 in float32 would leave nothing of a variance of 1 beside a mean of 1000."""
    x = random_array("x", (4, 16, 16, 19)) + np.float32(1000)
    ones, zeros = np.ones(19, np.float32), np.zeros(19, np.float32)
    y, mean, rstd = ops.batchnorm_forward(x, ones, zeros, zeros.copy(), ones.copy())
    expected = reference.batchnorm_forward(*all_float64(x, ones, zeros, zeros, ones))
    # Storing the mean in float32 costs half an eps of 1000, adding up 1,024 numbers several more.
    # The variance must not feel it: it is a mean of squares of differences that are exact.
    assert np.abs(mean - expected[1]).max() <= 8 * EPS * 1000
    assert np.abs(rstd - expected[2]).max() <= 1e-5
    assert np.abs(y - expected[0]).max() <= 2e-3


@pytest.mark.usefixtures("isa")
def test_constant_channels_give_beta() -> None:
    """A variance of exactly zero must not become negative and then NaN."""
    for value in (0.0, 1.0, 0.1, -1234.567):
        x = np.full((3, 5, 7, 21), value, np.float32)
        gamma, beta = np.full(21, 2, np.float32), np.arange(21, dtype=np.float32)
        y, _, rstd = ops.batchnorm_forward(x, gamma, beta, beta.copy(), gamma.copy())
        # A rounding of the mean by some units is stretched by gamma * rstd.
        room = 16 * EPS * max(abs(value), 1) * 2 / np.sqrt(1e-3) + 4 * EPS * 21
        assert np.abs(y - beta).max() <= room
        # The square of such a rounding, at 1234 some 1e-6, stands beside an epsilon of 1e-3.
        assert np.abs(rstd * np.sqrt(1e-3) - 1).max() <= 2e-3


@every_activation
@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not(activation: Any) -> None:
    for shape in SHAPES:
        data = Data(shape)
        _, mean, rstd = data.forward()[:3]
        assert_out_is_used(
            lambda data=data, **k: data.forward(activation=activation, **k)[:3],
            ["out", "mean", "rstd"],
        )
        arrays = (data.x, data.gamma, data.beta, data.moving_mean, data.moving_variance)
        assert_out_is_used(
            lambda arrays=arrays, **k: ops.batchnorm_inference(*arrays, activation=activation, **k),
            ["out"],
        )
        saved = (data.dy, data.x, data.gamma, data.beta, mean, rstd)
        assert_out_is_used(
            lambda saved=saved, **k: ops.batchnorm_backward(*saved, activation=activation, **k),
            ["out", "dgamma", "dbeta"],
        )


@every_shape
@every_activation
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(shape: tuple[int, ...], activation: Any) -> None:
    data = Data(shape)

    def everything() -> tuple[Array, ...]:
        results = data.forward(activation=activation)
        arrays = (data.dy, data.x, data.gamma, data.beta, *results[1:3])
        return (*results, *ops.batchnorm_backward(*arrays, activation=activation))

    assert_threads_agree(everything)


@every_activation
@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.usefixtures("isa", "one_thread")
def test_a_special_number_spoils_its_channel_alone(special: float, activation: Any) -> None:
    """At every position of widths 1 to 33: the channel is all NaN, the others are untouched."""
    for channels in range(1, 34):
        data = Data((2, 2, 3, channels))
        data.gamma = np.abs(data.gamma) + np.float32(0.5)
        for position in range(channels):
            data.x = 2 * random_array("x", (2, 2, 3, channels)) + 1
            data.x[1, 0, 2, position] = special
            y, mean, rstd = data.forward(activation=activation)[:3]
            assert np.isnan(y[..., position]).any()
            assert not np.isfinite(mean[position])
            assert np.isnan(rstd[position])
            assert np.isfinite(np.delete(y, position, axis=3)).all()
            dx, dgamma, _ = ops.batchnorm_backward(
                data.dy, data.x, data.gamma, data.beta, mean, rstd, activation=activation
            )
            assert np.isfinite(np.delete(dx, position, axis=3)).all()
            assert np.isfinite(np.delete(dgamma, position)).all()
            if activation is None:
                assert np.isnan(y[..., position]).all()
                assert np.isnan(dx[..., position]).all()
