"""A convkit model, taken apart into operators on channels-first images."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import singledispatch
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Array, Shape
from ..models import Model
from ..ops._window import resolve
from .chain import chain_of
from .operators import (
    ACTIVATIONS,
    Operator,
    order_is_one,
    to_channels_first,
    to_channels_last,
)


def decompose(model: Model) -> list[Operator]:
    """The operators that compute, from the same images, what `model.predict` computes.

    Images are transposed to channels-first before everything else, and a result of rank 3 or more
    back at the end. Flatten lays out channels-first images, and the rows of the weights behind it
    are reordered to fit; only where no Dense follows are the images transposed back before it.
    Dropout is among the operators, and what else does something in training alone.

    Raises:
        ValueError: the model is not built, or has a layer without a counterpart.
    """
    chain = chain_of(model)
    shape, result = model.input_shape, model.output_shape
    place = _Place(chain)
    operators: list[Operator] = []
    if len(shape) > 2:
        perm = to_channels_first(len(shape))
        operators.append(Operator("Transpose", (), {"perm": perm}, "channels_first"))
    for place.index, layer in enumerate(chain):
        if not type(layer).__module__.startswith(layers.__name__):
            # A class derived from one of convkit's may compute something else.
            raise _unknown(layer)
        operators.extend(operators_of(layer, place))
    if len(result) > 2:
        perm = to_channels_last(len(result))
        operators.append(Operator("Transpose", (), {"perm": perm}, "channels_last"))
    return operators


class _Place:
    """Where in the model a layer stands, and how the last Flatten laid out its images.

    Attributes:
        plane: the sizes (..., C) of the images that were laid out as (C, ...), until a Dense.
    """

    def __init__(self, model_layers: Sequence[layers.Layer]) -> None:
        self.layers = model_layers
        self.index = 0
        self.plane: tuple[int, ...] | None = None

    def reordered(self, array: Array) -> Array:
        """A copy of rows, or a vector, that belong to flattened images: (..., C) to (C, ...)."""
        if self.plane is not None:
            images = array.reshape(*self.plane, *array.shape[1:])
            array = np.moveaxis(images, len(self.plane) - 1, 0).reshape(array.shape)
        return np.array(array, order="C")

    def dense_follows(self) -> bool:
        """Whether a Dense comes before anything that could tell in which order values stand."""
        blind = (
            *(layers.Activation, layers.BatchNormalization, layers.Flatten, layers.Identity),
            *(layers.Dropout, layers.GaussianDropout, layers.GaussianNoise),
        )
        for layer in self.layers[self.index + 1 :]:
            if not isinstance(layer, blind):
                return isinstance(layer, layers.Dense)
        return False


# The table: a layer with a counterpart among the operators has one function here, and its way back
# in `assemble`.


@singledispatch
def operators_of(layer: layers.Layer, place: _Place) -> Iterator[Operator]:
    """The operators of one layer; ValueError if it has none."""
    raise _unknown(layer)


def _unknown(layer: layers.Layer) -> ValueError:
    known = [kind for kind in operators_of.registry if kind.__module__ != "builtins"]
    return layer.error(
        "it has no counterpart among the operators of ONNX and PyTorch; these layers have one: "
        f"{', '.join(sorted(kind.__name__ for kind in known))}"
    )


@operators_of.register(layers.Activation)
def _(layer: layers.Activation, place: _Place) -> Iterator[Operator]:
    yield from _activation(layer.activation, layer.name)


@operators_of.register(layers.ReLU)
def _(layer: layers.ReLU, place: _Place) -> Iterator[Operator]:
    bound, slope, threshold = layer.max_value, layer.negative_slope, layer.threshold
    name, high = layer.name, math.inf if bound is None else bound
    if slope and threshold:
        raise layer.error(
            "with both a negative_slope and a threshold it has no counterpart among the operators "
            "of ONNX and PyTorch"
        )
    if slope:
        yield Operator("LeakyRelu", (), {"alpha": slope}, name)
    elif threshold:
        yield Operator("ThresholdedRelu", (), {"alpha": threshold}, name)
    elif bound is None:
        yield Operator("Relu", (), {}, name)
    if bound is not None:
        behind = bool(slope or threshold)
        low = -math.inf if slope else 0.0
        yield Operator("Clip", (), {"min": low, "max": high}, f"{name}/clip" if behind else name)


@operators_of.register(layers.LeakyReLU)
def _(layer: layers.LeakyReLU, place: _Place) -> Iterator[Operator]:
    yield Operator("LeakyRelu", (), {"alpha": layer.negative_slope}, layer.name)


@operators_of.register(layers.ELU)
def _(layer: layers.ELU, place: _Place) -> Iterator[Operator]:
    yield Operator("Elu", (), {"alpha": layer.alpha}, layer.name)


@operators_of.register(layers.PReLU)
def _(layer: layers.PReLU, place: _Place) -> Iterator[Operator]:
    slopes = np.ascontiguousarray(np.moveaxis(layer.alpha.value, -1, 0))
    yield Operator("PRelu", (slopes,), {}, layer.name)


@operators_of.register(layers.Conv2D)
def _(layer: layers.Conv2D, place: _Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    arrays = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias)
    yield Operator("Conv", arrays, {**_windows(layer), "group": layer.groups}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}")


@operators_of.register(layers.DepthwiseConv2D)
def _(layer: layers.DepthwiseConv2D, place: _Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    kh, kw, channels, multiplier = kernel.shape
    kernel = kernel.reshape(kh, kw, 1, channels * multiplier)
    arrays = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias)
    yield Operator("Conv", arrays, {**_windows(layer), "group": channels}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}")


@operators_of.register(layers.SeparableConv2D)
def _(layer: layers.SeparableConv2D, place: _Place) -> Iterator[Operator]:
    depthwise, pointwise, *bias = layer.get_weights()
    kh, kw, channels, multiplier = depthwise.shape
    depthwise = depthwise.reshape(kh, kw, 1, channels * multiplier)
    first = (np.ascontiguousarray(depthwise.transpose(3, 2, 0, 1)),)
    second = (np.ascontiguousarray(pointwise.transpose(3, 2, 0, 1)), *bias)
    plain = {"kernel_shape": (1, 1), "strides": (1, 1), "pads": (0,) * 4, "dilations": (1, 1)}
    name = f"{layer.name}/depthwise"
    yield Operator("Conv", first, {**_windows(layer), "group": channels}, name)
    yield Operator("Conv", second, {**plain, "group": 1}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}")


@operators_of.register(layers.Dense)
def _(layer: layers.Dense, place: _Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    rank = len(_sample_sizes(layer.input_shape)) + 1
    if rank == 4:  # of images: a convolution that sees one pixel
        one = {"kernel_shape": (1, 1), "strides": (1, 1), "dilations": (1, 1)}
        arrays = (np.ascontiguousarray(kernel.T[:, :, None, None]), *bias)
        attributes = {**one, "pads": (0, 0, 0, 0), "group": 1}
        yield Operator("Conv", arrays, attributes, layer.name)
    elif rank == 2:
        yield Operator("Gemm", (place.reordered(kernel), *bias), {}, layer.name)
        place.plane = None
    else:
        raise layer.error(
            f"on inputs of rank {rank} it has no counterpart among the operators of ONNX and "
            f"PyTorch, only on rows (N, C) and images (N, H, W, C)"
        )
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}")


@operators_of.register(layers.BatchNormalization)
def _(layer: layers.BatchNormalization, place: _Place) -> Iterator[Operator]:
    parameters = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    arrays = tuple(place.reordered(each.value) for each in parameters)
    attributes = {"epsilon": layer.epsilon, "momentum": layer.momentum}
    yield Operator("BatchNormalization", arrays, attributes, layer.name)


@operators_of.register(layers.AveragePooling2D)
@operators_of.register(layers.MaxPooling2D)
def _(layer: layers.AveragePooling2D | layers.MaxPooling2D, place: _Place) -> Iterator[Operator]:
    average = isinstance(layer, layers.AveragePooling2D)
    yield Operator("AveragePool" if average else "MaxPool", (), _windows(layer), layer.name)


@operators_of.register(layers.GlobalAveragePooling2D)
@operators_of.register(layers.GlobalMaxPooling2D)
def _(
    layer: layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D, place: _Place
) -> Iterator[Operator]:
    average = isinstance(layer, layers.GlobalAveragePooling2D)
    yield Operator("GlobalAveragePool" if average else "GlobalMaxPool", (), {}, layer.name)
    if not layer.keepdims:
        yield Operator("Flatten", (), {}, f"{layer.name}/flatten")


@operators_of.register(layers.Flatten)
def _(layer: layers.Flatten, place: _Place) -> Iterator[Operator]:
    sizes = _sample_sizes(layer.input_shape)
    if len(sizes) > 1 and place.dense_follows():
        place.plane = sizes
    else:
        yield from _channels_last(sizes, layer.name)
    yield Operator("Flatten", (), {}, layer.name)


@operators_of.register(layers.Dropout)
def _(layer: layers.Dropout, place: _Place) -> Iterator[Operator]:
    # Whoever has operators for training has none whose mask has a shape of its own.
    op = "Dropout" if layer.noise_shape is None else "SharedDropout"
    yield Operator(op, (), {"ratio": layer.rate}, layer.name)


@operators_of.register(layers.GaussianDropout)
@operators_of.register(layers.SpatialDropout2D)
def _(layer: layers.GaussianDropout | layers.SpatialDropout2D, place: _Place) -> Iterator[Operator]:
    yield Operator(type(layer).__name__, (), {"ratio": layer.rate}, layer.name)


@operators_of.register(layers.GaussianNoise)
def _(layer: layers.GaussianNoise, place: _Place) -> Iterator[Operator]:
    yield Operator("GaussianNoise", (), {"stddev": layer.stddev}, layer.name)


@operators_of.register(layers.Identity)
def _(layer: layers.Identity, place: _Place) -> Iterator[Operator]:
    return iter(())


@operators_of.register(layers.Cropping2D)
def _(layer: layers.Cropping2D, place: _Place) -> Iterator[Operator]:
    (top, bottom), (left, right) = layer.cropping
    yield Operator("Pad", (), {"pads": (-top, -left, -bottom, -right)}, layer.name)


@operators_of.register(layers.ZeroPadding2D)
def _(layer: layers.ZeroPadding2D, place: _Place) -> Iterator[Operator]:
    (top, bottom), (left, right) = layer.padding
    yield Operator("Pad", (), {"pads": (top, left, bottom, right)}, layer.name)


@operators_of.register(layers.Reshape)
def _(layer: layers.Reshape, place: _Place) -> Iterator[Operator]:
    yield from _channels_last(_sample_sizes(layer.input_shape), layer.name)
    sizes = _sample_sizes(layer.output_shape)
    if len(sizes) > 1 and order_is_one(sizes):
        yield Operator("Reshape", (), {"sizes": (sizes[-1], *sizes[:-1])}, layer.name)
        return
    yield Operator("Reshape", (), {"sizes": sizes}, layer.name)
    if len(sizes) > 1:
        perm = to_channels_first(len(sizes) + 1)
        yield Operator("Transpose", (), {"perm": perm}, f"{layer.name}/channels_first")


@operators_of.register(layers.Rescaling)
def _(layer: layers.Rescaling, place: _Place) -> Iterator[Operator]:
    rank = len(_sample_sizes(layer.output_shape))
    for op, value in (("Mul", layer.scale), ("Add", layer.offset)):
        numbers = np.asarray(value, np.float32)
        if numbers.ndim:  # one a channel: (C, 1, 1) for images
            numbers = numbers.reshape(-1, *(1,) * (rank - 1))
        yield Operator(op, (numbers,), {}, f"{layer.name}/{op.lower()}")


@operators_of.register(layers.Normalization)
def _(layer: layers.Normalization, place: _Place) -> Iterator[Operator]:
    sizes = _sample_sizes(layer.output_shape)
    mean, deviation = layer.statistics(sizes)
    pairs = [("Add", -mean), ("Mul", 1 / deviation)]
    for op, value in [("Mul", deviation), ("Add", mean)] if layer.invert else pairs:
        numbers = value.astype(np.float32).reshape((1,) * (len(sizes) - value.ndim) + value.shape)
        first = np.ascontiguousarray(np.moveaxis(numbers, -1, 0))
        yield Operator(op, (first,), {}, f"{layer.name}/{op.lower()}")


def _activation(activation: str | None, name: str) -> Iterator[Operator]:
    if activation is not None:
        op, attributes = ACTIVATIONS[activation]
        yield Operator(op, (), attributes, name)


def _windows(
    layer: layers.Conv2D
    | layers.DepthwiseConv2D
    | layers.SeparableConv2D
    | layers.AveragePooling2D
    | layers.MaxPooling2D,
) -> dict[str, Any]:
    """The attributes that convolutions and pools share, with the pads in numbers."""
    height, width, _ = _sample_sizes(layer.input_shape)
    if isinstance(layer, layers.AveragePooling2D | layers.MaxPooling2D):
        size, dilation, given = layer.pool_size, (1, 1), {}
    else:
        size, dilation = layer.kernel_size, layer.dilation_rate
        given = {"dilations": dilation}
    window = resolve((height, width), size, layer.strides, layer.padding, dilation)
    top, bottom, left, right = window.pads
    pads = (top, left, bottom, right)
    return {"kernel_shape": size, "strides": layer.strides, "pads": pads, **given}


def _channels_last(sizes: tuple[int, ...], name: str) -> Iterator[Operator]:
    """The transposition from channels-first images, unless it changes nothing in memory."""
    if len(sizes) > 1 and not order_is_one(sizes):
        perm = to_channels_last(len(sizes) + 1)
        yield Operator("Transpose", (), {"perm": perm}, f"{name}/channels_last")


def _sample_sizes(shape: Shape | None) -> tuple[int, ...]:
    return tuple(size for size in shape or () if size is not None)
