"""Layer normalisation against the reference."""

from __future__ import annotations

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
from shapes import NORMALISED_ROWS, TAIL_CHANNELS

every_shape = pytest.mark.parametrize("shape", NORMALISED_ROWS, ids=str)


class Data:
    """Rows with a mean of about 1 and a standard deviation of about 2."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        self.x = 2 * random_array("x", shape) + 1
        self.gamma = random_array("gamma", shape[-1:]) * 0.3 + 1
        self.beta = random_array("beta", shape[-1:]) * 0.3
        self.dy = random_array("dy", shape)
        self.rows = int(np.prod(shape[:-1]))

    def backward(self, mean: Array, rstd: Array, gamma: bool = True) -> tuple[Array, ...]:
        found = [np.empty(s, np.float32) for s in (self.shape, self.shape[-1:], self.shape[-1:])]
        given = self.gamma if gamma else None
        keys = ("dx", "dgamma", "dbeta")
        arrays = dict(zip(keys, found, strict=True))
        ops.layernorm_backward(self.dy, self.x, given, mean, rstd, **arrays)
        return tuple(found)


@every_shape
@pytest.mark.usefixtures("isa")
def test_forward(shape: tuple[int, ...]) -> None:
    data = Data(shape)
    arrays = (data.x, data.gamma, data.beta)
    for given in (arrays, (data.x,), (data.x, data.gamma), (data.x, None, data.beta)):
        y, mean, rstd = ops.layernorm_forward(*given, epsilon=1e-2)
        wide = [None if a is None else a.astype(np.float64) for a in given]
        expected = reference.layernorm_forward(*wide, epsilon=1e-2)
        # The mean is off by some eps of the largest |x|, and rstd stretches that.
        largest = float(np.abs(data.x).max())
        stretched = largest * float(expected[2].max()) * 2
        assert_close(mean, expected[1], terms=shape[-1], factor=1, scale=largest)
        assert_close(rstd, expected[2], terms=shape[-1], factor=4)
        assert_close(y, expected[0], terms=shape[-1], factor=2, scale=max(stretched, 1))


@every_shape
@pytest.mark.usefixtures("isa")
def test_backward(shape: tuple[int, ...]) -> None:
    data = Data(shape)
    mean = random_array("mean", shape[:-1]) + 1
    rstd = np.abs(random_array("rstd", shape[:-1])) * 0.2 + 0.4
    for gamma in (True, False):
        found = data.backward(mean, rstd, gamma)
        wanted = [a.astype(np.float64) for a in found]
        given = data.gamma.astype(np.float64) if gamma else None
        dy, x, *statistics = all_float64(data.dy, data.x, mean, rstd)
        keys = ("dx", "dgamma", "dbeta")
        arrays = dict(zip(keys, wanted, strict=True))
        reference.layernorm_backward(dy, x, given, *statistics, **arrays)
        # Sums of products of dy (size 1) with xhat (size up to 3), over a row or over the rows.
        assert_close(found[0], wanted[0], terms=shape[-1], scale=6)
        size = 3 * float(np.sqrt(data.rows))
        assert_close(found[1], wanted[1], terms=data.rows, scale=size)
        assert_close(found[2], wanted[2], terms=data.rows, scale=size)


@pytest.mark.usefixtures("isa")
def test_what_is_not_wanted_is_not_needed() -> None:
    data = Data((5, 7, 19))
    _, mean, rstd = ops.layernorm_forward(data.x, data.gamma, data.beta)
    together = data.backward(mean, rstd)
    for place, name in enumerate(("dx", "dgamma", "dbeta")):
        alone = np.empty_like(together[place])
        ops.layernorm_backward(data.dy, data.x, data.gamma, mean, rstd, **{name: alone})
        assert_same_bits(alone, together[place])


@pytest.mark.usefixtures("isa", "threads")
def test_the_gradient_may_take_the_place_of_what_it_is_computed_from() -> None:
    for shape in ((3, 5), (2000, 33), (3, 5000)):
        data = Data(shape)
        _, mean, rstd = ops.layernorm_forward(data.x, data.gamma, data.beta)
        expected = data.backward(mean, rstd)
        for place in ("x", "dy"):
            own = Data(shape)
            sums = [np.empty(shape[-1:], np.float32) for _ in range(2)]
            dx = getattr(own, place)
            ops.layernorm_backward(
                own.dy, own.x, own.gamma, mean, rstd, dx=dx, dgamma=sums[0], dbeta=sums[1]
            )
            assert_same_bits((dx, *sums), expected)


@pytest.mark.usefixtures("isa")
def test_a_large_mean_does_not_swallow_the_variance() -> None:
    """E[x**2] - E[x]**2 in float32 would leave nothing of a variance of 1 beside a mean of 1000."""
    for size in (40, 20_000):
        x = random_array("x", (3, size)) + np.float32(1000)
        y, mean, rstd = ops.layernorm_forward(x)
        expected = reference.layernorm_forward(x.astype(np.float64))
        assert np.abs(mean - expected[1]).max() <= 8 * EPS * 1000
        assert np.abs(rstd - expected[2]).max() <= 1e-5
        assert np.abs(y - expected[0]).max() <= 2e-3


@pytest.mark.usefixtures("isa")
def test_long_sums_are_as_exact_as_short_ones() -> None:
    """One chain of a million additions a lane would lose three digits."""
    x = np.full((2, 1 << 20), 0.1, np.float32)
    x[1, 0] = 3
    _, mean, _ = ops.layernorm_forward(x)
    np.testing.assert_allclose(mean, x.mean(axis=1, dtype=np.float64), rtol=64 * EPS)
    dy = np.full_like(x, 0.1).T.copy()
    sums = np.empty(2, np.float32)
    ops.layernorm_backward(dy, x.T, None, np.zeros(1 << 20), np.ones(1 << 20), dbeta=sums)
    np.testing.assert_allclose(sums, dy.sum(axis=0, dtype=np.float64), rtol=64 * EPS)


@pytest.mark.usefixtures("isa")
def test_constant_rows_give_beta() -> None:
    """A variance of exactly zero must not become negative and then NaN."""
    for value in (0.0, 1.0, 0.1, -1234.567):
        x, beta = np.full((4, 21), value, np.float32), np.arange(21, dtype=np.float32)
        y, _, rstd = ops.layernorm_forward(x, np.full(21, 2, np.float32), beta)
        room = 16 * EPS * max(abs(value), 1) * 2 / np.sqrt(1e-3) + 4 * EPS * 21
        assert np.abs(y - beta).max() <= room
        assert np.abs(rstd * np.sqrt(1e-3) - 1).max() <= 2e-3


@pytest.mark.usefixtures("isa", "one_thread")
def test_a_row_is_its_own() -> None:
    """The same bits wherever a row stands; NaN and infinities spoil their own row alone."""
    for size in (*TAIL_CHANNELS, 64):
        row = random_array("row", (size,))
        x = np.tile(row, (37, 1))
        y, mean, rstd = ops.layernorm_forward(x, row, row)
        for each in (y, mean, rstd):
            assert (each.view(np.uint32) == each[0].view(np.uint32)).all()
        for special in (np.nan, np.inf):
            x[5, size // 2] = special
            spoilt, _, other = ops.layernorm_forward(x, row, row)
            assert np.isnan(spoilt[5]).all()
            assert_same_bits(np.delete(spoilt, 5, axis=0), np.delete(y, 5, axis=0))
            dx = np.empty_like(x)
            ops.layernorm_backward(x, x, row, mean, other, dx=dx)
            assert np.isnan(dx[5]).all()
            assert np.isfinite(np.delete(dx, 5, axis=0)).all()


@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not() -> None:
    for shape in NORMALISED_ROWS:
        data = Data(shape)
        assert_out_is_used(
            lambda data=data, **k: ops.layernorm_forward(data.x, data.gamma, data.beta, **k),
            ["out", "mean", "rstd"],
        )


@every_shape
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(shape: tuple[int, ...]) -> None:
    data = Data(shape)

    def everything() -> tuple[Array, ...]:
        results = ops.layernorm_forward(data.x, data.gamma, data.beta)
        return (*results, *data.backward(*results[1:]))

    assert_threads_agree(everything)
