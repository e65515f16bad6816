"""Layers by themselves: names, shapes, parameters, configurations, and wrong arguments."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, ops
from convkit.layers.base import Layer
from convkit.layers.step_context import StepContext

ALL_LAYERS: list[tuple[Layer, tuple[int, ...]]] = [
    (layers.Conv2D(6, (3, 2), (2, 1), "same", None, (1, 1), 2, "tanh", False), (7, 6, 4)),
    (layers.Conv2D(3, 2, dilation_rate=2, kernel_initializer="he_normal"), (7, 6, 4)),
    (layers.DepthwiseConv2D(3, (2, 1), "same", 2, None, 1, "relu", False, "ones"), (7, 6, 4)),
    (layers.Conv2DTranspose(6, (3, 2), (2, 1), "same", (1, 0), activation="relu"), (7, 6, 4)),
    (layers.SeparableConv2D(6, 3, 2, "same", None, 1, 2, "tanh", False, "ones"), (7, 6, 4)),
    (layers.ZeroPadding2D(((1, 0), (2, 3))), (7, 6, 4)),
    (layers.UpSampling2D((2, 3), interpolation="bilinear"), (7, 6, 4)),
    (layers.Cropping2D(((1, 0), (2, 3))), (7, 6, 4)),
    (layers.Permute((3, 1, 2)), (7, 6, 4)),
    (layers.Identity(), (7, 6, 4)),
    (layers.SpatialDropout2D(0.25, seed=4), (7, 6, 4)),
    (layers.GaussianNoise(0.25, seed=4), (5,)),
    (layers.GaussianDropout(0.25, seed=4), (5,)),
    (layers.Rescaling(1 / 255, [0.5, 1, 2, -3]), (7, 6, 4)),
    (layers.Normalization(), (7, 6, 4)),
    (layers.Normalization((1, 2), np.ones((7, 6)), np.ones((7, 6)), invert=True), (7, 6, 4)),
    (layers.Reshape((3, -1, 4)), (7, 6, 4)),
    (layers.MaxPooling2D((3, 2), 2, "same"), (7, 6, 4)),
    (layers.AveragePooling2D(2), (7, 6, 4)),
    (layers.GlobalAveragePooling2D(), (7, 6, 4)),
    (layers.GlobalMaxPooling2D(), (7, 6, 4)),
    (layers.GlobalAveragePooling2D(keepdims=True), (7, 6, 4)),
    (layers.GlobalMaxPooling2D(keepdims=True), (7, 6, 4)),
    (layers.BatchNormalization(momentum=0.9, epsilon=1e-4, center=False), (7, 6, 4)),
    (layers.LayerNormalization(epsilon=1e-4, scale=False), (7, 6, 4)),
    (layers.LayerNormalization((-3, -2, -1)), (7, 6, 4)),
    (layers.GroupNormalization(2, beta_initializer="ones"), (7, 6, 4)),
    (layers.GroupNormalization(-1, center=False), (7, 6, 4)),
    (layers.Activation("gelu"), (7, 6, 4)),
    (layers.ReLU(), (5,)),
    (layers.LeakyReLU(0.1), (5,)),
    (layers.ELU(0.5), (5,)),
    (layers.PReLU("ones", "l2", shared_axes=[1, 2]), (7, 6, 4)),
    (layers.PReLU(shared_axes=1), (5,)),
    (layers.Conv2D(3, 2, activation="log_softmax"), (7, 6, 4)),
    (layers.Activation(convkit.activations.swish), (5,)),
    (layers.Softmax(), (5,)),
    (layers.Dropout(0.25, seed=4), (5,)),
    (layers.Dropout(0.25, (None, 1, 1, 1)), (7, 6, 4)),
    (layers.Flatten(), (7, 6, 4)),
    (layers.Dense(9, "tanh"), (2, 3, 5)),
    (layers.Dense(9, "relu", kernel_initializer=convkit.initializers.Constant(0.5)), (5,)),
]


def describe(case: tuple[Layer, tuple[int, ...]]) -> str:
    return type(case[0]).__name__


@pytest.mark.parametrize("case", ALL_LAYERS, ids=describe)
def test_config_survives_json_and_makes_the_same_layer(case: Any) -> None:
    layer, sizes = case
    config = json.loads(json.dumps(layer.get_config()))
    twin = type(layer).from_config(config)
    assert twin.get_config() == layer.get_config()
    assert twin.name == layer.name
    assert twin.compute_output_shape((None, *sizes)) == layer.compute_output_shape((None, *sizes))
    twin.build((None, *sizes))
    layer.build((None, *sizes))
    assert [w.shape for w in twin.weights] == [w.shape for w in layer.weights]


@pytest.mark.parametrize("case", ALL_LAYERS, ids=describe)
def test_output_shape_is_that_of_the_arrays(case: Any) -> None:
    layer, sizes = case
    layer.build((None, *sizes))
    x = np.random.default_rng(0).normal(size=(3, *sizes)).astype(np.float32)
    for stage in layer.stages():
        shape = stage.compute_output_shape(x.shape)
        assert stage.compute_output_shape((None, *x.shape[1:])) == (None, *shape[1:])
        assert stage.output_sizes(x.shape[1:]) == shape[1:]
        y = x.reshape(shape).copy() if stage.is_view(False) else np.full(shape, np.nan, "f")
        saved = tuple(np.empty(s.shape, s.dtype) for s in stage.saved_arrays(x.shape))
        stage.forward(x, y, saved, StepContext())
        assert np.isfinite(y).all()
        x = y


def test_names_follow_keras() -> None:
    convkit.utils.clear_session()
    made = [
        layers.Conv2D(1, 1),
        layers.Conv2D(1, 1),
        layers.MaxPool2D(),
        layers.AveragePooling2D(),
        layers.GlobalAveragePooling2D(),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Dense(1),
        layers.Dense(1, name="head"),
        layers.Dense(1),
        layers.Input((2,)),
    ]
    assert [layer.name for layer in made] == [
        "conv2d",
        "conv2d_1",
        "max_pooling2d",
        "average_pooling2d",
        "global_average_pooling2d",
        "batch_normalization",
        "re_lu",
        "dense",
        "head",
        "dense_1",
        "input_layer",
    ]


def test_second_names_are_the_same_classes() -> None:
    assert layers.MaxPool2D is layers.MaxPooling2D
    assert layers.AvgPool2D is layers.AveragePooling2D
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
    assert layers.Convolution2DTranspose is layers.Conv2DTranspose
    assert layers.SeparableConvolution2D is layers.SeparableConv2D
    assert layers.GlobalMaxPool2D is layers.GlobalMaxPooling2D


@pytest.mark.parametrize(
    ("layer", "sizes", "expected"),
    [
        (layers.Conv2D(8, 3, padding="same", strides=2), (7, 6, 4), (4, 3, 8)),
        (layers.Conv2D(8, 3, strides=2), (7, 6, 4), (3, 2, 8)),
        (layers.Conv2D(8, 3, dilation_rate=2), (7, 6, 4), (3, 2, 8)),
        (layers.Conv2D(8, (1, 3), padding="SAME"), (7, 6, 4), (7, 6, 8)),
        (layers.MaxPooling2D(), (7, 6, 4), (3, 3, 4)),
        (layers.MaxPooling2D(3, strides=1), (7, 6, 4), (5, 4, 4)),
        (layers.MaxPooling2D(padding="same"), (7, 6, 4), (4, 3, 4)),
        (layers.DepthwiseConv2D(3), (7, 6, 4), (5, 4, 4)),
        (layers.DepthwiseConv2D(3, 2, "same", 3), (7, 6, 4), (4, 3, 12)),
        (layers.SeparableConv2D(8, 3), (7, 6, 4), (5, 4, 8)),
        (layers.SeparableConv2D(8, 3, 2, "same", depth_multiplier=3), (7, 6, 4), (4, 3, 8)),
        (layers.Conv2DTranspose(8, 3), (7, 6, 4), (9, 8, 8)),
        (layers.Conv2DTranspose(8, 3, 2), (7, 6, 4), (15, 13, 8)),
        (layers.Conv2DTranspose(8, 2, 3), (7, 6, 4), (21, 18, 8)),
        (layers.Conv2DTranspose(8, 3, 2, "SAME"), (7, 6, 4), (14, 12, 8)),
        (layers.Conv2DTranspose(8, 3, 2, "same", (1, 0)), (7, 6, 4), (14, 11, 8)),
        (layers.Conv2DTranspose(8, 3, 2, output_padding=1), (7, 6, 4), (16, 14, 8)),
        (layers.Conv2DTranspose(8, 3, dilation_rate=(2, 1)), (7, 6, 4), (11, 8, 8)),
        (layers.ZeroPadding2D(), (7, 6, 4), (9, 8, 4)),
        (layers.ZeroPadding2D(0), (7, 6, 4), (7, 6, 4)),
        (layers.ZeroPadding2D((2, 3)), (7, 6, 4), (11, 12, 4)),
        (layers.ZeroPadding2D([[0, 1], 2]), (7, 6, 4), (8, 10, 4)),
        (layers.UpSampling2D(), (7, 6, 4), (14, 12, 4)),
        (layers.UpSampling2D([1, 3]), (7, 6, 4), (7, 18, 4)),
        (layers.Cropping2D((2, 1)), (7, 6, 4), (3, 4, 4)),
        (layers.Cropping2D([[0, 1], 2]), (7, 6, 4), (6, 2, 4)),
        (layers.Permute((3, 1, 2)), (7, 6, 4), (4, 7, 6)),
        (layers.Permute([1]), (5,), (5,)),
        (layers.Identity(), (7, 6, 4), (7, 6, 4)),
        (layers.Reshape((-1,)), (7, 6, 4), (168,)),
        (layers.Reshape([28, 6]), (7, 6, 4), (28, 6)),
        (layers.Reshape((28, 28, 1)), (784,), (28, 28, 1)),
        (layers.Flatten(), (7, 6, 4), (168,)),
        (layers.Flatten(), (5,), (5,)),
        (layers.GlobalMaxPooling2D(), (7, 6, 4), (4,)),
        (layers.GlobalMaxPooling2D(keepdims=True), (7, 6, 4), (1, 1, 4)),
        (layers.Dense(3), (5,), (3,)),
        (layers.Dense(3), (7, 6, 4), (7, 6, 3)),
    ],
)
def test_output_shapes(layer: Layer, sizes: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert layer.compute_output_shape((None, *sizes)) == (None, *expected)


def test_convolution_shape_agrees_with_the_op() -> None:
    for size in range(3, 9):
        for kernel in (1, 2, 3):
            for stride in (1, 2, 3):
                for padding in ("same", "valid"):
                    layer = layers.Conv2D(2, kernel, stride, padding)
                    assert layer.compute_output_shape((5, size, size + 1, 3)) == (
                        ops.conv2d_output_shape(
                            (5, size, size + 1, 3),
                            (kernel, kernel, 3, 2),
                            strides=stride,
                            padding=padding,
                        )
                    )


def test_parameters_of_a_convolution() -> None:
    layer = layers.Conv2D(6, (3, 2), groups=2)
    with pytest.raises(ValueError, match="build"):
        layer.count_params()
    layer.build((None, 8, 8, 4))
    assert [w.shape for w in layer.weights] == [(3, 2, 2, 6), (6,)]
    assert layer.count_params() == 3 * 2 * 2 * 6 + 6
    assert layer.weights[0].path == f"{layer.name}/kernel"
    assert (layer.weights[1].numpy() == 0).all()
    assert layer.input_shape == (None, 8, 8, 4)
    assert layer.output_shape == (None, 6, 7, 6)


def test_parameters_of_batch_normalization() -> None:
    layer = layers.BatchNormalization()
    layer.build((None, 4, 4, 3))
    assert [w.name for w in layer.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert [w.name for w in layer.trainable_weights] == ["gamma", "beta"]
    assert [w.name for w in layer.non_trainable_weights] == ["moving_mean", "moving_variance"]
    assert [float(w.numpy()[0]) for w in layer.weights] == [1.0, 0.0, 0.0, 1.0]
    given = layers.BatchNormalization(
        beta_initializer=convkit.initializers.Constant(0.25),
        gamma_initializer="zeros",
        moving_mean_initializer="ones",
        moving_variance_initializer=convkit.initializers.Constant(4.0),
    )
    given.build((None, 4, 4, 3))
    assert [float(w.numpy()[0]) for w in given.weights] == [0.0, 0.25, 1.0, 4.0]
    bare = layers.BatchNormalization(center=False, scale=False)
    bare.build((None, 4, 4, 3))
    assert [w.name for w in bare.weights] == ["moving_mean", "moving_variance"]


def test_trainable_can_be_switched() -> None:
    layer = layers.Dense(3, trainable=False)
    layer.build((None, 2))
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 2
    layer.trainable = True
    assert len(layer.trainable_weights) == 2
    assert layer.get_config()["trainable"] is True


def test_weights_are_copied_out_and_checked_in() -> None:
    layer = layers.Dense(3)
    with pytest.raises(ValueError, match="build the model first"):
        layer.set_weights([])
    layer.build((None, 2))
    kernel, bias = layer.get_weights()
    kernel[:] = 7
    assert not (layer.get_weights()[0] == 7).any()
    layer.set_weights([kernel.astype(np.float64), bias])
    assert (layer.get_weights()[0] == 7).all()
    with pytest.raises(ValueError, match=r"expected 2 weights .*kernel.*received 1"):
        layer.set_weights([kernel])
    with pytest.raises(ValueError, match=r"bias has shape \(3,\), received \(4,\)"):
        layer.set_weights([np.zeros((2, 3)), np.zeros(4)])
    assert (layer.get_weights()[0] == 7).all(), "a refused list must change nothing"
    with pytest.raises(TypeError, match="numbers"):
        layer.set_weights([np.full((2, 3), "a"), bias])


def test_a_layer_is_built_for_one_shape() -> None:
    layer = layers.Dense(3)
    layer.build((None, 2))
    before = layer.get_weights()[0]
    layer.build((None, 2))
    np.testing.assert_array_equal(layer.get_weights()[0], before)
    with pytest.raises(ValueError, match=r"built for inputs of shape \(None, 2\)"):
        layer.build((None, 5))


def test_a_wrong_initializer_is_noticed() -> None:
    class Crooked(convkit.initializers.Initializer):
        def __call__(self, shape: Any) -> Any:
            return np.zeros(3, np.float32)

    with pytest.raises(ValueError, match=r"Crooked returned shape \(3,\)"):
        layers.Dense(3, kernel_initializer=Crooked()).build((None, 2))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2D(0, 3), "filters must be a positive integer, received 0"),
        (lambda: layers.Conv2D(-4, 3), "filters must be a positive integer"),
        (lambda: layers.Conv2D(2.5, 3), "filters must be a positive integer"),
        (lambda: layers.Conv2D(True, 3), "filters must be a positive integer"),
        (lambda: layers.Conv2D(4, 0), "kernel_size must be a positive integer"),
        (lambda: layers.Conv2D(4, (3, 3, 3)), "kernel_size must be an integer or a pair"),
        (lambda: layers.Conv2D(4, "3"), "kernel_size must be an integer or a pair"),
        (lambda: layers.Conv2D(4, 3, strides=0), "strides must be a positive integer"),
        (lambda: layers.Conv2D(4, 3, strides=(1, -1)), "strides must be a positive integer"),
        (lambda: layers.Conv2D(4, 3, dilation_rate=0), "dilation_rate must be a positive"),
        (lambda: layers.Conv2D(4, 2**63), "kernel_size must be a positive integer"),
        (lambda: layers.Conv2D(4, 3, groups=3), r"filters \(4\) must be a multiple of groups"),
        (lambda: layers.Conv2D(4, 3, padding="full"), "padding must be 'same' or 'valid'"),
        (lambda: layers.Conv2D(1, 32, 3, padding=1), "received 1; .* put ZeroPadding2D before it"),
        (lambda: layers.Conv2D(4, 3, data_format="channels_first"), "numpy.moveaxis"),
        (lambda: layers.Conv2D(4, 3, activation="rellu"), "unknown activation 'rellu'.*relu"),
        (lambda: layers.Conv2D(4, 3, kernel_initializer="glorot"), "unknown initializer"),
        (lambda: layers.Conv2D(4, 3, activation="ReLU1"), r"or None; did you mean 'relu'\?"),
        (lambda: layers.Dense(4, activation=np.tanh), r"did you mean 'tanh'\?"),
        (lambda: layers.Dense(0), "units must be a positive integer"),
        (lambda: layers.Dense(3, activation="swissh"), "linear, relu, softmax, sigmoid, tanh"),
        (lambda: layers.Activation("nothing"), "unknown activation 'nothing'"),
        (lambda: layers.MaxPooling2D(0), "pool_size must be a positive integer"),
        (lambda: layers.AveragePooling2D(2, strides=-1), "strides must be a positive integer"),
        (lambda: layers.MaxPooling2D(2, padding="none"), "padding must be"),
        (lambda: layers.GlobalMaxPooling2D("channels_first"), "channels_last"),
        (lambda: layers.LayerNormalization("last"), "axis must be an integer or several"),
        (lambda: layers.LayerNormalization(()), "axis must be an integer or several"),
        (lambda: layers.LayerNormalization(epsilon=0), "epsilon must be positive"),
        (lambda: layers.GroupNormalization(0), "groups, if not -1, must be a positive integer"),
        (lambda: layers.GroupNormalization(2, epsilon="x"), "epsilon must be positive"),
        (lambda: layers.Conv2DTranspose(0, 3), "filters must be a positive integer"),
        (lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=2), r"below the strides \(2, 2\)"),
        (lambda: layers.Conv2DTranspose(4, 3, output_padding=(0, 0, 0)), "a pair of them, or None"),
        (lambda: layers.Conv2DTranspose(4, 3, 2, output_padding=-1), "an integer of at least 0"),
        (lambda: layers.Conv2DTranspose(4, 3, 2, dilation_rate=2), "cannot both be more than 1"),
        (lambda: layers.SeparableConv2D(0, 3), "filters must be a positive integer"),
        (
            lambda: layers.SeparableConv2D(3, 3, depth_multiplier=0),
            "depth_multiplier must be a pos",
        ),
        (lambda: layers.Normalization("x"), "axis must be an integer, several, or None"),
        (lambda: layers.Normalization(mean=1.0), "must both be given, or neither"),
        (lambda: layers.Normalization(mean=[1, 2], variance=[1]), "must have the same shape"),
        (lambda: layers.Normalization(None, [1, 2], [1, 2]), "at most 0 dimensions for axis=None"),
        (lambda: layers.Normalization(mean=float("nan"), variance=1), "mean must be finite"),
        (lambda: layers.Normalization(mean=1, variance=-1), "variance must be at least 0"),
        (lambda: layers.DepthwiseConv2D(0), "kernel_size must be a positive integer"),
        (lambda: layers.DepthwiseConv2D(3, depth_multiplier=0), "depth_multiplier must be"),
        (lambda: layers.DepthwiseConv2D(3, padding="full"), "padding must be"),
        (lambda: layers.DepthwiseConv2D(3, data_format="channels_first"), "channels_last"),
        (lambda: layers.ZeroPadding2D(-1), r"padding\[0\] must be an integer of at least 0"),
        (lambda: layers.ZeroPadding2D((1, (2, -3))), r"padding\[1\] must be an integer"),
        (lambda: layers.ZeroPadding2D((1, 2, 3)), "padding must be an integer, a pair"),
        (lambda: layers.ZeroPadding2D("same"), "must be an integer of at least 0"),
        (lambda: layers.ZeroPadding2D(1, "channels_first"), "channels_last"),
        (lambda: layers.UpSampling2D(0), "size must be a positive integer"),
        (lambda: layers.UpSampling2D((1, 2, 3)), "size must be an integer or a pair"),
        (lambda: layers.UpSampling2D(interpolation="bicubic"), "must be 'nearest' or 'bilinear'"),
        (lambda: layers.UpSampling2D(interpolation=2), "must be 'nearest' or 'bilinear'"),
        (lambda: layers.UpSampling2D(2, "channels_first"), "channels_last"),
        (lambda: layers.Cropping2D(-1), r"cropping\[0\] must be an integer of at least 0"),
        (lambda: layers.Cropping2D((1, 2, 3)), "cropping must be an integer, a pair"),
        (lambda: layers.Permute((0, 1)), r"dims must name each axis .* received \(0, 1\)"),
        (lambda: layers.Permute(()), "dims must name each axis"),
        (lambda: layers.Permute("12"), "dims must name each axis"),
        (lambda: layers.Permute(2), "dims must name each axis"),
        (lambda: layers.Permute((1, 1)), "dims must name each axis"),
        (lambda: layers.Permute(range(1, 40)), "dims may name at most 31 axes, received 39"),
        (lambda: layers.SpatialDropout2D(1.0), "rate must be at least 0 and below 1"),
        (lambda: layers.SpatialDropout2D(0.5, "channels_first"), "channels_last"),
        (lambda: layers.GaussianNoise(-0.1), "stddev must be a finite number of at least 0"),
        (lambda: layers.GaussianNoise(1e39), "stddev must be a finite number of at least 0"),
        (lambda: layers.GaussianNoise(0.1, seed=-1), "a seed must lie in"),
        (lambda: layers.GaussianDropout(1.0), "rate must be at least 0 and below 1"),
        (lambda: layers.Reshape(()), "target_shape must be positive integers"),
        (lambda: layers.Reshape((-1, -1)), "at most one of them -1"),
        (lambda: layers.Reshape((0, 3)), "target_shape must be positive integers"),
        (lambda: layers.Reshape([1] * 32), "target_shape may have at most 31 sizes, received 32"),
        (lambda: convkit.Input([1] * 32), "the input shape may have at most 31 sizes, received 32"),
        (lambda: layers.Reshape("28"), "target_shape must be positive integers"),
        (lambda: layers.Reshape(28), "target_shape must be positive integers"),
        (lambda: layers.Rescaling("1"), "scale must be a finite number"),
        (lambda: layers.Rescaling(1, float("nan")), "offset must be a finite number"),
        (lambda: layers.Rescaling([]), "scale must be a finite number, or one a channel"),
        (lambda: layers.ReLU(-1.0), "max_value must be a finite number of at least 0"),
        (lambda: layers.ReLU(threshold=-1), "threshold must be a finite number of at least 0"),
        (lambda: layers.ReLU(negative_slope=None), "negative_slope must be a finite number"),
        (lambda: layers.ReLU(np.ones(2)), "max_value must be a finite number"),
        (lambda: layers.LeakyReLU(-0.1), "negative_slope must be a finite number of at least 0"),
        (lambda: layers.ELU(float("inf")), "alpha must be a finite number of at least 0"),
        (lambda: layers.PReLU("two"), "unknown initializer 'two'"),
        (lambda: layers.PReLU(shared_axes=0), "each of shared_axes, .*must be a positive integer"),
        (lambda: layers.PReLU(shared_axes=[1, -1]), "each of shared_axes, .*received -1"),
        (lambda: layers.PReLU(shared_axes="12"), "each of shared_axes, .*received '12'"),
        (lambda: layers.PReLU(shared_axes=[3]).build((None, 5, 4)), r"shared axes \(3,\)"),
        (lambda: layers.PReLU().build((None,)), r"expected inputs \(N, ...\)"),
        (
            lambda: layers.PReLU(shared_axes=[2, 4]).build((None, 2, 3, 4, 5, 6)),
            "along two runs of neighbouring axes",
        ),
        (lambda: layers.Dropout(1.0), "rate must be at least 0 and below 1"),
        (lambda: layers.Dropout(-0.1), "rate must be at least 0"),
        (lambda: layers.Dropout(float("nan")), "rate must be at least 0"),
        (lambda: layers.Dropout(0.5, seed=-1), "a seed must lie in"),
        (lambda: layers.BatchNormalization(gamma_initializer="x"), "unknown initializer 'x'"),
        (lambda: layers.BatchNormalization(momentum=1.5), "momentum must lie in"),
        (lambda: layers.BatchNormalization(epsilon=0.0), "epsilon must be positive"),
        (lambda: layers.Softmax(axis=0), "axis must be -1"),
        (lambda: layers.Dense(3, name="a/b"), "name must be"),
        (lambda: layers.Dense(3, name=""), "name must be"),
        (lambda: layers.Input((28, -1)), "input shape.*positive integer"),
        (lambda: layers.Input((28, None, 1)), "input shape.*positive integer"),
        (lambda: layers.Input((None, 28, 28, 1)), "one sample, without the batch"),
        (lambda: layers.Input(()), "at least one size"),
        (lambda: layers.Input(28), r"tuple such as \(28, 28, 1\)"),
        (lambda: layers.Input("28"), r"tuple such as \(28, 28, 1\)"),
    ],
)
def test_wrong_arguments(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="activity_regularizer"):
        layers.Dense(3, activity_regularizer="l2")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Conv2D\(\) got .* 'stride'; did you mean 'strides'\?$"):
        layers.Conv2D(4, 3, stride=2)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match=r"^Flatten\(\) got an unexpected .* 'shape'"):
        layers.Flatten(shape=(3,))  # type: ignore[call-arg]


def test_parameters_that_no_memory_holds_name_their_layer() -> None:
    dense = layers.Dense(2**31 - 1, name="vast")
    with pytest.raises(MemoryError, match=r'"vast" \(Dense\): no memory for the kernel of shape'):
        dense.build((None, 2**20))


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (layers.Conv2D(4, 3, name="first"), (None, 28, 28), r'"first" \(Conv2D\).*rank 4'),
        (layers.Conv2D(4, 3), (None, 28, 28), r"one channel have the shape \(None, H, W, 1\)"),
        (layers.MaxPooling2D(), (None, 64), r"put it before Flatten\(\)"),
        (layers.Conv2D(4, 5), (None, 4, 9, 1), r"kernel_size \(5, 5\).*\(4, 9\).*padding='same'"),
        (layers.Conv2D(4, 3, dilation_rate=2), (None, 4, 9, 1), "dilation_rate"),
        (layers.Conv2D(4, 3, groups=2), (None, 9, 9, 3), r"channels \(3\).*groups \(2\)"),
        (layers.Conv2D(4, 3), (None, None, 9, 3), "must be a positive integer"),
        (layers.Conv2D(4, 3), (None, 9, 0, 3), "must be a positive integer"),
        (layers.BatchNormalization(axis=1), (None, 4, 9, 3), "axis must be -1.*is also 3"),
        (layers.BatchNormalization(axis=3), (None, 9), "axis must be -1.*is also 1"),
        (layers.LayerNormalization(1), (None, 4, 9, 3), "axis must be -1 or the last .*GroupNorm"),
        (layers.LayerNormalization((-3, -1)), (None, 4, 9, 3), "received .-3, -1. for inputs"),
        (layers.LayerNormalization((-2, -1)), (None, 9), "without the batch"),
        (layers.LayerNormalization(), (None, None, 3), "must be a positive integer"),
        (layers.GroupNormalization(), (None, 4, 9, 48), r"groups \(32\) must divide .* 48 in"),
        (layers.GroupNormalization(2, 1), (None, 4, 9, 4), "axis must be -1.*is also 3"),
        (layers.Conv2DTranspose(4, 3), (None, 9), "rank 4"),
        (
            layers.Conv2DTranspose(4, 2, padding="same", output_padding=0),
            (None, 1, 9, 3),
            "is left",
        ),
        (layers.SeparableConv2D(2, 5), (None, 4, 9, 1), r"kernel_size \(5, 5\) .*padding='same'"),
        (layers.Normalization(0), (None, 4), "axis must name axes behind the batch, each once"),
        (layers.Normalization((1, -1)), (None, 4), "each once"),
        (layers.Normalization(mean=[1, 2], variance=[1, 2]), (None, 4, 3), "do not fit the sizes"),
        (layers.DepthwiseConv2D(5), (None, 4, 9, 1), r"kernel_size \(5, 5\) .*padding='same'"),
        (layers.DepthwiseConv2D(3), (None, 9), "rank 4"),
        (layers.ZeroPadding2D(), (None, 9), "rank 4"),
        (layers.UpSampling2D(), (None, 9), "rank 4"),
        (layers.Cropping2D(), (None, 9), "rank 4"),
        (layers.Cropping2D(2), (None, 4, 9, 1), "leaves nothing of images of 4 x 9"),
        (layers.Permute((2, 1)), (None, 9), r"expected inputs of rank 3, for dims=\(2, 1\)"),
        (layers.SpatialDropout2D(0.5), (None, 9), "rank 4"),
        (layers.Reshape((3, 5)), (None, 4, 4), r"16 values .* do not fit .*\(3, 5\)"),
        (layers.Reshape((3, -1)), (None, 4, 4), "do not fit"),
        (layers.Reshape((4, -1)), (None, None, 4), "must be a positive integer"),
        (layers.Rescaling([1, 2]), (None, 4, 3), "scale has 2 values"),
        (layers.Rescaling(1.0), (None,), r"expected inputs \(N, ..., C\)"),
        (layers.MaxPooling2D(3), (None, 2, 9, 3), "is larger than the input"),
        (layers.MaxPooling2D(3), (None, 9), "rank 4"),
        (layers.GlobalMaxPooling2D(), (None, 9), "rank 4"),
        (layers.Dense(4), (None,), r"expected inputs \(N, ..., C\).*Flatten\(\).*\(None,\)"),
        (layers.Dense(4), (None, 3, None, 2), "must be a positive integer"),
        (layers.Flatten(), (None, None, 2), "positive integer"),
        (layers.BatchNormalization(), (None,), r"\(N, ..., C\)"),
        (layers.Softmax(), (None,), r"\(N, K\)"),
    ],
)
def test_inputs_that_a_layer_cannot_take(
    layer: Layer, shape: tuple[int | None, ...], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        layer.build(shape)
    assert not layer.built
    assert layer.weights == []


@pytest.mark.parametrize(
    "layer",
    [
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.GaussianNoise(0.5),
        layers.GaussianDropout(0.5),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_what_is_random_depends_on_step_layer_and_seed_only(layer: Any) -> None:
    x = np.ones((4, 5, 5, 100), np.float32)

    def mask(seed: int, step: int, index: int) -> Any:
        y = np.empty_like(x)
        layer.index = index
        layer.forward(x, y, (), StepContext(True, seed, step))
        return y

    base = mask(1, 2, 3)
    if isinstance(layer, layers.Dropout | layers.SpatialDropout2D):
        assert set(np.unique(base)) == {0.0, 2.0}
    dx = np.empty_like(x)
    layer.index = 3
    layer.backward(x, base, x.copy(), dx, (), StepContext(True, 1, 2))
    np.testing.assert_array_equal(dx, x if isinstance(layer, layers.GaussianNoise) else base)
    for view in (False, True):
        assert layer.is_view(view) != view
    np.testing.assert_array_equal(base, mask(1, 2, 3))
    for other in (mask(2, 2, 3), mask(1, 3, 3), mask(1, 2, 4)):
        assert (other != base).mean() > 0.2
    layer.seed = 5
    np.testing.assert_array_equal(mask(1, 2, 3), mask(9, 2, 3))


def test_a_model_that_lacks_its_flatten_is_told_so() -> None:
    """A dense layer takes images, so that it is the loss that finds classes at every pixel."""
    model = convkit.Sequential(
        [convkit.Input((6, 6, 1)), layers.Conv2D(4, 3), layers.Dense(3, activation="softmax")]
    )
    assert model.output_shape == (None, 4, 4, 3)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(ValueError, match=r"\(None, 4, 4, 3\).*end it with Flatten\(\) and Dense"):
        model.fit(np.ones((4, 6, 6, 1), np.float32), np.zeros(4, int), verbose=0)


def test_a_dense_layer_learns_at_every_pixel() -> None:
    """As a convolution of one pixel does: the same losses and weights, but for rounding."""
    rng = np.random.default_rng(1)
    x, y = rng.random((12, 5, 4, 3), np.float32), rng.random((12, 2), np.float32)
    found = []
    for layer in (layers.Dense(6, "relu", name="same"), layers.Conv2D(6, 1, activation="relu")):
        convkit.utils.set_random_seed(4)
        model = convkit.Sequential(
            [convkit.Input(x.shape[1:]), layer, layers.Flatten(), layers.Dense(2)]
        )
        layer.kernel.value = np.linspace(-1, 1, 18, dtype=np.float32).reshape(layer.kernel.shape)
        model.compile("sgd", "mse")
        model.fit(x, y, batch_size=5, epochs=3, verbose=0)
        found.append([each.ravel() for each in model.get_weights()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)


def test_frozen_batch_normalization_uses_and_keeps_its_statistics() -> None:
    rng = np.random.default_rng(3)
    layer = layers.BatchNormalization()
    layer.build((None, 3))
    layer.set_weights([rng.uniform(0.5, 2, 3) for _ in range(4)])
    layer.trainable = False
    before = layer.get_weights()
    x, dy = (rng.normal(size=(6, 3)).astype(np.float32) for _ in range(2))
    y, dx = np.empty_like(x), np.empty_like(x)
    saved = tuple(np.empty(s.shape, s.dtype) for s in layer.saved_arrays(x.shape))
    layer.forward(x, y, saved, StepContext(training=True), activation="relu")
    gamma, beta, mean, variance = before
    scale = gamma / np.sqrt(variance + 1e-3)
    linear = (x - mean) * scale + beta
    np.testing.assert_allclose(y, np.maximum(linear, 0), rtol=1e-5, atol=1e-6)
    layer.backward(x, y, dy, dx, saved, StepContext(training=True), activation="relu")
    np.testing.assert_allclose(dx, dy * scale * (linear > 0), rtol=1e-5, atol=1e-6)
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_separable_convolution_is_its_two_layers() -> None:
    """The same bits, and what can be fused with a convolution is fused with the second."""
    x = np.random.default_rng(0).normal(size=(9, 12, 12, 3)).astype(np.float32)
    y = np.arange(9) % 2
    end = [layers.BatchNormalization, layers.ReLU, layers.MaxPooling2D, layers.Flatten]
    models = [
        convkit.Sequential([convkit.Input((12, 12, 3)), *made, *(kind() for kind in end),
                            layers.Dense(2, "softmax")])
        for made in (
            [layers.SeparableConv2D(8, 3, padding="same", depth_multiplier=2)],
            [layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, use_bias=False),
             layers.Conv2D(8, 1)],
        )
    ]  # fmt: skip
    models[1].set_weights(models[0].get_weights())
    for model in models:
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, batch_size=3, epochs=2, shuffle=False, verbose=0)
    for mine, theirs in zip(*(model.get_weights() for model in models), strict=True):
        np.testing.assert_array_equal(mine, theirs)
    lines = [len(model.plan(3).splitlines()) for model in models]
    assert lines[0] == lines[1]
    models[0].layers[0].trainable = False
    before = models[0].get_weights()
    models[0].fit(x, y, batch_size=3, epochs=1, verbose=0)
    for old, new in zip(before[:3], models[0].get_weights()[:3], strict=True):
        np.testing.assert_array_equal(old, new)


class Named(np.ndarray[Any, Any]):
    """A subclass of NumPy's arrays."""


def test_results_are_of_the_class_of_arrays_that_a_layer_is_called_on() -> None:
    x = np.ones((2, 3), np.float32)
    assert type(layers.Rescaling(2.0)(x)) is np.ndarray
    made = layers.Rescaling(2.0)(x.view(Named))
    assert type(made) is Named
    np.testing.assert_array_equal(made, 2 * x)
    assert type(layers.Add()([x.view(Named), x])) is Named
