"""Winograd's error bound, its worst case, and the setting that does without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import EPS, Array, assert_same_bits, direct_convolutions, float64
from convkit import Sequential, ops
from convkit.layers import BatchNormalization, Conv2D, Flatten, Input, MaxPooling2D

HOT = 1e6
# k of docs/accuracy.md, for a plane whose tiles are of 4, and of 5.
FOUR, FIVE = 128.0, 1024.0


def _problem(side: int, seed: int) -> tuple[Array, Array, Array]:
    """x of ones or normal numbers with a hot pixel, w, and where the hot pixel does not reach."""
    rng = np.random.default_rng(seed)
    shape = (12, side, side, 16)
    x = np.ones(shape) if seed % 2 else rng.standard_normal(shape)
    h, w = rng.integers(side, size=2)
    x[:, h, w, rng.integers(16)] = HOT
    weights = rng.standard_normal((3, 3, 16, 16)).astype(np.float32)
    beside = np.ones((side, side), bool)
    beside[max(h - 1, 0) : h + 2, max(w - 1, 0) : w + 2] = False
    return x.astype(np.float32), weights, beside


def _exact(x: Array, w: Array) -> Array:
    padded = np.pad(float64(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    return np.tensordot(windows, float64(w), axes=([4, 5, 3], [0, 1, 2]))


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(("side", "k"), [(4, FOUR), (12, FOUR), (16, FOUR), (5, FIVE), (14, FIVE)])
def test_a_hot_pixel_leaves_errors_within_the_bound(side: int, k: float) -> None:
    largest = 0.0
    for seed in range(12):
        x, w, beside = _problem(side, seed)
        assert ops.conv2d_algorithm(x.shape, w.shape, padding="same") == "winograd"
        exact = _exact(x, w)
        error = np.abs(ops.conv2d_forward(x, w, padding="same") - exact)
        sizes = np.abs(float64(x)).max(axis=(0, 1, 2)), np.abs(float64(w)).max(axis=(0, 1))
        assert (error <= k * EPS * (sizes[0] @ sizes[1])).all()
        largest = max(largest, float(error[:, beside].max()))
        # Without Winograd's algorithm each output has its own window's error.
        direct = ops.conv2d_forward(x, w, padding="same", algorithm="direct")
        magnitudes = _exact(np.abs(x), np.abs(w))
        assert (np.abs(direct - exact) <= 146 * EPS / 2 * magnitudes).all()
    assert largest > 1.0, "the worst case is not as the documentation says"


@pytest.mark.usefixtures("isa")
def test_what_is_not_finite_spreads_over_its_tiles_only() -> None:
    x, w = np.ones((2, 16, 16, 16), np.float32), np.full((3, 3, 16, 16), 0.5, np.float32)
    for value in (np.nan, np.inf):
        x[0, 5, 6, 3] = value
        y = ops.conv2d_forward(x, w, padding="same")
        wrong = ~np.isfinite(y).all(axis=-1)
        assert wrong[0, 4:7, 5:8].all()
        assert wrong.sum() > 9
        assert not wrong[0, 10:].any()
        assert not wrong[1].any()
        direct = ops.conv2d_forward(x, w, padding="same", algorithm="direct")
        assert (~np.isfinite(direct).all(axis=-1)).sum() == 9


@pytest.mark.usefixtures("isa")
@pytest.mark.parametrize(("side", "limit"), [(14, 1e36), (16, 1e37)])
def test_inputs_up_to_the_limit_do_not_overflow(side: int, limit: float) -> None:
    signs = np.random.default_rng(1).choice([-1.0, 1.0], (12, side, side, 16))
    x = (limit * signs).astype(np.float32)
    w = np.full((3, 3, 16, 16), 1e-3, np.float32)
    assert np.isfinite(ops.conv2d_forward(x, w, padding="same")).all()


def test_the_setting_of_a_call_is_checked_and_told() -> None:
    shapes: Any = ((8, 16, 16, 16), (3, 3, 16, 16))
    for direction in ("forward", "backward_input", "backward_weights"):
        assert ops.conv2d_algorithm(*shapes, direction=direction) == "winograd"
        named = ops.conv2d_algorithm(*shapes, direction=direction, algorithm="direct")
        assert named == "direct"
    with pytest.raises(ValueError, match="algorithm must be 'auto' or 'direct', but is 'fast'"):
        ops.conv2d_forward(np.ones(shapes[0]), np.ones(shapes[1]), algorithm="fast")
    with pytest.raises(ValueError, match="algorithm must be 'auto' or 'direct', received None"):
        Conv2D(16, 3, algorithm=None)  # type: ignore[arg-type]


STACKS: dict[str, list[Any]] = {
    "alone": [],
    "pool": [MaxPooling2D],
    "batchnorm": [BatchNormalization],
    "batchnorm and pool": [BatchNormalization, MaxPooling2D],
}


def _model(behind: list[Any], algorithm: str) -> Sequential:
    convkit.utils.set_random_seed(3)
    convolutions = [
        Conv2D(16, 3, padding="same", algorithm=algorithm),
        *(layer() for layer in behind),
        Conv2D(16, 3, padding="same", activation="relu", algorithm=algorithm),
    ]
    model = Sequential([Input((16, 16, 16)), *convolutions, Flatten()])
    model.compile(optimizer="sgd", loss="mse")
    return model


def _trained(model: Sequential) -> list[Array]:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((16, 16, 16, 16)).astype(np.float32)
    y = rng.standard_normal((16, *model.output_shape[1:])).astype(np.float32)
    for _ in range(2):
        model.train_on_batch(x, y)
    return [*model.get_weights(), model.predict(x[:3], verbose=0)]


@pytest.mark.parametrize("name", STACKS)
def test_a_layer_does_without_alone_and_fused(name: str, tmp_path: Any) -> None:
    """Forward, backward and after loading: the bits are those of the process-wide setting."""
    model = _model(STACKS[name], "direct")
    own = _trained(model)
    automatic = _trained(_model(STACKS[name], "auto"))
    with direct_convolutions():
        everywhere = _trained(_model(STACKS[name], "auto"))
    assert_same_bits(tuple(own), tuple(everywhere))
    assert any(a.tobytes() != b.tobytes() for a, b in zip(own, automatic, strict=True))
    path = tmp_path / "model.convkit"
    model.save(path)
    loaded = convkit.models.load_model(path)
    assert [layer.algorithm for layer in loaded.layers if isinstance(layer, Conv2D)] == [
        "direct",
        "direct",
    ]
    assert loaded.layers[0].get_config().get("algorithm", "direct") == "direct"
    assert_same_bits(tuple(_trained(loaded)), tuple(_trained(model)))
