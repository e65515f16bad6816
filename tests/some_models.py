"""Models for the tests of files and of other libraries: trained a little, and of every layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np

import convkit
from compare import Array
from convkit.layers import (
    ELU,
    Activation,
    AveragePooling2D,
    BatchNormalization,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    Dropout,
    Flatten,
    GlobalAveragePooling2D,
    GlobalMaxPooling2D,
    Input,
    Layer,
    LeakyReLU,
    MaxPooling2D,
    ReLU,
    Rescaling,
    Reshape,
    Softmax,
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


# For each line of layers the shape of a sample. Together they have every layer there is, and what
# is special about padding, layouts and the order of flattened values.
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
    "images out": (
        (6, 6, 2),
        lambda: [
            Rescaling([2.0, 0.5], offset=-1.0),
            Conv2D(3, 3, padding="same"),
            Softmax(),
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
    "nothing but dense": ((7,), lambda: [Dense(4), Activation("linear"), Dense(3)]),
    "images reshaped": (
        (4, 6, 2),
        lambda: [Conv2D(3, 1), Reshape((6, 4, 3)), Conv2D(2, 2), Flatten(), Dense(2)],
    ),
    "signals": ((9, 4), lambda: [BatchNormalization(), Flatten(), Dense(3)]),
}


def every_layer() -> set[type[Layer]]:
    """The layers that the lines have."""
    return {type(layer) for _, make in LINES.values() for layer in make()}


def of_line(name: str) -> convkit.Sequential:
    """A model with random weights and statistics, as after training."""
    shape, make = LINES[name]
    convkit.utils.set_random_seed(3)
    model = convkit.Sequential([Input(shape), *make()])
    rng = np.random.default_rng(5)
    for parameter in model.weights:
        if parameter.name != "kernel":
            parameter.value[...] = rng.uniform(0.5, 1.5, parameter.shape)
    return model
