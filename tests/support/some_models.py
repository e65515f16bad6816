"""Models that several tests share: of the zoo and trained a little, of every layer, and small."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.layers import (
    ELU,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    CenterCrop,
    Conv2D,
    Conv2DTranspose,
    Cropping2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GaussianDropout,
    GaussianNoise,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    GroupNormalization,
    Identity,
    Input,
    Layer,
    LayerNormalization,
    LeakyReLU,
    MaxPooling2D,
    Normalization,
    Permute,
    PReLU,
    RandomBrightness,
    RandomColorJitter,
    RandomContrast,
    RandomCrop,
    RandomErasing,
    RandomFlip,
    RandomGrayscale,
    RandomHue,
    RandomInvert,
    RandomRotation,
    RandomSaturation,
    RandomShear,
    RandomTranslation,
    RandomZoom,
    ReLU,
    Rescaling,
    Reshape,
    Resizing,
    SeparableConv2D,
    Softmax,
    SpatialDropout2D,
    UpSampling2D,
    ZeroPadding2D,
)

ZOO = ("mnist_cnn", "fashion_mnist_cnn", "cifar10_cnn")


@cache
def trained(name: str) -> convkit.Sequential:
    """A model of the zoo after twelve steps on images of two kinds, so that it has learnt some."""
    convkit.utils.set_random_seed(17)
    model: convkit.Sequential = getattr(convkit.zoo, name)()
    x = images(model, 96)
    labels = np.arange(96) % 2
    x[labels == 1] += 0.5
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, labels, batch_size=32, epochs=4, verbose=0)
    return model


def images(model: convkit.Sequential, count: int) -> Array:
    """Inputs of a model, uniform in 0 .. 1."""
    rng = np.random.default_rng(count)
    return rng.random((count, *(size or 0 for size in model.input_shape[1:])), dtype=np.float32)


# For each line of layers the shape of a sample. Together they have every layer that has operators
# in ONNX, and what is special about padding, layouts and the order of flattened values.
LINES: dict[str, tuple[tuple[int, ...], Callable[[], list[Layer]]]] = {
    "uneven padding": (
        (12, 9, 3),
        lambda: [
            Conv2D(8, 3, strides=2, padding="same", activation="gelu"),
            MaxPooling2D(3, 2, padding="same"),
            AveragePooling2D(2, 2, padding="same"),
            Flatten(),
            Dense(5),
        ],
    ),
    "groups and dilation": (
        (11, 13, 4),
        lambda: [
            Conv2D(6, (3, 2), dilation_rate=2, groups=2, use_bias=False),
            BatchNormalization(scale=False),
            Activation("leaky_relu"),
            DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="elu"),
            GlobalAveragePooling2D(),
            Dense(4, activation="sigmoid"),
            Dense(3, use_bias=False),
            Softmax(),
        ],
    ),
    "standardised": (
        (5, 4, 3),
        lambda: [
            Normalization(mean=[0.5, 1.0, 2.0], variance=[1.0, 2.0, 0.5]),
            Conv2D(4, 3),
            Normalization(None, 0.25, 4.0, invert=True),
            Flatten(),
            Dense(2),
        ],
    ),
    "augmented": (
        (9, 8, 3),
        lambda: [
            RandomFlip("vertical"),
            RandomTranslation(0.1, (-0.2, 0.1), "nearest"),
            RandomRotation(0.1, "constant", fill_value=0.5),
            RandomZoom(0.2, 0.1, "wrap", "nearest"),
            RandomShear(0.2),
            RandomBrightness(0.1, (0, 1)),
            RandomContrast(0.1, (0, 1)),
            RandomInvert(0.5, (0, 1)),
            RandomGrayscale(0.5),
            RandomHue(0.3, (0, 1), seed=4),
            RandomSaturation((0.4, 0.6), (0, 1)),
            RandomColorJitter((0, 1), 0.1, 0.2, (0.4, 0.6), 0.3),
            RandomErasing(0.5, fill_value=0.5, value_range=(0, 1)),
            RandomCrop(9, 8, seed=3),
            Conv2D(4, 3),
            Flatten(),
            Dense(2),
        ],
    ),
    "resized": (
        (9, 14, 3),
        lambda: [
            Resizing(7, 6, pad_to_aspect_ratio=True, antialias=True),
            Conv2D(4, 2),
            CenterCrop(5, 4),
            Resizing(6, 6, "nearest"),
            Resizing(8, 4, "bicubic", crop_to_aspect_ratio=True),
            Flatten(),
            Dense(2),
        ],
    ),
    "separable": (
        (8, 9, 3),
        lambda: [
            SeparableConv2D(6, 3, 2, padding="same", depth_multiplier=2, activation="relu"),
            SeparableConv2D(4, (2, 3), use_bias=False),
            GlobalAveragePooling2D(),
            Dense(3),
        ],
    ),
    "no dense behind flatten": (
        (5, 6, 3),
        lambda: [
            ZeroPadding2D(((0, 1), (2, 0))),
            Conv2D(4, 3),
            LeakyReLU(0.1),
            Flatten(),
            BatchNormalization(center=False),
        ],
    ),
    "much between flatten and dense": (
        (4, 5, 3),
        lambda: [
            Conv2D(6, 2, activation="tanh"),
            Flatten(),
            BatchNormalization(),
            Dropout(0.3),
            ELU(0.7),
            Dense(7, activation="relu"),
            ReLU(),
            Dense(2),
        ],
    ),
    "smooth and hard activations": (
        (10, 9, 3),
        lambda: [
            Conv2D(6, 3, activation="silu"),
            DepthwiseConv2D(3, activation="hard_silu"),
            PReLU("he_normal", shared_axes=[1, 2]),
            Activation("mish"),
            Conv2D(5, 2, activation="softplus"),
            GlobalAveragePooling2D(),
            Dense(8, activation="selu"),
            PReLU("ones"),
            Dense(6, activation="softsign"),
            Activation("swish"),
            PReLU("he_normal", shared_axes=1),
            Dense(5, activation="hard_sigmoid"),
            Dense(4, activation="log_softmax"),
        ],
    ),
    "slopes of places": (
        (5, 6, 3),
        lambda: [
            PReLU("he_normal", shared_axes=3),
            Conv2D(4, 2, activation="exponential"),
            Flatten(),
            PReLU("he_normal"),
            Dense(3, activation="log_softmax"),
        ],
    ),
    "images out": (
        (6, 6, 2),
        lambda: [
            Rescaling([2.0, 0.5], offset=-1.0),
            Conv2D(3, 3, padding="same"),
            Softmax(),
        ],
    ),
    "planes of one": (
        (5, 6, 3),
        lambda: [
            Conv2D(4, 3, padding="same"),
            Dense(6, activation="relu"),
            GlobalAveragePooling2D(keepdims=True),
            Dense(5, use_bias=False),
            GlobalMaxPooling2D(keepdims=True),
            Flatten(),
            Dense(3),
        ],
    ),
    "cut off": (
        (9, 8, 3),
        lambda: [
            Cropping2D(((1, 0), (0, 2))),
            Identity(),
            Conv2D(4, 3, activation="relu"),
            SpatialDropout2D(0.25),
            ZeroPadding2D(1),
            Cropping2D(1),
            Conv2D(5, 2, padding="same"),
            Flatten(),
            Identity(),
            Dense(3),
        ],
    ),
    "noisy": (
        (7, 6, 2),
        lambda: [
            GaussianNoise(0.25),
            Conv2D(4, 3, activation="relu"),
            Flatten(),
            GaussianDropout(0.5),
            GaussianNoise(0.5),
            Dense(3),
        ],
    ),
    "vectors in": (
        (48,),
        lambda: [
            Rescaling(1 / 4, offset=0.5),
            Reshape((4, 4, 3)),
            Conv2D(5, 3, activation="relu"),
            GlobalMaxPooling2D(),
            Dense(3),
        ],
    ),
    "bent": (
        (7, 6, 3),
        lambda: [
            Conv2D(4, 3, activation="relu6"),
            ReLU(0.75),
            Conv2D(5, 2),
            ReLU(0.5, negative_slope=0.25),
            Conv2D(4, 1, padding="same"),
            ReLU(negative_slope=0.125),
            GlobalAveragePooling2D(),
            Dense(6),
            ReLU(6.0),
            Dense(5),
            ReLU(threshold=0.375),
            Dense(6),
            ReLU(1.25, threshold=0.25),
            Dense(3),
        ],
    ),
    "nothing but dense": ((7,), lambda: [Dense(4), Activation("linear"), Dense(3)]),
    "images reshaped": (
        (4, 6, 2),
        lambda: [Conv2D(3, 1), Reshape((6, 4, 3)), Conv2D(2, 2), Flatten(), Dense(2)],
    ),
    "signals": ((9, 4), lambda: [BatchNormalization(), Flatten(), Dense(3)]),
}


# Of layers that Keras and ONNX have, and that are no modules of PyTorch here.
KERAS_LINES: dict[str, tuple[tuple[int, ...], Callable[[], list[Layer]]]] = {
    "normalised by themselves": (
        (6, 5, 4),
        lambda: [
            Conv2D(8, 3),
            LayerNormalization(scale=False),
            Activation("gelu"),
            GroupNormalization(2, epsilon=1e-2),
            Flatten(),
            LayerNormalization(gamma_regularizer="l2"),
            Dense(3),
        ],
    ),
    "larger again": (
        (6, 5, 4),
        lambda: [
            Conv2D(8, 3, strides=2, activation="relu"),
            Conv2DTranspose(6, 3, strides=2, padding="same", output_padding=1, activation="relu"),
            Conv2DTranspose(3, (2, 4), use_bias=False, kernel_regularizer="l2"),
        ],
    ),
    "turned and enlarged": (
        (4, 6, 3),
        lambda: [
            Permute((2, 1, 3)),
            UpSampling2D((1, 2)),
            Conv2D(4, 3),
            UpSampling2D(2, interpolation="bilinear"),
            Permute((1, 3, 2)),
            Dense(3),
        ],
    ),
}


def every_layer() -> set[type[Layer]]:
    """The layers that the lines have which ONNX has, too."""
    return {type(layer) for _, make in (LINES | KERAS_LINES).values() for layer in make()}


def of_line(name: str) -> convkit.Sequential:
    """A model with random weights and statistics, as after training."""
    shape, make = (LINES | KERAS_LINES)[name]
    convkit.utils.set_random_seed(3)
    model = convkit.Sequential([Input(shape), *make()])
    rng = np.random.default_rng(5)
    for parameter in model.weights:
        if parameter.name != "kernel":
            parameter.value[...] = rng.uniform(0.5, 1.5, parameter.shape)
    return model


SMALL_IMAGES = (8, 8, 1)


def small_cnn(seed: int = 0, compiled: bool = True) -> convkit.Sequential:
    convkit.utils.set_random_seed(seed)
    model = convkit.Sequential(
        [
            Input(SMALL_IMAGES),
            Conv2D(6, 3, padding="same"),
            BatchNormalization(),
            Activation("relu"),
            MaxPooling2D(),
            Conv2D(8, 3, activation="relu"),
            Flatten(),
            Dropout(0.25),
            Dense(10, activation="relu"),
            Dense(3, activation="softmax"),
        ]
    )
    if compiled:
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def stripes(n: int, seed: int = 0) -> tuple[Array, Array]:
    """Images that a few steps can learn: the class is which third of the rows is bright."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    x = rng.normal(0, 0.3, (n, *SMALL_IMAGES)).astype(np.float32)
    for i, label in enumerate(y):
        x[i, 3 * label : 3 * label + 2] += 1.0
    return x, y


def few_weights() -> convkit.Sequential:
    """A few weights of every kind."""
    return convkit.Sequential(
        [
            Input((6, 6, 2)),
            Conv2D(3, 3, padding="same", use_bias=False),
            BatchNormalization(scale=False),
            Flatten(),
            Dense(3),
        ]
    )


def saved_line(tmp_path: Path) -> tuple[convkit.Sequential, bytes]:
    convkit.utils.set_random_seed(0)
    model = convkit.Sequential([Input((2,)), Dense(1, name="d")], name="s")
    model.compile(convkit.optimizers.SGD(0.1, 0.5), "mse")
    model.fit(np.ones((2, 2)), np.ones(2), verbose=0)
    model.save(tmp_path / "small")
    return model, (tmp_path / "small").read_bytes()


def assert_refused(path: Path, model: convkit.Sequential, message: str = "") -> None:
    """Both ways of loading say what is wrong, and name the file; the model stays as it was."""
    before = model.get_weights()
    for load in (convkit.models.load_model, model.load_weights):
        with pytest.raises(ValueError, match=message or None) as caught:
            load(path)
        assert str(path) in str(caught.value)
    for mine, theirs in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, theirs)
