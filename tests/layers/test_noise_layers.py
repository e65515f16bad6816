"""Models with noise, and with layers that rearrange images: replayed, and with any threads."""

from __future__ import annotations

import numpy as np
import pytest

import convkit
from compare import Array, assert_same_bits, assert_threads_agree
from convkit import layers
from convkit.core import changes, random

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


@pytest.mark.parametrize("shape", [(None, 1, 1, 1), (1, None, 1, 3), (None, 1, 1, None)])
def test_a_mask_may_be_shared_along_axes(shape: tuple[int | None, ...]) -> None:
    layer = layers.Dropout(0.5, shape, seed=3)
    x = np.ones((16, 7, 6, 3), np.float32)
    y = layer(x, training=True)
    assert set(np.unique(y)) == {0.0, 2.0}
    assert_same_bits(layer(x), x)
    for axis, size in enumerate(shape):
        if size == 1:
            assert (np.ptp(y, axis=axis) == 0).all()
    sizes = [1 if size == 1 else whole for size, whole in zip(shape, x.shape, strict=True)]
    offset = random.dropout_offset(layer.index)
    mask = convkit.ops.dropout_forward(np.ones(sizes), 0.5, seed=3, offset=offset)
    assert_same_bits(y[tuple(slice(size) for size in sizes)], mask)


def stochastic_depth() -> convkit.Model:
    """A residual block whose residual is dropped for whole images."""
    convkit.utils.clear_session()
    convkit.utils.set_random_seed(12)
    inputs = layers.Input(X.shape[1:])
    y = layers.Conv2D(3, 3, padding="same")(inputs)
    y = layers.Add()([inputs, layers.Dropout(0.4, (None, 1, 1, 1))(y)])
    outputs = layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(y))
    model = convkit.Model(inputs, outputs)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_stochastic_depth_with_threads_and_replayed_calls() -> None:
    whole = trained(stochastic_depth())
    assert_threads_agree(lambda: trained(stochastic_depth()), (1, 3))
    assert_same_bits(trained(stochastic_depth(), anew=True), whole)


def test_a_dropped_residual_has_no_gradient() -> None:
    """Backward has the mask of forward: a kernel learns from the images that keep its values."""
    layer = layers.Dropout(0.5, (None, 1), seed=1)
    dense = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = convkit.Sequential([layers.Input((16,)), dense, layer])
    model.compile(convkit.optimizers.SGD(1.0), "mse")
    x = np.eye(16, dtype=np.float32)  # each weight is that of one image
    model.train_on_batch(x, np.zeros((16, 1), np.float32))
    changes_of = set(np.round(1.0 - dense.kernel.value[:, 0], 5))
    assert changes_of == {0.0, 0.5}  # 2 * (2 * 1) * 2 / 16 where it was kept


REFUSED_SHAPES = [
    ((8, 1, 1, 1), "noise_shape begins with None"),
    ((None, 0, 1, 1), "noise_shape must be None, or positive"),
    ("none", "noise_shape must be None, or positive"),
    ((None, 2, 1, 1), r"noise_shape \(None, 2, 1, 1\) does not fit inputs of shape \(None, 7"),
    ((None, 1), r"does not fit inputs of shape"),
]


@pytest.mark.parametrize(("shape", "message"), REFUSED_SHAPES)
def test_masks_that_do_not_fit_are_refused(shape: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        layers.Dropout(0.5, shape).build((None, 7, 6, 3))  # type: ignore[arg-type]
