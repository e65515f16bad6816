"""The families of keras.applications: how they are made here, and with which weights.

All are made with ten classes and new random weights. What they draw at random in training is off:
no two libraries draw the same numbers.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from compare import Array
from peer_keras import keras, numbers, torch

CLASSES = 10


class Family(NamedTuple):
    """A network of keras.applications.

    Attributes:
        make: makes it for images of a shape.
        size: of the images, rows and columns.
        batch: of one step. With few images, or few pixels in the last maps, batch normalisation
            takes differences of almost equal numbers.
        pixels: whether it takes 0 to 255, and begins with layers that scale that; else -2 to 2.
    """

    make: Callable[..., Any]
    size: int
    batch: int = 8
    pixels: bool = False


def _application(name: str, **options: Any) -> Callable[..., Any]:
    def make(shape: tuple[int, ...]) -> Any:
        kind = getattr(keras.applications, name)
        return kind(weights=None, classes=CLASSES, input_shape=shape, **options)

    return make


def _part(module: str, name: str, **options: Any) -> Callable[..., Any]:
    """What the public functions of keras.applications call, with other sizes."""

    def make(shape: tuple[int, ...]) -> Any:
        kind = getattr(importlib.import_module(f"keras.src.applications.{module}"), name)
        return kind(weights=None, classes=CLASSES, input_shape=shape, **options)

    return make


# Keras refuses its NASNetMobile on PyTorch, so that it is called by what it would call.
_NASNET = _part(
    "nasnet",
    "NASNet",
    penultimate_filters=1056,
    num_blocks=4,
    stem_block_filters=32,
    skip_reduction=False,
    filter_multiplier=2,
    default_size=224,
)

FAMILIES: dict[str, Family] = {
    "VGG16": Family(_application("VGG16"), 32),
    "ResNet50": Family(_application("ResNet50"), 64),
    "ResNet50V2": Family(_application("ResNet50V2"), 64),
    "MobileNet": Family(_application("MobileNet"), 64),
    "MobileNetV2": Family(_application("MobileNetV2"), 64),
    "MobileNetV3Small": Family(_application("MobileNetV3Small"), 64, pixels=True),
    "DenseNet121": Family(_application("DenseNet121"), 64),
    "InceptionV3": Family(_application("InceptionV3"), 96),
    "InceptionResNetV2": Family(_application("InceptionResNetV2"), 96),
    "Xception": Family(_application("Xception"), 71),
    "NASNetMobile": Family(_NASNET, 64),
    "EfficientNetB0": Family(_application("EfficientNetB0"), 64, pixels=True),
    "EfficientNetV2B0": Family(_application("EfficientNetV2B0"), 64, pixels=True),
    "ConvNeXtTiny": Family(_application("ConvNeXtTiny"), 32, pixels=True),
}

# The same code of Keras with fewer and narrower layers.
SMALL: dict[str, Family] = {
    "MobileNetV2": Family(_application("MobileNetV2", alpha=0.35), 32, 16),
    "ConvNeXt": Family(
        _part("convnext", "ConvNeXt", depths=[1, 1, 2, 1], projection_dims=[8, 16, 24, 32]),
        32,
        pixels=True,
    ),
    "EfficientNet": Family(
        _part(
            "efficientnet",
            "EfficientNet",
            width_coefficient=0.25,
            depth_coefficient=0.25,
            default_size=32,
        ),
        32,
        16,
        pixels=True,
    ),
}


def made(family: Family, seed: int = 0) -> tuple[Any, Array, Array]:
    """A network with random weights and statistics, and a batch of images with their classes.

    Kernels have the variances that keep values about 1 large through the layers; statistics are
    those of the batch, changed at random by some tenths, so that each of them matters and none
    makes the values vanish. Batch normalisations move most values away from 0: where many lie near
    a kink, such as ReLU's, rounding takes some to its other side, in every library.
    """
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    network = family.make((family.size, family.size, 3))
    x = _images(family, rng)
    y = np.eye(CLASSES, dtype=np.float32)[np.arange(family.batch) % CLASSES]
    for layer in leaves(network):
        for rate in ("rate", "drop_path_rate"):
            if hasattr(layer, rate):
                setattr(layer, rate, 0.0)
        layer.set_weights([_drawn(each, layer, rng) for each in layer.weights])
        if isinstance(layer, keras.layers.Normalization) and layer.weights:
            layer.finalize_state()
    _measure(network, x, rng)
    _soften(network, x)
    return network, x, y


def _images(family: Family, rng: np.random.Generator) -> Array:
    """Spots of many colours with noise, so that images differ in what a network takes means of."""
    n, size = family.batch, family.size
    spots = rng.random((n, 4, 4, 3), np.float32).repeat(-(-size // 4), 1).repeat(-(-size // 4), 2)
    noise = rng.random((n, size, size, 3), np.float32)
    x = np.float32(0.7) * spots[:, :size, :size] + np.float32(0.3) * noise
    return x * np.float32(255.0) if family.pixels else (x - np.float32(0.5)) * np.float32(4.0)


def leaves(network: Any) -> list[Any]:
    """The layers of a network, those of models in it in their place."""
    found: list[Any] = []
    for layer in network.layers:
        found += leaves(layer) if hasattr(layer, "layers") else [layer]
    return found


def _drawn(variable: Any, layer: Any, rng: np.random.Generator) -> Array:
    before_kinks = isinstance(layer, keras.layers.BatchNormalization)
    name, shape = variable.name, tuple(variable.shape)
    if "kernel" in name:
        terms = np.prod(shape[:2] if "depthwise" in name else shape[:-1])
        return rng.normal(0.0, np.sqrt(2.0 / terms), shape).astype(np.float32)
    if name == "beta" and before_kinks:
        signs = np.where(rng.random(shape) < 0.75, 1.0, -1.0)
        return (signs * rng.uniform(0.5, 1.5, shape)).astype(np.float32)
    if name == "gamma" and before_kinks:
        return rng.uniform(0.2, 0.5, shape).astype(np.float32)
    if name in ("beta", "bias", "mean", "moving_mean"):
        return rng.normal(0.0, 0.1, shape).astype(np.float32)
    if name == "count":
        return np.zeros(shape, np.int32)
    return rng.uniform(0.5, 1.5, shape).astype(np.float32)  # scales and variances


def _measure(network: Any, x: Array, rng: np.random.Generator) -> None:
    """Give batch normalisations statistics near those of the batch."""
    norms = [e for e in leaves(network) if isinstance(e, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    with torch.no_grad():
        network(x, training=True)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
        mean, variance = numbers(norm.moving_mean), numbers(norm.moving_variance)
        shift = rng.normal(0.0, 0.1, mean.shape).astype(np.float32)
        norm.moving_mean.assign(mean + shift * np.sqrt(variance))
        factors = rng.uniform(0.8, 1.25, mean.shape).astype(np.float32)
        norm.moving_variance.assign(variance * factors + np.float32(1e-3))


def _soften(network: Any, x: Array) -> None:
    """Scale the last layer so that its results, of which softmax is taken, are about 1 large."""
    with torch.no_grad():
        spread = numbers(network(x, training=False).log()).std()
    last = [each for each in leaves(network) if each.weights][-1]
    last.set_weights([weights / max(1.0, spread) for weights in last.get_weights()])
