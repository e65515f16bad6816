"""Group normalisation against the reference."""

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
from shapes import NORMALISED_GROUPS

every_shape = pytest.mark.parametrize(("shape", "groups"), NORMALISED_GROUPS, ids=str)


class Data:
    """Images with a mean of about 1 and a standard deviation of about 2."""

    def __init__(self, shape: tuple[int, ...], groups: int) -> None:
        self.shape, self.groups = shape, groups
        self.x = 2 * random_array("x", shape) + 1
        self.gamma = random_array("gamma", shape[-1:]) * 0.3 + 1
        self.beta = random_array("beta", shape[-1:]) * 0.3
        self.dy = random_array("dy", shape)
        self.terms = int(np.prod(shape[1:])) // groups
        self.positions = int(np.prod(shape[:-1]))

    def forward(self, **options: Array) -> tuple[Array, ...]:
        arrays = (self.x, self.gamma, self.beta)
        return ops.groupnorm_forward(*arrays, groups=self.groups, **options)

    def backward(self, mean: Array, rstd: Array, gamma: bool = True) -> tuple[Array, ...]:
        found = [np.empty(s, np.float32) for s in (self.shape, self.shape[-1:], self.shape[-1:])]
        given = self.gamma if gamma else None
        arrays = dict(zip(("dx", "dgamma", "dbeta"), found, strict=True))
        ops.groupnorm_backward(self.dy, self.x, given, mean, rstd, **arrays)
        return tuple(found)


@every_shape
@pytest.mark.usefixtures("isa")
def test_forward(shape: tuple[int, ...], groups: int) -> None:
    data = Data(shape, groups)
    arrays = (data.x, data.gamma, data.beta)
    for given in (arrays, (data.x,), (data.x, data.gamma), (data.x, None, data.beta)):
        y, mean, rstd = ops.groupnorm_forward(*given, groups=groups, epsilon=1e-2)
        wide = [None if a is None else a.astype(np.float64) for a in given]
        expected = reference.groupnorm_forward(*wide, groups=groups, epsilon=1e-2)
        # The mean is off by some eps of the largest |x|, and rstd stretches that.
        largest = float(np.abs(data.x).max())
        stretched = largest * float(expected[2].max()) * 2
        assert_close(mean, expected[1], terms=data.terms, factor=1, scale=largest)
        assert_close(rstd, expected[2], terms=data.terms, factor=4)
        assert_close(y, expected[0], terms=data.terms, factor=2, scale=max(stretched, 1))


@every_shape
@pytest.mark.usefixtures("isa")
def test_backward(shape: tuple[int, ...], groups: int) -> None:
    data = Data(shape, groups)
    mean = random_array("mean", (shape[0], groups)) + 1
    rstd = np.abs(random_array("rstd", (shape[0], groups))) * 0.2 + 0.4
    for gamma in (True, False):
        found = data.backward(mean, rstd, gamma)
        wanted = [a.astype(np.float64) for a in found]
        given = data.gamma.astype(np.float64) if gamma else None
        dy, x, *statistics = all_float64(data.dy, data.x, mean, rstd)
        arrays = dict(zip(("dx", "dgamma", "dbeta"), wanted, strict=True))
        reference.groupnorm_backward(dy, x, given, *statistics, **arrays)
        # Sums of products of dy (size 1) with xhat (size up to 3).
        assert_close(found[0], wanted[0], terms=data.terms, scale=6)
        size = 3 * float(np.sqrt(data.positions))
        assert_close(found[1], wanted[1], terms=data.positions, scale=size)
        assert_close(found[2], wanted[2], terms=data.positions, scale=size)


@pytest.mark.usefixtures("isa")
def test_what_is_not_wanted_is_not_needed() -> None:
    data = Data((3, 5, 7, 18), 6)
    _, mean, rstd = data.forward()
    together = data.backward(mean, rstd)
    for place, name in enumerate(("dx", "dgamma", "dbeta")):
        alone = np.empty_like(together[place])
        ops.groupnorm_backward(data.dy, data.x, data.gamma, mean, rstd, **{name: alone})
        assert_same_bits(alone, together[place])


@pytest.mark.usefixtures("isa", "threads")
def test_the_gradient_may_take_the_place_of_what_it_is_computed_from() -> None:
    for shape, groups in (((3, 5), 5), ((1, 40, 40, 12), 3), ((9, 17, 20, 33), 11)):
        data = Data(shape, groups)
        _, mean, rstd = data.forward()
        expected = data.backward(mean, rstd)
        for place in ("x", "dy"):
            own = Data(shape, groups)
            sums = [np.empty(shape[-1:], np.float32) for _ in range(2)]
            dx = getattr(own, place)
            ops.groupnorm_backward(
                own.dy, own.x, own.gamma, mean, rstd, dx=dx, dgamma=sums[0], dbeta=sums[1]
            )
            assert_same_bits((dx, *sums), expected)


@pytest.mark.usefixtures("isa")
def test_all_channels_in_one_group_are_a_layer_normalisation() -> None:
    x = random_array("x", (4, 6, 5, 20))
    y, mean, rstd = ops.groupnorm_forward(x, groups=1)
    rows, centers, scales = ops.layernorm_forward(x.reshape(4, -1))
    np.testing.assert_allclose(y.reshape(4, -1), rows, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean[:, 0], centers, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(rstd[:, 0], scales, rtol=1e-5)


@pytest.mark.usefixtures("isa")
def test_a_large_mean_does_not_swallow_the_variance() -> None:
    """E[x**2] - E[x]**2 in float32 would leave nothing of a variance of 1 beside a mean of 1000."""
    x = random_array("x", (2, 40, 30, 19)) + np.float32(1000)
    y, mean, rstd = ops.groupnorm_forward(x, groups=19)
    expected = reference.groupnorm_forward(x.astype(np.float64), groups=19)
    assert np.abs(mean - expected[1]).max() <= 8 * EPS * 1000
    assert np.abs(rstd - expected[2]).max() <= 1e-5
    assert np.abs(y - expected[0]).max() <= 2e-3


@pytest.mark.usefixtures("isa", "one_thread")
def test_an_image_and_a_group_are_their_own() -> None:
    """NaN and infinities spoil the group of their image, and nothing else."""
    for channels, groups in ((6, 3), (20, 4), (33, 11), (5, 5)):
        x, width = random_array("x", (3, 4, 5, channels)), channels // groups
        y, mean, rstd = ops.groupnorm_forward(x, groups=groups)
        for special in (np.nan, np.inf):
            x[1, 2, 3, width] = special  # of the second group
            spoilt, own_mean, own_rstd = ops.groupnorm_forward(x, groups=groups)
            dx = np.empty_like(x)
            ops.groupnorm_backward(x, x, None, own_mean, own_rstd, dx=dx)
            inside = np.zeros(x.shape, bool)
            inside[1, :, :, width : 2 * width] = True
            assert np.isnan(spoilt[inside]).all()
            assert_same_bits(spoilt[~inside], y[~inside])
            assert np.isnan(dx[inside]).all()
            assert np.isfinite(dx[~inside]).all()
        assert np.isfinite(mean).all()
        assert np.isfinite(rstd).all()


@pytest.mark.usefixtures("isa")
def test_out_is_used_and_its_surroundings_are_not() -> None:
    for shape, groups in NORMALISED_GROUPS:
        data = Data(shape, groups)
        assert_out_is_used(data.forward, ["out", "mean", "rstd"])


@every_shape
@pytest.mark.usefixtures("isa")
def test_threads_give_the_same_bits(shape: tuple[int, ...], groups: int) -> None:
    """Fewer images than threads are computed by blocks, others one at a time."""
    data = Data(shape, groups)

    def everything() -> tuple[Array, ...]:
        results = data.forward()
        return (*results, *data.backward(*results[1:]))

    assert_threads_agree(everything)


@pytest.mark.parametrize("groups", [0, -1, 4, 7])
def test_groups_must_divide_the_channels(groups: int) -> None:
    for module in (ops, reference):
        with pytest.raises(ValueError, match="groups must divide the 6 channels"):
            module.groupnorm_forward(np.ones((2, 3, 6), np.float32), groups=groups)
