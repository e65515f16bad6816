"""Dropout of whole channels against the reference and against dropout's own mask: exactly."""

from __future__ import annotations

import numpy as np
import pytest

from compare import assert_out_is_used, assert_same_bits, assert_threads_agree, random_array
from convkit import ops, reference
from shapes import TAIL_CHANNELS

SHAPES = (*((2, 3, 5, c) for c in TAIL_CHANNELS), (1, 1, 1, 1), (7, 14, 14, 20), (40, 1, 1, 3))
RATES = (0.0, 0.1, 0.5, 0.9)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.usefixtures("isa")
def test_both_directions(shape: tuple[int, ...], rate: float) -> None:
    x = random_array("x", shape)
    numbers = {"seed": 2**63 + 5, "step": 9, "offset": 3 << 48}
    y = ops.spatial_dropout2d_forward(x, rate, **numbers)
    assert_same_bits(y, reference.spatial_dropout2d_forward(x, rate, **numbers))
    assert_same_bits(ops.spatial_dropout2d_backward(x, rate, **numbers), y)
    assert_same_bits(reference.spatial_dropout2d_backward(x, rate, **numbers), y)
    # Each channel of each image is an element of the plain mask.
    ones = np.ones((shape[0], shape[3]), np.float32)
    factors = ops.dropout_forward(ones, rate, **numbers)[:, None, None]
    np.testing.assert_array_equal(y, x * factors)


def test_the_share_of_dropped_channels() -> None:
    x = np.ones((400, 2, 2, 50), np.float32)
    for rate in RATES:
        y = ops.spatial_dropout2d_forward(x, rate, seed=4)
        assert (y == y[:, :1, :1]).all()
        share = float((y == 0).mean())
        # Of 20000 channels: six standard deviations.
        assert abs(share - rate) <= 6 * np.sqrt(rate * (1 - rate) / 20000)
    one, other = (ops.spatial_dropout2d_forward(x, 0.5, seed=4, step=step) for step in (1, 2))
    assert (one != other).any()


def test_dropped_channels_are_zero_whatever_they_held() -> None:
    x = np.full((4, 3, 3, 35), np.nan, np.float32)
    y = ops.spatial_dropout2d_forward(x, 0.5, seed=1)
    kept = ops.dropout_forward(np.ones((4, 35), np.float32), 0.5, seed=1) > 0
    assert np.isnan(y[np.broadcast_to(kept[:, None, None], y.shape)]).all()
    assert (y[np.broadcast_to(~kept[:, None, None], y.shape)] == 0).all()
    assert kept.any()
    assert not kept.all()


def test_threads_and_out() -> None:
    x = random_array("x", (16, 13, 14, 33))
    assert_threads_agree(lambda: ops.spatial_dropout2d_forward(x, 0.3, seed=5))
    assert_out_is_used(lambda **k: ops.spatial_dropout2d_forward(x, 0.3, seed=5, **k), ["out"])
    assert_out_is_used(lambda **k: ops.spatial_dropout2d_backward(x, 0.3, seed=5, **k), ["out"])
    buffer = x.copy()
    assert ops.spatial_dropout2d_forward(buffer, 0.3, seed=5, out=buffer) is buffer
    assert_same_bits(buffer, ops.spatial_dropout2d_forward(x, 0.3, seed=5))


@pytest.mark.parametrize("rate", [-0.1, 1.0, np.nan, np.inf])
def test_rates_outside_zero_to_one(rate: float) -> None:
    for module in (ops, reference):
        with pytest.raises(ValueError, match="rate"):
            module.spatial_dropout2d_forward(np.ones((1, 2, 2, 3), np.float32), rate, seed=0)


def test_images_only() -> None:
    for module in (ops, reference):
        with pytest.raises(ValueError, match="4 dimensions"):
            module.spatial_dropout2d_forward(np.ones((2, 3), np.float32), 0.5, seed=0)
