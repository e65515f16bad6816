"""Stacks of layers that have every step and every fusion, and plans of them run once."""

from __future__ import annotations

import numpy as np

import convkit
from convkit import layers
from convkit.layers.base import Layer
from convkit.layers.step_context import StepContext
from convkit.plan import Plan

SEED = 11


def build(stack: list[Layer], sizes: tuple[int, ...]) -> convkit.Sequential:
    """A model with weights that are neither zero nor one anywhere."""
    convkit.utils.set_random_seed(SEED)
    model = convkit.Sequential([convkit.Input(sizes), *stack])
    rng = np.random.default_rng(SEED)
    model.set_weights(
        [
            rng.uniform(0.5, 1.5, w.shape) if "variance" in w.name else rng.normal(0, 0.3, w.shape)
            for w in model.weights
        ]
    )
    return model


def convolutional() -> list[Layer]:
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.Conv2D(6, 3, strides=2, groups=2, use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("relu"),
        layers.MaxPooling2D(2, strides=1),
        layers.Flatten(),
        layers.Dropout(0.4),
        layers.Dense(7, activation="tanh"),
        layers.Dense(6),
        layers.ReLU(1.5, negative_slope=0.125, threshold=0.25),
        layers.Dense(3, activation="softmax"),
    ]


def pooled() -> list[Layer]:
    return [
        layers.BatchNormalization(scale=False),
        layers.Conv2D(5, (2, 3), dilation_rate=2, activation="gelu"),
        layers.AveragePooling2D(2, padding="same"),
        layers.PReLU("he_normal", shared_axes=[1, 2]),
        layers.Conv2D(4, 1, activation="leaky_relu"),
        layers.Activation("hard_silu"),
        layers.Activation("elu"),
        layers.Dropout(0.3),
        layers.GlobalAveragePooling2D(),
        layers.Dense(5, activation="sigmoid"),
        layers.Dense(5, activation="relu6"),
        layers.Activation("linear"),
        layers.Dense(3),
        layers.Softmax(),
    ]


def max_pooled() -> list[Layer]:
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.BatchNormalization(),
        layers.Conv2D(5, 2, padding="same", use_bias=False),
        layers.MaxPooling2D(2),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


def global_max() -> list[Layer]:
    return [
        layers.MaxPooling2D(3, strides=2, padding="same"),
        layers.Activation("tanh"),
        layers.Conv2D(5, 2, activation="elu"),
        layers.BatchNormalization(center=False),
        layers.ReLU(),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, activation="softmax"),
    ]


def normalised() -> list[Layer]:
    """Everything that a convolution and its normalisation can have behind them."""
    return [
        layers.Conv2D(4, 3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.MaxPooling2D(),
        layers.Conv2D(5, 2, padding="same", use_bias=False),
        layers.BatchNormalization(scale=False),
        layers.Activation("relu"),
        layers.Conv2D(5, 3, padding="same"),
        layers.BatchNormalization(center=False),
        layers.MaxPooling2D(2),
        layers.Conv2D(6, 1),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.ReLU(1.5, negative_slope=0.125, threshold=0.25),
        layers.Dense(3, activation="softmax"),
    ]


def activated() -> list[Layer]:
    """Activations behind normalisations, with derivatives from inputs and from outputs."""
    return [
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.BatchNormalization(),
        layers.Activation("gelu"),
        layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        layers.BatchNormalization(),
        layers.Activation("silu"),
        layers.Conv2D(5, 2, strides=2),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.BatchNormalization(),
        layers.Activation("tanh"),
        layers.Conv2D(6, 2, padding="same", activation="selu"),
        layers.Conv2D(16, 3, padding="same", activation="leaky_relu"),
        layers.Conv2D(17, 3, padding="same", activation="gelu"),
        layers.DepthwiseConv2D(3, padding="same", activation="hard_silu"),
        layers.Flatten(),
        layers.BatchNormalization(),
        layers.Activation("leaky_relu"),
        layers.Dense(9, activation="mish"),
        layers.Dense(9, activation="tanh", use_bias=False),
        layers.Dense(3, activation="softmax"),
    ]


def pooled_first() -> list[Layer]:
    """Normalisations behind poolings, with planes of odd and even sizes."""
    return [
        layers.Conv2D(16, 3, padding="same", use_bias=False),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.Activation("gelu"),
        layers.Conv2D(16, 3, padding="same"),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.ZeroPadding2D(1),
        layers.Conv2D(5, 2),
        layers.MaxPooling2D(2),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(3, activation="softmax"),
    ]


STACKS = {
    f.__name__: f
    for f in (
        convolutional,
        pooled,
        max_pooled,
        global_max,
        normalised,
        activated,
        pooled_first,
    )
}
SIZES = (7, 8, 2)


def batch(n: int, sizes: tuple[int, ...] = SIZES) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, *sizes)).astype(np.float32), rng.integers(0, 3, n)


def execute(plan: Plan, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run everything once; return the output and the losses."""
    bound = plan.bind(len(x))
    bound.x[...] = x
    if plan.heads:
        bound.take([y], [None], np.arange(len(y)))
    bound(StepContext(plan.training, SEED, 3))
    losses = bound.head.losses if bound.heads else np.zeros(len(x), np.float32)
    return bound.output.copy(), losses.copy()
