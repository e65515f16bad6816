"""Operators with windows over images, as layers: convolutions, pools, paddings, larger images."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from .. import layers
from .assembly import Assembly, Value
from .operator import Operator, Pads, order_is_one
from .row_layers import check_vectors
from .windows import NO_PADS, Windows, add_pads, signed_pads, windows_of

Builder = Callable[[Assembly, Operator, Value], Value]


def of_images(build: Builder) -> Builder:
    """A builder that is given images (H, W, C); signals (W, C) become images of one row for it."""

    def built(assembly: Assembly, operator: Operator, x: Value) -> Value:
        if x.rank == 4:
            return build(assembly, operator, assembly.as_first(x))
        if x.rank != 3:
            raise operator.error(
                f"it needs channels-first images (N, C, H, W), received {x.described()}"
            )
        signals = assembly.as_first(x)
        nameless = replace(operator, arrays=())
        row = assembly.add(nameless, layers.Reshape((1, *signals.sizes)), signals)
        y = build(assembly, operator, row)
        return assembly.add(nameless, layers.Reshape(y.sizes[1:]), y)

    return built


@of_images
def conv(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A convolution, which takes over the zeros of a Pad before it where it can."""
    kernel, *bias = operator.arrays
    groups = operator.attributes["group"]
    if kernel.ndim != 4:
        raise operator.error(f"the weights must be (OC, C, KH, KW), received shape {kernel.shape}")
    x, pads = take_pads(x)
    height, width, channels = x.sizes
    if kernel.shape[1] * groups != channels:
        raise operator.error(
            f"weights of shape {kernel.shape} in {groups} groups are for "
            f"{kernel.shape[1] * groups} channels, received {x.described()}"
        )
    if kernel.shape[0] % groups:
        raise operator.error(f"{kernel.shape[0]} filters cannot be cut into {groups} groups")
    check_vectors(operator, bias, kernel.shape[0])
    windows = windows_of(operator, kernel.shape[2:])
    windows = windows._replace(pads=add_pads(windows.pads, pads))
    padding = windows.padding((height, width))
    if padding is None:
        x = _zeros(assembly, operator, x, windows.pads)
    options: dict[str, Any] = {
        "kernel_size": windows.size,
        "strides": windows.strides,
        "padding": padding or "valid",
        "dilation_rate": windows.dilation,
        "use_bias": bool(bias),
        "name": assembly.name(operator),
    }
    kernel, filters = kernel.transpose(2, 3, 1, 0), kernel.shape[0]
    if groups == channels > 1:
        multiplier = filters // channels
        kernel = kernel.reshape(*windows.size, channels, multiplier)
        layer: layers.Layer = layers.DepthwiseConv2D(depth_multiplier=multiplier, **options)
    else:
        layer = layers.Conv2D(filters, groups=groups, **options)
    return assembly.add(operator, layer, x, (kernel, *bias))


@of_images
def conv_transpose(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A transposed convolution; what its padding cuts off otherwise than ours is cropped."""
    kernel, *bias = operator.arrays
    given = operator.attributes
    channels = x.sizes[-1]
    if given["group"] != 1:
        raise operator.error(
            f"convkit has transposed convolutions of one group, received {given['group']}; use a "
            f"Resize and a convolution instead"
        )
    if kernel.ndim != 4 or kernel.shape[0] != channels:
        raise operator.error(
            f"the weights must be (C, OC, KH, KW) for {x.described()}, received {kernel.shape}"
        )
    check_vectors(operator, bias, kernel.shape[1])
    windows, more = windows_of(operator, kernel.shape[2:]), tuple(given["output_padding"])
    if len(more) != 2 or min(more) < 0:
        raise operator.error(f"output_padding must be two numbers, received {more}")
    begin, end = windows.pads[:2], [windows.pads[2 + axis] - more[axis] for axis in (0, 1)]
    padding, missing = _transposed_padding(windows, begin, end)
    layer = layers.Conv2DTranspose(
        kernel.shape[1],
        windows.size,
        windows.strides,
        padding,
        None if missing is None else missing,
        dilation_rate=windows.dilation,
        use_bias=bool(bias),
        name=assembly.name(operator),
    )
    y = assembly.add(operator, layer, x, (kernel.transpose(2, 3, 1, 0), *bias))
    if missing is None:
        return y
    cut = [(begin[axis], max(end[axis], 0)) for axis in (0, 1)]
    crop = layers.Cropping2D(cut)
    return y if not any(map(any, cut)) else assembly.add(replace(operator, arrays=()), crop, y)


def _transposed_padding(
    windows: Windows, begin: tuple[int, ...], end: list[int]
) -> tuple[str, tuple[int, int] | None]:
    """A layer's padding that cuts off as much; or "valid" and what is put behind, to be cropped."""
    extents = [(windows.size[i] - 1) * windows.dilation[i] + 1 for i in (0, 1)]
    for padding in ("valid", "same"):
        cuts = [
            windows_cut - stride if padding == "same" else -max(stride - windows_cut, 0)
            for windows_cut, stride in zip(extents, windows.strides, strict=True)
        ]
        if all(
            begin[axis] + end[axis] == cuts[axis] and begin[axis] == max(cuts[axis] // 2, 0)
            for axis in (0, 1)
        ):
            return padding, None
    return "valid", (max(-end[0], 0), max(-end[1], 0))


@of_images
def pool(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A pool, behind zeros of their own where its padding is none of ours."""
    windows = windows_of(operator, operator.attributes["kernel_shape"])
    if windows.dilation != (1, 1):
        raise operator.error(f"convkit's pools have no dilation, received {windows.dilation}")
    counted = any(windows.pads) and bool(operator.attributes.get("count_include_pad"))
    padding = windows.padding((x.sizes[0], x.sizes[1]))
    if padding is None or (counted and padding == "same"):
        # Zeros are what they are where they count in the mean, and in front of a maximum over
        # nothing below zero.
        harmless = counted or (operator.op == "MaxPool" and x.is_never_negative)
        if not harmless or windows.ceil_mode:
            raise operator.error(
                f"pads {windows.pads} (top, left, bottom, right) with strides {windows.strides} "
                f"are neither padding='valid' nor padding='same' on {x.described()}, nor can zeros "
                f"stand for them"
            )
        x = _zeros(assembly, operator, *_with_pads(x, windows.pads))
        padding = "valid"
    kind = layers.MaxPooling2D if operator.op == "MaxPool" else layers.AveragePooling2D
    layer = kind(windows.size, windows.strides, padding, name=assembly.name(operator))
    return assembly.add(operator, layer, x)


@of_images
def global_pool(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """The result is (N, C, 1, 1), unless a Flatten follows."""
    average = operator.op == "GlobalAveragePool"
    kind = layers.GlobalAveragePooling2D if average else layers.GlobalMaxPooling2D
    return assembly.add(operator, kind(keepdims=True, name=assembly.name(operator)), x)


def pad(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Zeros, which a convolution behind them may take over, and what is cut off."""
    if x.rank != 4:
        raise operator.error(
            f"it needs channels-first images (N, C, H, W), received {x.described()}"
        )
    x = assembly.as_first(x)
    top, left, bottom, right = pads = signed_pads(operator)
    named = assembly.name(operator)
    if min(pads) < 0:
        cut = [max(-number, 0) for number in (top, bottom, left, right)]
        x = assembly.add(operator, layers.Cropping2D((cut[:2], cut[2:]), name=named), x)
        named = None
        pads = (max(top, 0), max(left, 0), max(bottom, 0), max(right, 0))
    return _zeros(assembly, operator, *_with_pads(x, pads), named)


def take_pads(x: Value) -> tuple[Value, Pads]:
    """The value before a padding with zeros that only this reads, and the padding."""
    if not x.is_by(layers.ZeroPadding2D):
        return x, NO_PADS
    assert x.maker is not None
    layer = x.maker.layer
    assert isinstance(layer, layers.ZeroPadding2D)
    (top, bottom), (left, right) = layer.padding
    return x.maker.inputs[0], (top, left, bottom, right)


def _with_pads(x: Value, pads: Pads) -> tuple[Value, Pads]:
    before, given = take_pads(x)
    return before, add_pads(given, pads)


def _zeros(
    assembly: Assembly, operator: Operator, x: Value, pads: Pads, name: str | None = None
) -> Value:
    top, left, bottom, right = pads
    if not any(pads):
        return x
    layer = layers.ZeroPadding2D(((top, bottom), (left, right)), name=name)
    return assembly.add(replace(operator, arrays=()), layer, x)


@of_images
def resize(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Larger images, by whole factors."""
    mode, factors = operator.attributes["mode"], operator.attributes["factors"]
    interpolation = "nearest" if mode == "nearest" else "bilinear"
    layer = layers.UpSampling2D(factors, None, interpolation, name=assembly.name(operator))
    return assembly.add(operator, layer, x)


def group_norm(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """GroupNormalization, and InstanceNormalization, of every channel or of planes of a group."""
    scale, shift = operator.arrays
    epsilon, name = operator.attributes["epsilon"], assembly.name(operator)
    groups = operator.attributes.get("num_groups", -1)
    if x.rank < 3:
        raise operator.error(f"it needs images (N, C, ...), received {x.described()}")
    source = x.origin
    plain = bool(np.all(scale == 1)) and not shift.any()
    if groups == -1 and plain and source is not None and source.first and len(x.theirs) == 2:
        groups, count = x.theirs
        channels = source.sizes[-1]
        if channels % groups == 0 and groups * count == math.prod(source.sizes):
            layer = layers.GroupNormalization(
                groups, epsilon=epsilon, center=False, scale=False, name=name
            )
            y = assembly.add(replace(operator, arrays=()), layer, source)
            return reshaped(assembly, operator, y, x.theirs)
        groups = -1
    x = assembly.as_first(x)
    check_vectors(operator, (scale, shift), x.sizes[-1])
    layer = layers.GroupNormalization(groups, epsilon=epsilon, name=name)
    return assembly.add(operator, layer, x, (scale, shift))


def reshaped(assembly: Assembly, operator: Operator, x: Value, sizes: tuple[int, ...]) -> Value:
    """The operators' tensor under other sizes; itself where it had these once."""
    source = x if x.origin is None else x.origin
    if source.theirs == sizes:
        return replace(source, uses=max(source.uses, x.uses))
    base = source
    if base.first and not order_is_one(base.sizes):
        base = assembly.as_is(base)
    ours = (*sizes[1:], sizes[0])
    first = len(sizes) > 1 and order_is_one(ours)
    ours = ours if first else sizes
    layer = layers.Reshape(ours, name=assembly.name(operator))
    nameless = replace(operator, arrays=())
    return assembly.add(nameless, layer, base, first=first, plane=None, origin=source)
