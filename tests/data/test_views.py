"""Predictions of several views: each view by hand, with its weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import layers
from convkit.utils import predict_views

X = np.random.default_rng(2).integers(0, 256, (5, 6, 7, 3)).astype(np.uint8)


def model() -> convkit.Sequential:
    convkit.utils.set_random_seed(2)
    made = [layers.Rescaling(1 / 255, input_shape=(6, 7, 3)), layers.Flatten(), layers.Dense(4)]
    return convkit.Sequential(made)


def moved(x: Array, down: int, right: int) -> Array:
    """Pixel (i, j) of the result is pixel (i - down, j - right), mirrored at the border."""
    rows = np.array([abs(i - down) for i in range(6)])
    columns = np.array([abs(j - right) for j in range(7)])
    rows = np.where(rows > 5, 10 - rows, rows)
    columns = np.where(columns > 6, 12 - columns, columns)
    return x[:, rows][:, :, columns]


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 1, 3])
def test_it_is_the_mean_of_the_views(flip: bool, shift: int) -> None:
    made = model()
    views = [(1.0, X)]
    if shift:
        views = [(0.5, X), (0.25, moved(X, -shift, -shift)), (0.25, moved(X, shift, shift))]
    wanted = np.zeros((5, 4))
    for weight, view in views:
        for each in (view, view[:, :, ::-1]) if flip else (view,):
            own = np.float64(made.predict(np.ascontiguousarray(each), verbose=0))
            wanted += weight * own * (0.5 if flip else 1.0)
    np.testing.assert_allclose(predict_views(made, X, flip, shift), wanted, atol=1e-6)
    plain = made.predict(X, verbose=0)
    assert np.allclose(wanted, plain, atol=1e-4) == (not flip and not shift)


def test_many_images_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = predict_views(model(), X)
    monkeypatch.setattr("convkit.data.views._BLOCK", 2)
    np.testing.assert_array_equal(predict_views(model(), X, batch_size=2), whole)


def test_wrong_arguments() -> None:
    inputs = layers.Input((6, 7, 3))
    flat = layers.Flatten()(inputs)
    several: Any = convkit.Model(inputs, [layers.Dense(2)(flat), layers.Dense(3)(flat)])
    with pytest.raises(ValueError, match="one output"):
        predict_views(several, X)
    for x, shift, message in (
        (X[0], 1, r"\(N, H, W, C\), received \(6, 7, 3\)"),
        (X, 6, "shift must be an integer"),
        (X, -1, "shift must be an integer"),
        (X, 0.5, "shift must be an integer"),
    ):
        with pytest.raises(ValueError, match=message):
            predict_views(model(), x, shift=shift)  # type: ignore[arg-type]
