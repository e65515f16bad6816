"""Models with noise, and with layers that rearrange images: replayed, and with any threads."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits, assert_threads_agree
from convkit import layers
from convkit.core import changes

RNG = np.random.default_rng(5)
X, Y = RNG.random((24, 7, 6, 3), np.float32), np.arange(24) % 3


def made() -> convkit.Sequential:
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(11)
    model = convkit.Sequential(
        [
            layers.Input(X.shape[1:]),
            layers.GaussianNoise(0.1),
            layers.Conv2D(5, 3, padding="same", activation="relu"),
            layers.SpatialDropout2D(0.3),
            layers.UpSampling2D((1, 2), interpolation="bilinear"),
            layers.Conv2D(6, 3),
            layers.GaussianDropout(0.2),
            layers.UpSampling2D(2),
            layers.Cropping2D(((1, 0), (2, 3))),
            layers.Permute((2, 1, 3)),
            layers.Identity(),
            layers.BatchNormalization(),
            layers.GaussianNoise(0.2),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def trained(model: convkit.Sequential, anew: bool = False) -> tuple[Array, ...]:
    for step in range(4):
        if anew:
            changes.invalidate(model.layers[0])
        model.train_on_batch(X[6 * step : 6 * step + 6], Y[6 * step : 6 * step + 6])
    return tuple(model.get_weights())


def test_threads_and_replayed_calls() -> None:
    whole = trained(made())
    assert_threads_agree(lambda: trained(made()), (1, 3))
    assert_same_bits(trained(made(), anew=True), whole)
    assert any((one != other).any() for one, other in zip(whole, made().get_weights(), strict=True))


def test_steps_differ_in_their_noise() -> None:
    model = made()
    model.compile(convkit.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
    losses = {float(model.train_on_batch(X, Y)) for _ in range(4)}
    assert len(losses) == 4
    assert len({model.evaluate(X, Y, verbose=0) for _ in range(2)}) == 1


@pytest.mark.parametrize("kind", [layers.GaussianNoise, layers.GaussianDropout])
def test_gradients_reach_what_is_before(kind: type[layers.Layer]) -> None:
    """The first layer's gradients, by differences of the loss with the same noise."""
    convkit.utils.set_random_seed(2)
    dense = layers.Dense(4, use_bias=False)
    model = convkit.Sequential([layers.Input((3,)), dense, kind(0.3), layers.Dense(1)])
    model.compile(convkit.optimizers.SGD(0.0), "mse")
    x, y = RNG.random((8, 3), np.float32), RNG.random((8, 1), np.float32)
    model.seed = 4
    before = model.get_weights()

    def loss(change: float) -> float:
        twin = convkit.Sequential.from_config(model.get_config())
        twin.compile(convkit.optimizers.SGD(0.0), "mse")
        twin.seed = 4
        weights = [each.copy() for each in before]
        weights[0][1, 2] += change
        twin.set_weights(weights)
        twin.train_on_batch(x, y)
        return float(twin.train_on_batch(x, y))

    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    wanted = (loss(0.125) - loss(-0.125)) / 0.25  # exact of a square, but for rounding
    assert dense.kernel.gradient[1, 2] == pytest.approx(wanted, rel=1e-4, abs=1e-6)
