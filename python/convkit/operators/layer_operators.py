"""Every layer as the operators of ONNX and PyTorch that compute the same."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import singledispatch
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Array
from ..ops._window import resolve
from .operator import ACTIVATIONS, Operator, order_is_one, to_channels_first
from .place import Place

# Layers that cannot tell in which order the values of a row stand.
BLIND = (
    *(layers.Activation, layers.BatchNormalization, layers.Flatten, layers.Identity),
    *(layers.Dropout, layers.GaussianDropout, layers.GaussianNoise),
)


# The table: a layer with a counterpart among the operators has one function here, in
# `image_operators` or in `merge_operators`, and its way back in `assemble`.


@singledispatch
def operators_of(layer: layers.Layer, place: Place) -> Iterator[Operator]:
    """The operators of one layer, each fed by the one before it; ValueError if it has none.

    Those that read other tensors name them: "0", "1" ... are the layer's inputs.
    """
    raise unknown(layer)


def unknown(layer: layers.Layer) -> ValueError:
    """The error about a layer that has no operators."""
    known = [kind for kind in operators_of.registry if kind.__module__ != "builtins"]
    return layer.error(
        "it has no counterpart among the operators of ONNX and PyTorch; these layers have one: "
        f"{', '.join(sorted(kind.__name__ for kind in known))}"
    )


@operators_of.register(layers.Activation)
def _(layer: layers.Activation, place: Place) -> Iterator[Operator]:
    yield from _activation(layer.activation, layer.name, place)


@operators_of.register(layers.ReLU)
def _(layer: layers.ReLU, place: Place) -> Iterator[Operator]:
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
def _(layer: layers.LeakyReLU, place: Place) -> Iterator[Operator]:
    yield Operator("LeakyRelu", (), {"alpha": layer.negative_slope}, layer.name)


@operators_of.register(layers.ELU)
def _(layer: layers.ELU, place: Place) -> Iterator[Operator]:
    yield Operator("Elu", (), {"alpha": layer.alpha}, layer.name)


@operators_of.register(layers.PReLU)
def _(layer: layers.PReLU, place: Place) -> Iterator[Operator]:
    yield Operator("PRelu", (place.laid_out(layer.alpha.array),), {}, layer.name)


@operators_of.register(layers.Conv2D)
def _(layer: layers.Conv2D, place: Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    yield from place.to_first(layer.name)
    arrays = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias)
    yield Operator("Conv", arrays, {**_windows(layer, place), "group": layer.groups}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}", place)


@operators_of.register(layers.DepthwiseConv2D)
def _(layer: layers.DepthwiseConv2D, place: Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    kh, kw, channels, multiplier = kernel.shape
    kernel = kernel.reshape(kh, kw, 1, channels * multiplier)
    yield from place.to_first(layer.name)
    arrays = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias)
    yield Operator("Conv", arrays, {**_windows(layer, place), "group": channels}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}", place)


@operators_of.register(layers.SeparableConv2D)
def _(layer: layers.SeparableConv2D, place: Place) -> Iterator[Operator]:
    depthwise, pointwise, *bias = layer.get_weights()
    kh, kw, channels, multiplier = depthwise.shape
    depthwise = depthwise.reshape(kh, kw, 1, channels * multiplier)
    first = (np.ascontiguousarray(depthwise.transpose(3, 2, 0, 1)),)
    second = (np.ascontiguousarray(pointwise.transpose(3, 2, 0, 1)), *bias)
    name = f"{layer.name}/depthwise"
    yield from place.to_first(layer.name)
    yield Operator("Conv", first, {**_windows(layer, place), "group": channels}, name)
    yield Operator("Conv", second, {**_ONE_PIXEL, "group": 1}, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}", place)


@operators_of.register(layers.Conv2DTranspose)
def _(layer: layers.Conv2DTranspose, place: Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    arrays = (np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), *bias)
    yield from place.to_first(layer.name)
    pads, more = [], []
    for axis in (0, 1):
        window = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis] + 1
        reached = (place.sizes[0][axis] - 1) * layer.strides[axis] + window
        cut = reached - place.result[axis]  # more of it at the end; or rows of zeros behind
        pads.append((max(cut, 0) // 2, max(cut, 0) - max(cut, 0) // 2))
        more.append(max(-cut, 0))
    attributes = {
        "kernel_shape": layer.kernel_size,
        "strides": layer.strides,
        "pads": (pads[0][0], pads[1][0], pads[0][1], pads[1][1]),
        "dilations": layer.dilation_rate,
        "output_padding": tuple(more),
        "group": 1,
    }
    yield Operator("ConvTranspose", arrays, attributes, layer.name)
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}", place)


@operators_of.register(layers.Dense)
def _(layer: layers.Dense, place: Place) -> Iterator[Operator]:
    kernel, *bias = layer.get_weights()
    if place.rank == 2:
        yield Operator("Gemm", (place.reordered(kernel), *bias), {}, layer.name)
        place.plane = None
    elif place.rank == 4 and place.first:  # of images: a convolution that sees one pixel
        arrays = (np.ascontiguousarray(kernel.T[:, :, None, None]), *bias)
        yield Operator("Conv", arrays, {**_ONE_PIXEL, "group": 1}, layer.name)
    else:
        yield from place.to_last(layer.name)
        yield Operator("MatMul", (kernel,), {}, layer.name)
        if bias:
            yield Operator("Add", tuple(bias), {}, f"{layer.name}/bias")
    yield from _activation(layer.activation, f"{layer.name}/{layer.activation}", place)


@operators_of.register(layers.BatchNormalization)
def _(layer: layers.BatchNormalization, place: Place) -> Iterator[Operator]:
    yield from place.to_first(layer.name)
    parameters = (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
    arrays = tuple(place.reordered(each.array) for each in parameters)
    attributes = {"epsilon": layer.epsilon, "momentum": layer.momentum}
    yield Operator("BatchNormalization", arrays, attributes, layer.name)


@operators_of.register(layers.LayerNormalization)
def _(layer: layers.LayerNormalization, place: Place) -> Iterator[Operator]:
    given = layer.axis if isinstance(layer.axis, tuple) else (layer.axis,)
    sizes = place.sizes[0][-len(given) :]
    if len(given) < len(place.sizes[0]):
        yield from place.to_last(layer.name)
    gamma, beta = _affine(layer, sizes)
    arrays = (place.laid_out(gamma), *(() if beta is None else (place.laid_out(beta),)))
    attributes = {"axis": place.rank - len(given), "epsilon": layer.epsilon}
    yield Operator("LayerNormalization", arrays, attributes, layer.name)


@operators_of.register(layers.GroupNormalization)
def _(layer: layers.GroupNormalization, place: Place) -> Iterator[Operator]:
    """ONNX has it with a factor for each channel since version 21 alone; the groups are planes."""
    *space, channels = place.sizes[0]
    groups = channels if layer.groups == -1 else layer.groups
    if place.rank == 2:
        raise layer.error(
            "of rows (N, C) it has no counterpart among the operators of ONNX and PyTorch; use "
            "LayerNormalization where there is one group"
        )
    yield from place.to_first(layer.name)
    gamma, beta = _affine(layer, (channels,))
    name, epsilon = layer.name, {"epsilon": layer.epsilon}
    if groups == channels:
        beta = np.zeros(channels, np.float32) if beta is None else beta
        yield Operator("InstanceNormalization", (gamma, beta), epsilon, name)
        return
    count = math.prod(space) * channels // groups
    ones, zeros = np.ones(groups, np.float32), np.zeros(groups, np.float32)
    yield Operator("Reshape", (), {"sizes": (groups, count)}, f"{name}/groups")
    yield Operator("InstanceNormalization", (ones, zeros), epsilon, name)
    yield Operator("Reshape", (), {"sizes": (channels, *space)}, f"{name}/channels")
    each = (channels, *(1,) * len(space))
    yield Operator("Mul", (gamma.reshape(each),), {}, f"{name}/gamma")
    if beta is not None:
        yield Operator("Add", (beta.reshape(each),), {}, f"{name}/beta")


@operators_of.register(layers.AveragePooling2D)
@operators_of.register(layers.MaxPooling2D)
def _(layer: layers.AveragePooling2D | layers.MaxPooling2D, place: Place) -> Iterator[Operator]:
    average = isinstance(layer, layers.AveragePooling2D)
    yield from place.to_first(layer.name)
    op = "AveragePool" if average else "MaxPool"
    yield Operator(op, (), _windows(layer, place), layer.name)


@operators_of.register(layers.GlobalAveragePooling2D)
@operators_of.register(layers.GlobalMaxPooling2D)
def _(
    layer: layers.GlobalAveragePooling2D | layers.GlobalMaxPooling2D, place: Place
) -> Iterator[Operator]:
    average = isinstance(layer, layers.GlobalAveragePooling2D)
    yield from place.to_first(layer.name)
    yield Operator("GlobalAveragePool" if average else "GlobalMaxPool", (), {}, layer.name)
    if not layer.keepdims:
        yield Operator("Flatten", (), {}, f"{layer.name}/flatten")
        place.first = False


@operators_of.register(layers.UpSampling2D)
def _(layer: layers.UpSampling2D, place: Place) -> Iterator[Operator]:
    yield from place.to_first(layer.name)
    nearest = layer.interpolation == "nearest"
    attributes = {"factors": layer.size, "mode": "nearest" if nearest else "linear"}
    yield Operator("Resize", (), attributes, layer.name)


@operators_of.register(layers.Flatten)
def _(layer: layers.Flatten, place: Place) -> Iterator[Operator]:
    if place.rank > 2 and place.leads_to_dense and place.first:
        place.plane = place.sizes[0]
    else:
        yield from place.to_rows(layer.name)
    place.first = False
    yield Operator("Flatten", (), {}, layer.name)


@operators_of.register(layers.Dropout)
@operators_of.register(layers.GaussianDropout)
@operators_of.register(layers.SpatialDropout2D)
def _(
    layer: layers.Dropout | layers.GaussianDropout | layers.SpatialDropout2D, place: Place
) -> Iterator[Operator]:
    if isinstance(layer, layers.SpatialDropout2D):
        yield from place.to_first(layer.name)
    op = type(layer).__name__
    attributes: dict[str, object] = {"ratio": layer.rate}
    if isinstance(layer, layers.Dropout) and layer.noise_shape is not None:
        op, shape = "SharedDropout", (*layer.noise_shape,)
        if place.first:
            shape = (shape[0], shape[-1], *shape[1:-1])
        attributes["shared"] = tuple(axis for axis, size in enumerate(shape) if size == 1)
    yield Operator(op, (), attributes, layer.name)


@operators_of.register(layers.GaussianNoise)
def _(layer: layers.GaussianNoise, place: Place) -> Iterator[Operator]:
    yield Operator("GaussianNoise", (), {"stddev": layer.stddev}, layer.name)


@operators_of.register(layers.Identity)
def _(layer: layers.Identity, place: Place) -> Iterator[Operator]:
    return iter(())


@operators_of.register(layers.Cropping2D)
def _(layer: layers.Cropping2D, place: Place) -> Iterator[Operator]:
    yield from place.to_first(layer.name)
    (top, bottom), (left, right) = layer.cropping
    yield Operator("Pad", (), {"pads": (-top, -left, -bottom, -right)}, layer.name)


@operators_of.register(layers.ZeroPadding2D)
def _(layer: layers.ZeroPadding2D, place: Place) -> Iterator[Operator]:
    yield from place.to_first(layer.name)
    (top, bottom), (left, right) = layer.padding
    yield Operator("Pad", (), {"pads": (top, left, bottom, right)}, layer.name)


@operators_of.register(layers.Reshape)
def _(layer: layers.Reshape, place: Place) -> Iterator[Operator]:
    yield from place.to_rows(layer.name)
    sizes = place.result
    if len(sizes) > 1 and order_is_one(sizes):
        sizes, place.first = (sizes[-1], *sizes[:-1]), True
    yield Operator("Reshape", (), {"sizes": sizes}, layer.name)


@operators_of.register(layers.Permute)
def _(layer: layers.Permute, place: Place) -> Iterator[Operator]:
    """The layouts before and behind it are part of the one transposition; images stay first."""
    rank = place.rank
    before = to_channels_first(rank) if place.first else tuple(range(rank))
    place.first = place.first and rank == 4
    after = to_channels_first(rank) if place.first else tuple(range(rank))
    order = (0, *layer.dims)
    perm = tuple(before.index(order[axis]) for axis in after)
    if perm != tuple(range(rank)):
        yield Operator("Transpose", (), {"perm": perm}, layer.name)


@operators_of.register(layers.Rescaling)
def _(layer: layers.Rescaling, place: Place) -> Iterator[Operator]:
    for op, value in (("Mul", layer.scale), ("Add", layer.offset)):
        numbers = np.asarray(value, np.float32)
        if numbers.ndim:  # one a channel: (C, 1, 1) for images
            numbers = place.laid_out(numbers.reshape(*(1,) * (place.rank - 2), -1))
        yield Operator(op, (numbers,), {}, f"{layer.name}/{op.lower()}")


@operators_of.register(layers.Normalization)
def _(layer: layers.Normalization, place: Place) -> Iterator[Operator]:
    sizes = place.sizes[0]
    mean, deviation = layer.statistics(sizes)
    pairs = [("Add", -mean), ("Mul", 1 / deviation)]
    for op, value in [("Mul", deviation), ("Add", mean)] if layer.invert else pairs:
        numbers = value.astype(np.float32).reshape((1,) * (len(sizes) - value.ndim) + value.shape)
        yield Operator(op, (place.laid_out(numbers),), {}, f"{layer.name}/{op.lower()}")


def _activation(
    activation: str | layers.Activation | None, name: str, place: Place
) -> Iterator[Operator]:
    if isinstance(activation, layers.Activation):
        config = {**activation.get_config(), "name": name.partition("/")[0] + "_activation"}
        yield from operators_of(type(activation).from_config(config), place)
    elif activation is not None:
        op, attributes = ACTIVATIONS[activation]
        if "axis" in attributes:
            attributes = {"axis": place.channels if len(place.result) > 1 else 1}
        yield Operator(op, (), attributes, name)


_ONE_PIXEL: dict[str, Any] = {
    "kernel_shape": (1, 1),
    "strides": (1, 1),
    "pads": (0, 0, 0, 0),
    "dilations": (1, 1),
}


def _windows(
    layer: layers.Conv2D
    | layers.DepthwiseConv2D
    | layers.SeparableConv2D
    | layers.AveragePooling2D
    | layers.MaxPooling2D,
    place: Place,
) -> dict[str, Any]:
    """The attributes that convolutions and pools share, with the pads in numbers."""
    height, width, _ = place.sizes[0]
    if isinstance(layer, layers.AveragePooling2D | layers.MaxPooling2D):
        size, dilation, given = layer.pool_size, (1, 1), {}
    else:
        size, dilation = layer.kernel_size, layer.dilation_rate
        given = {"dilations": dilation}
    window = resolve((height, width), size, layer.strides, layer.padding, dilation)
    top, bottom, left, right = window.pads
    pads = (top, left, bottom, right)
    return {"kernel_shape": size, "strides": layer.strides, "pads": pads, **given}


def _affine(
    layer: layers.LayerNormalization | layers.GroupNormalization, sizes: tuple[int, ...]
) -> tuple[Array, Array | None]:
    """Gamma, or ones, and beta, if there is one."""
    gamma = np.ones(sizes, np.float32) if layer.gamma is None else layer.gamma.numpy()
    return gamma, None if layer.beta is None else layer.beta.numpy()
