"""Every layer beside Keras in float64: its outputs, the gradients of its input and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import convkit
from compare import DIRECT, WINOGRAD, Array, assert_close, random_array
from convkit.layers.step_context import StepContext
from peer_keras import WITH_KERAS, Make, keras, numbers, torch

pytestmark = WITH_KERAS


IMAGES, VECTORS = (9, 8, 6), (40,)
LAYERS: list[tuple[Make, tuple[int, ...]]] = [
    (lambda m: m.layers.Conv2D(5, 3), IMAGES),
    (lambda m: m.layers.Conv2D(5, (3, 2), (2, 1), "same"), IMAGES),
    (lambda m: m.layers.Conv2D(16, 3, padding="same", activation="relu"), (14, 14, 16)),
    (lambda m: m.layers.Conv2D(16, 3, activation="tanh"), (13, 15, 17)),
    (lambda m: m.layers.Conv2D(6, 3, dilation_rate=2, use_bias=False), IMAGES),
    (lambda m: m.layers.Conv2D(6, 3, padding="same", dilation_rate=(2, 3)), IMAGES),
    (lambda m: m.layers.Conv2D(6, 3, groups=3, padding="same", activation="elu"), IMAGES),
    (lambda m: m.layers.Conv2D(4, 5, strides=3, padding="same", activation="gelu"), IMAGES),
    (lambda m: m.layers.Conv2D(7, 1, strides=2), IMAGES),
    (lambda m: m.layers.Convolution2D(32, 3, padding="same", activation="relu"), (28, 28, 1)),
    (lambda m: m.layers.DepthwiseConv2D(3), IMAGES),
    (lambda m: m.layers.DepthwiseConv2D(3, 2, "same"), IMAGES),
    (lambda m: m.layers.DepthwiseConv2D((3, 2), padding="same", depth_multiplier=3), IMAGES),
    (lambda m: m.layers.DepthwiseConv2D(3, dilation_rate=2, use_bias=False), IMAGES),
    (lambda m: m.layers.DepthwiseConv2D(3, 1, "same", 2, None, (1, 1), "relu"), (12, 12, 16)),
    (lambda m: m.layers.SeparableConv2D(5, 3), IMAGES),
    (lambda m: m.layers.SeparableConv2D(5, 3, 2, "same", activation="relu"), IMAGES),
    (lambda m: m.layers.SeparableConv2D(17, (3, 2), 1, "same", None, 2, 3, "elu"), IMAGES),
    (lambda m: m.layers.SeparableConvolution2D(20, 5, use_bias=False), (14, 14, 16)),
    (lambda m: m.layers.Conv2DTranspose(5, 3), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, 3, 2, "same", activation="relu"), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, (4, 2), (2, 3), "same", use_bias=False), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, 3, 3, "valid", (2, 0), activation="elu"), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, (3, 4), 3, "same", (0, 2)), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, (5, 4), 2, "same", 1), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, 1, 3, "same"), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, 2, 4), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(5, 1, 3, "same", 2), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(6, 3, dilation_rate=2), IMAGES),
    (lambda m: m.layers.Conv2DTranspose(6, 3, padding="same", dilation_rate=(2, 3)), IMAGES),
    (lambda m: m.layers.Convolution2DTranspose(16, 3, padding="same"), (14, 14, 32)),
    (lambda m: m.layers.Dense(10), VECTORS),
    (lambda m: m.layers.Dense(7, "relu"), VECTORS),
    (lambda m: m.layers.Dense(7, "softmax", False), VECTORS),
    (lambda m: m.layers.Dense(300, activation="sigmoid"), (517,)),
    (lambda m: m.layers.Dense(7, "relu"), IMAGES),
    (lambda m: m.layers.Dense(7, "softmax", use_bias=False), (5, 6)),
    (lambda m: m.layers.Dense(20, "gelu"), (2, 3, 4, 5)),
    (lambda m: m.layers.MaxPooling2D(), IMAGES),
    (lambda m: m.layers.MaxPool2D(3, 2, "same"), IMAGES),
    (lambda m: m.layers.MaxPooling2D((2, 3), strides=(1, 2)), IMAGES),
    (lambda m: m.layers.AveragePooling2D(2), IMAGES),
    (lambda m: m.layers.AvgPool2D((3, 2), 2, "same"), IMAGES),
    (lambda m: m.layers.GlobalAveragePooling2D(), IMAGES),
    (lambda m: m.layers.GlobalMaxPool2D(), IMAGES),
    (lambda m: m.layers.GlobalAveragePooling2D(keepdims=True), IMAGES),
    (lambda m: m.layers.GlobalMaxPooling2D(None, True), IMAGES),
    (lambda m: m.layers.ZeroPadding2D(), IMAGES),
    (lambda m: m.layers.ZeroPadding2D(2), IMAGES),
    (lambda m: m.layers.ZeroPadding2D((0, 3)), IMAGES),
    (lambda m: m.layers.ZeroPadding2D(((1, 0), (2, 3))), IMAGES),
    (lambda m: m.layers.UpSampling2D(), IMAGES),
    (lambda m: m.layers.UpSampling2D((3, 1)), IMAGES),
    (lambda m: m.layers.UpSampling2D(interpolation="bilinear"), IMAGES),
    (lambda m: m.layers.UpSampling2D((3, 4), None, "bilinear"), IMAGES),
    (lambda m: m.layers.UpSampling2D((1, 5), interpolation="bilinear"), (1, 7, 3)),
    (lambda m: m.layers.Cropping2D(), IMAGES),
    (lambda m: m.layers.Cropping2D(2), IMAGES),
    (lambda m: m.layers.Cropping2D((0, 3)), IMAGES),
    (lambda m: m.layers.Cropping2D(((1, 0), (2, 3))), IMAGES),
    (lambda m: m.layers.Permute((2, 1, 3)), IMAGES),
    (lambda m: m.layers.Permute((3, 1, 2)), IMAGES),
    (lambda m: m.layers.Permute((1, 2, 3)), IMAGES),
    (lambda m: m.layers.Permute((2, 1)), (5, 7)),
    (lambda m: m.layers.Permute((4, 2, 1, 3)), (2, 3, 4, 5)),
    (lambda m: m.layers.Identity(), IMAGES),
    (lambda m: m.layers.SpatialDropout2D(0.0), IMAGES),
    (lambda m: m.layers.GaussianNoise(0.0), IMAGES),
    (lambda m: m.layers.GaussianDropout(0.0), VECTORS),
    (lambda m: m.layers.Reshape((8, 9, 6)), IMAGES),
    (lambda m: m.layers.Reshape((-1, 6)), IMAGES),
    (lambda m: m.layers.Rescaling(1 / 255), IMAGES),
    (lambda m: m.layers.Rescaling(1 / 127.5, offset=-1), IMAGES),
    (lambda m: m.layers.Rescaling([1, 2, 3, 4, 5, 6], [0.5, 0, 1, 2, 3, -1]), IMAGES),
    (lambda m: m.layers.Normalization(mean=3.0, variance=2.0), IMAGES),
    (lambda m: m.layers.Normalization(-1, range(6), [1, 2, 3, 4, 0.5, 0.0]), IMAGES),
    (lambda m: m.layers.Normalization(None, 0.5, 0.25, invert=True), IMAGES),
    (lambda m: m.layers.Normalization((2, 3), np.ones((8, 1)), np.full((8, 1), 4)), IMAGES),
    (lambda m: m.layers.Normalization(1, np.arange(9.0), np.arange(9.0) + 1, True), IMAGES),
    (lambda m: m.layers.Normalization((1, 3), np.arange(6.0), np.arange(6.0) + 1), IMAGES),
    (lambda m: m.layers.Normalization(mean=np.ones(40), variance=np.full(40, 2)), VECTORS),
    (lambda m: m.layers.Flatten(), IMAGES),
    (lambda m: m.layers.BatchNormalization(), IMAGES),
    (lambda m: m.layers.BatchNormalization(-1, 0.9, 1e-2, center=False), IMAGES),
    (lambda m: m.layers.BatchNormalization(axis=3, scale=False), IMAGES),
    (lambda m: m.layers.BatchNormalization(), VECTORS),
    (lambda m: m.layers.BatchNormalization(trainable=False), IMAGES),
    (lambda m: m.layers.BatchNormalization(axis=1), VECTORS),
    (lambda m: m.layers.LayerNormalization(), IMAGES),
    (lambda m: m.layers.LayerNormalization(), VECTORS),
    (lambda m: m.layers.LayerNormalization(3, 1e-2, center=False), IMAGES),
    (lambda m: m.layers.LayerNormalization((-2, -1), scale=False), IMAGES),
    (lambda m: m.layers.LayerNormalization([1, 2, 3], epsilon=1e-5), IMAGES),
    (lambda m: m.layers.LayerNormalization(center=False, scale=False), IMAGES),
    (lambda m: m.layers.GroupNormalization(3), IMAGES),
    (lambda m: m.layers.GroupNormalization(-1), IMAGES),
    (lambda m: m.layers.GroupNormalization(1, 3, 1e-2, center=False), IMAGES),
    (lambda m: m.layers.GroupNormalization(groups=6, scale=False), IMAGES),
    (lambda m: m.layers.GroupNormalization(groups=8), VECTORS),
    (lambda m: m.layers.GroupNormalization(), (20, 17, 64)),
    (lambda m: m.layers.BatchNormalization(-1, 0.9, 1e-2, True, True, "ones", "zeros"), IMAGES),
    (lambda m: m.layers.Dropout(0.0), IMAGES),
    (lambda m: m.layers.ReLU(), IMAGES),
    (lambda m: m.layers.ReLU(6), IMAGES),
    (lambda m: m.layers.ReLU(0.5, 0.25), IMAGES),
    (lambda m: m.layers.ReLU(negative_slope=0.3), IMAGES),
    (lambda m: m.layers.ReLU(threshold=0.75), IMAGES),
    (lambda m: m.layers.ReLU(max_value=1.5, negative_slope=0.125, threshold=0.5), IMAGES),
    (lambda m: m.layers.ReLU(1.0, threshold=2.0), IMAGES),
    (lambda m: m.layers.Conv2D(5, 3, activation="relu6"), IMAGES),
    (lambda m: m.layers.Dense(7, "relu6"), VECTORS),
    (lambda m: m.layers.LeakyReLU(), IMAGES),
    (lambda m: m.layers.LeakyReLU(negative_slope=0.1), IMAGES),
    (lambda m: m.layers.ELU(), IMAGES),
    (lambda m: m.layers.ELU(0.5), IMAGES),
    (lambda m: m.layers.PReLU("he_normal"), IMAGES),
    (lambda m: m.layers.PReLU(shared_axes=[1, 2]), IMAGES),
    (lambda m: m.layers.PReLU(shared_axes=2), IMAGES),
    (lambda m: m.layers.PReLU(shared_axes=(2, 3)), IMAGES),
    (lambda m: m.layers.PReLU(shared_axes=[1, 2, 3]), IMAGES),
    (lambda m: m.layers.PReLU(), VECTORS),
    (lambda m: m.layers.Conv2D(5, 3, activation=m.activations.hard_silu), IMAGES),
    (lambda m: m.layers.Dense(7, m.activations.swish), VECTORS),
    (lambda m: m.layers.Dense(7, m.activations.log_softmax), VECTORS),
    (lambda m: m.layers.Activation("hard_swish"), IMAGES),
    (lambda m: m.layers.Softmax(), VECTORS),
    *(
        (lambda m, name=name: m.layers.Activation(name), IMAGES)
        for name in convkit.layers.activation.ACTIVATIONS
    ),
]


def weights_for(layer: Any) -> list[Array]:
    """Random weights that keep the size of what goes through; variances are positive."""
    shapes = [tuple(weight.shape) for weight in layer.weights]
    arrays = [
        random_array(f"w{i}", shape) / np.sqrt(np.float32(max(1, np.prod(shape[:-1]))))
        for i, shape in enumerate(shapes)
    ]
    paths = [weight.path for weight in layer.weights]
    return [np.abs(a) + 0.5 if "variance" in p else a for a, p in zip(arrays, paths, strict=True)]


def run_keras(layer: Any, x: Array, dy: Array, training: bool) -> dict[str, Array]:
    tensor = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    y = layer(tensor, training=training)
    found = {"y": numbers(y.detach())}
    (y * torch.tensor(dy, dtype=torch.float64)).sum().backward()
    found["dx"] = numbers(tensor.grad)
    for i, weight in enumerate(layer.trainable_weights):
        found[f"dw{i}"] = numbers(weight.value.grad)
    for i, weight in enumerate(layer.non_trainable_weights):
        found[f"state{i}"] = numbers(weight.value)
    return found


def run_convkit(layer: Any, x: Array, dy: Array, training: bool) -> dict[str, Array]:
    run, tape = StepContext(training), []
    for stage in layer.stages():
        shape = stage.compute_output_shape(x.shape)
        y = x.reshape(shape).copy() if stage.is_view(training) else np.empty(shape, np.float32)
        saved = tuple(np.empty(s.shape, s.dtype) for s in stage.saved_arrays(x.shape))
        stage.forward(x, y, saved, run)
        tape.append((stage, x, y, saved))
        x = y
    found, gradient = {"y": x}, dy.astype(np.float32)
    for stage, before, after, saved in reversed(tape):
        if stage.is_view(training):
            gradient = gradient.reshape(before.shape)
            continue
        dx = np.empty(before.shape, np.float32)
        stage.backward(before, after, gradient, dx, saved, run)
        gradient = dx
    found["dx"] = gradient
    found.update({f"dw{i}": w.gradient for i, w in enumerate(layer.trainable_weights)})
    found.update({f"state{i}": w.value for i, w in enumerate(layer.non_trainable_weights)})
    return found


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("case", range(len(LAYERS)))
@pytest.mark.usefixtures("keras_float64")
def test_layers(case: int, training: bool) -> None:
    make, sizes = LAYERS[case]
    theirs, ours = make(keras), make(convkit)
    x = random_array("x", (10, *sizes))
    for layer in (theirs, ours):
        layer.build((None, *sizes))
    weights = weights_for(theirs)
    assert [w.shape for w in ours.weights] == [w.shape for w in weights]
    assert [w.name for w in ours.weights] == [w.name for w in theirs.weights]
    for layer in (theirs, ours):
        layer.set_weights(weights)
    shape = ours.compute_output_shape((None, *sizes))
    assert shape == tuple(theirs.compute_output_shape((None, *sizes)))
    dy = random_array("dy", (10, *shape[1:]))
    if not training and isinstance(ours, convkit.layers.BatchNormalization) and ours.trainable:
        dy[...] = 0  # convkit goes backward in training alone
    expected = run_keras(theirs, x, dy, training)
    actual = run_convkit(ours, x, dy, training)
    assert actual.keys() == expected.keys()
    terms = max(1, *(int(np.prod(w.shape[:-1])) for w in weights), x[..., 0].size)
    convolution = convkit.layers.Conv2D | convkit.layers.Conv2DTranspose
    factor = WINOGRAD if isinstance(ours, convolution) else DIRECT
    for key, array in expected.items():
        if dy.any() or key == "y":
            assert_close(actual[key], array, terms=terms, factor=factor)
