"""A convkit model, made of operators on channels-first images."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import numpy as np

from .. import layers
from ..core.parameters import Array
from ..models import Sequential
from .assembly import Assembly
from .operators import (
    ACTIVATIONS,
    Operator,
    order_is_one,
    to_channels_first,
    to_channels_last,
)
from .windows import NO_PADS, Windows, add_pads, signed_pads, windows_of


def assemble(
    operators: Iterable[Operator], sizes: Sequence[int], *, channels_last: bool = False
) -> tuple[Sequential, bool]:
    """A model that computes what the operators compute, and can be trained further.

    It takes and gives channels-last images, whatever the layout of the operators' own. Whether
    what the operators give is channels-first comes with it.

    Args:
        operators: in order, each fed by the one before it.
        sizes: of one sample, as the operators see it.
        channels_last: whether that is (..., C) rather than (C, ...).

    Raises:
        ValueError: an operator, or a setting of one, has no counterpart in convkit, or arrays do
            not fit. Everything is checked before memory is taken, and none is taken but for
            layers that need the arrays that are there.
    """
    assembly = Assembly(sizes, channels_last)
    operators = [*operators]
    for operator, assembly.next in zip_longest(operators, operators[1:]):
        build = _BUILDERS.get(operator.op)
        if build is None:
            raise operator.error(
                "a convkit Sequential has no counterpart for this operator; it has some for "
                f"{', '.join(sorted(_BUILDERS))}"
            )
        if operator.op not in ("Conv", "Pad"):
            assembly.write_pads(operator)
        _build(build, assembly, operator)
    if any(assembly.pads):
        assembly.write_pads(operators[-1])
    return assembly.finish(), assembly.first and len(assembly.sizes) > 1


def _build(
    build: Callable[[Assembly, Operator], None], assembly: Assembly, operator: Operator
) -> None:
    """Let a builder work; what a layer has against its arguments is the operator's error."""
    try:
        build(assembly, operator)
    except ValueError as error:
        if str(error).startswith('layer "'):
            raise operator.error(str(error)) from None
        raise


def _conv(assembly: Assembly, operator: Operator) -> None:
    height, width, channels = assembly.expect_images(operator)
    kernel, *bias = operator.arrays
    groups = operator.attributes["group"]
    if kernel.ndim != 4:
        raise operator.error(f"the weights must be (OC, C, KH, KW), received shape {kernel.shape}")
    if kernel.shape[1] * groups != channels:
        raise operator.error(
            f"weights of shape {kernel.shape} in {groups} groups are for "
            f"{kernel.shape[1] * groups} channels, received {assembly.described()}"
        )
    if kernel.shape[0] % groups:
        raise operator.error(f"{kernel.shape[0]} filters cannot be cut into {groups} groups")
    _check_vectors(operator, bias, kernel.shape[0])
    windows = windows_of(operator, kernel.shape[2:])
    windows = windows._replace(pads=add_pads(windows.pads, assembly.pads))
    padding = windows.padding((height, width))
    assembly.pads = windows.pads if padding is None else NO_PADS
    assembly.write_pads(operator)
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
    assembly.add(operator, layer, (kernel, *bias))


def _gemm(assembly: Assembly, operator: Operator) -> None:
    kernel, *bias = operator.arrays
    if len(assembly.sizes) != 1 or kernel.ndim != 2 or kernel.shape[0] != assembly.sizes[0]:
        raise operator.error(
            f"weights of shape {kernel.shape} need inputs (N, {kernel.shape[0]}), received "
            f"{assembly.described()}"
        )
    _check_vectors(operator, bias, kernel.shape[1])
    layer = layers.Dense(kernel.shape[1], use_bias=bool(bias), name=assembly.name(operator))
    assembly.add(operator, layer, (assembly.reordered(kernel), *bias))
    assembly.plane = None


def _add(assembly: Assembly, operator: Operator) -> None:
    """The bias of the layer before it, or the offset of a Rescaling."""
    numbers = _channel_numbers(assembly, operator)
    last = assembly.layers[-1] if assembly.layers else None
    if isinstance(last, _WEIGHTED) and not last.use_bias and last.activation is None:
        config = {**last.get_config(), "use_bias": True}
        bias = np.broadcast_to(numbers, assembly.sizes[-1:])
        assembly.replace_last(operator, type(last), (bias,), **config)
    elif isinstance(last, layers.Rescaling) and last.offset == 0.0:
        config = {**last.get_config(), "offset": numbers.tolist()}
        assembly.replace_last(operator, layers.Rescaling, **config)
    else:
        assembly.add(operator, layers.Rescaling(1.0, numbers.tolist()))


def _mul(assembly: Assembly, operator: Operator) -> None:
    assembly.add(operator, layers.Rescaling(_channel_numbers(assembly, operator).tolist()))


def _channel_numbers(assembly: Assembly, operator: Operator) -> Array:
    """The constant of a Mul or an Add, () or (C,); ValueError if it is of another shape."""
    (numbers,) = operator.arrays
    rank = len(assembly.sizes) + 1
    if numbers.size == 1 and numbers.ndim <= rank:
        return numbers.reshape(())
    channels = 1 if assembly.first else rank - 1
    expected = tuple(assembly.sizes[-1] if axis == channels else 1 for axis in range(rank))
    if (1,) * (rank - numbers.ndim) + numbers.shape != expected:
        raise operator.error(
            f"its constant must be a number or have one for each channel of "
            f"{assembly.described()}, shape {expected}; received shape {numbers.shape}"
        )
    return assembly.reordered(numbers.reshape(-1))


def _batchnorm(assembly: Assembly, operator: Operator) -> None:
    if len(assembly.sizes) > 1 and not assembly.first:
        raise operator.error(f"the channels must come first, received {assembly.described()}")
    _check_vectors(operator, operator.arrays, assembly.sizes[-1])
    layer = layers.BatchNormalization(
        momentum=operator.attributes["momentum"],
        epsilon=operator.attributes["epsilon"],
        name=assembly.name(operator),
    )
    assembly.add(operator, layer, [assembly.reordered(each) for each in operator.arrays])


def _check_vectors(operator: Operator, vectors: Sequence[Array], length: int) -> None:
    for vector in vectors:
        if vector.shape != (length,):
            raise operator.error(
                f"expected vectors of shape {(length,)}, received shape {vector.shape}"
            )


def _pool(assembly: Assembly, operator: Operator) -> None:
    height, width, _ = assembly.expect_images(operator)
    windows = windows_of(operator, operator.attributes["kernel_shape"])
    if windows.dilation != (1, 1):
        raise operator.error(f"convkit's pools have no dilation, received {windows.dilation}")
    counted = any(windows.pads) and bool(operator.attributes.get("count_include_pad"))
    padding = windows.padding((height, width))
    if padding is None or (counted and padding == "same"):
        _write_zeros(assembly, operator, windows, counted)
        padding = "valid"
    kind = layers.MaxPooling2D if operator.op == "MaxPool" else layers.AveragePooling2D
    layer = kind(windows.size, windows.strides, padding, name=assembly.name(operator))
    assembly.add(operator, layer)


def _write_zeros(assembly: Assembly, operator: Operator, windows: Windows, counted: bool) -> None:
    """Pad with zeros before a pool; ValueError where they are not what its padding means.

    They are where they count in the mean, and in front of a maximum over nothing below zero.
    """
    harmless = counted or (operator.op == "MaxPool" and assembly.is_never_negative())
    if not harmless or windows.ceil_mode:
        raise operator.error(
            f"pads {windows.pads} (top, left, bottom, right) with strides {windows.strides} are "
            f"neither padding='valid' nor padding='same' on {assembly.described()}, nor can zeros "
            f"stand for them"
        )
    assembly.pads = windows.pads
    assembly.write_pads(operator)


def _global_pool(assembly: Assembly, operator: Operator) -> None:
    """The result is (N, C, 1, 1): a pool over the whole plane, unless a Flatten follows."""
    height, width, _ = assembly.expect_images(operator)
    average = operator.op == "GlobalAveragePool"
    kind = layers.AveragePooling2D if average else layers.MaxPooling2D
    assembly.add(operator, kind((height, width), name=assembly.name(operator)))
    assembly.whole_plane = operator


def _flatten(assembly: Assembly, operator: Operator) -> None:
    pool = assembly.whole_plane
    if pool is not None:
        average = pool.op == "GlobalAveragePool"
        kind = layers.GlobalAveragePooling2D if average else layers.GlobalMaxPooling2D
        assembly.replace_last(operator, kind, name=assembly.name(pool))
    elif len(assembly.sizes) > 1:
        if assembly.first:
            assembly.plane = assembly.sizes
        assembly.add(operator, layers.Flatten(name=assembly.name(operator)))


def _activation(assembly: Assembly, operator: Operator) -> None:
    name = _ACTIVATION_NAMES[operator.op]
    if operator.op in ("Softmax", "LogSoftmax"):
        _check_softmax(assembly, operator)
    elif layer := _with_parameter(assembly, operator, ACTIVATIONS[name][1]):
        assembly.add(operator, layer)
        return
    _add_activation(assembly, operator, name)


def _add_activation(assembly: Assembly, operator: Operator, name: str) -> None:
    """The activation of the layer before it if that has none, else a layer."""
    last = assembly.layers[-1] if assembly.layers else None
    if isinstance(last, _WEIGHTED) and last.activation is None:
        config = {**last.get_config(), "activation": name}
        assembly.replace_last(operator, type(last), **config)
    else:
        assembly.add(operator, layers.Activation(name, name=assembly.name(operator)))


def _clip(assembly: Assembly, operator: Operator) -> None:
    """A ReLU with a bound; without a lower one behind a LeakyReLU, which then gets the upper."""
    low, high = operator.attributes["min"], operator.attributes["max"]
    last = assembly.layers[-1] if assembly.layers else None
    if low == -math.inf and isinstance(last, layers.LeakyReLU):
        slope = last.negative_slope
        assembly.replace_last(
            operator, layers.ReLU, max_value=high, negative_slope=slope, name=last.name
        )
    elif low != 0.0 or not high >= 0.0:
        raise operator.error(
            f"convkit cuts off at 0 from below, as ReLU does, and at 0 or more from above; "
            f"received min={low}, max={high}"
        )
    elif high == math.inf or high == 6.0:
        _add_activation(assembly, operator, "relu" if high == math.inf else "relu6")
    else:
        assembly.add(operator, layers.ReLU(high, name=assembly.name(operator)))


def _thresholded_relu(assembly: Assembly, operator: Operator) -> None:
    threshold = operator.attributes["alpha"]
    layer = layers.ReLU(threshold=threshold, name=assembly.name(operator))
    assembly.add(operator, layer)


def _with_parameter(
    assembly: Assembly, operator: Operator, defaults: Mapping[str, Any]
) -> layers.Layer | None:
    """The layer of an activation whose parameter is not that of the name; None if it is."""
    for key, ours in defaults.items():
        value = operator.attributes[key]
        if value == ours or (isinstance(ours, float) and math.isclose(value, ours, rel_tol=1e-7)):
            continue
        if operator.op == "LeakyRelu":
            return layers.LeakyReLU(value, name=assembly.name(operator))
        if operator.op == "Elu":
            return layers.ELU(value, name=assembly.name(operator))
        raise operator.error(f"convkit has it with {key}={ours!r} alone, received {value!r}")
    return None


def _prelu(assembly: Assembly, operator: Operator) -> None:
    """Slopes of one, or of each place along some axes of a sample, whose others share them."""
    (slopes,) = operator.arrays
    sizes = assembly.sizes
    theirs = (sizes[-1], *sizes[:-1]) if assembly.first else sizes
    shape = slopes.shape
    if operator.attributes.get("of_channels"):
        shape = (*slopes.shape, *(1,) * (len(sizes) - 1))
    shape = (*(1,) * (len(sizes) - len(shape)), *shape)
    if shape[: -len(sizes)] == (1,):  # the batch's
        shape = shape[1:]
    if len(shape) != len(sizes) or any(
        size not in (1, whole) for size, whole in zip(shape, theirs, strict=True)
    ):
        raise operator.error(
            f"slopes of shape {slopes.shape} do not fit a sample of {assembly.described()}"
        )
    slopes = slopes.reshape(shape)
    slopes = np.moveaxis(slopes, 0, -1) if assembly.first else slopes
    shared = [axis for axis, size in enumerate(slopes.shape, 1) if size == 1]
    if len(sizes) == 1 and not shared:
        slopes = assembly.reordered(slopes)
    layer = layers.PReLU(shared_axes=shared or None, name=assembly.name(operator))
    assembly.add(operator, layer, (np.ascontiguousarray(slopes),))


def _check_softmax(assembly: Assembly, operator: Operator) -> None:
    rank, axis = len(assembly.sizes) + 1, operator.attributes["axis"]
    channels = 1 if assembly.first else rank - 1
    if axis not in (channels, channels - rank):
        raise operator.error(
            f"convkit's softmax runs along the channels, axis {channels} of "
            f"{assembly.described()}, received axis {axis}"
        )


def _reshape(assembly: Assembly, operator: Operator) -> None:
    """Its result counts as channels-first, unless a Transpose that makes it so comes next."""
    if assembly.first and not order_is_one(assembly.sizes):
        raise operator.error(
            f"convkit would reshape the values of {assembly.described()} in another order"
        )
    if assembly.plane is not None and not order_is_one(assembly.plane):
        raise operator.error("convkit would reshape the flattened images in another order")
    sizes = tuple(operator.attributes["sizes"])
    perm = assembly.next.attributes.get("perm") if assembly.next is not None else None
    first = len(sizes) > 1 and perm != to_channels_first(len(sizes) + 1)
    ours = (*sizes[1:], sizes[0]) if first else sizes
    if first and not order_is_one(ours):
        raise operator.error(
            f"convkit would fill channels-first images of {sizes} in another order"
        )
    assembly.add(operator, layers.Reshape(ours, name=assembly.name(operator)))
    assembly.first, assembly.plane = first, None


def _dropout(assembly: Assembly, operator: Operator) -> None:
    layer = layers.Dropout(operator.attributes["ratio"], name=assembly.name(operator))
    assembly.add(operator, layer)


def _spatial_dropout2d(assembly: Assembly, operator: Operator) -> None:
    assembly.expect_images(operator)
    ratio = operator.attributes["ratio"]
    assembly.add(operator, layers.SpatialDropout2D(ratio, name=assembly.name(operator)))


def _transpose(assembly: Assembly, operator: Operator) -> None:
    """convkit's images stay as they are; the operators' are another view of them."""
    perm, rank = tuple(operator.attributes["perm"]), len(assembly.sizes) + 1
    turned = to_channels_last(rank) if assembly.first else to_channels_first(rank)
    if rank > 2 and perm == turned:
        assembly.first = not assembly.first
    elif perm != tuple(range(rank)):
        raise operator.error(
            f"only transpositions between channels-first and channels-last images have a "
            f"counterpart, received perm {perm} of {assembly.described()}"
        )


def _pad(assembly: Assembly, operator: Operator) -> None:
    """Zeros wait for a convolution that can add them; what is cut off is a layer."""
    assembly.expect_images(operator)
    top, left, bottom, right = pads = signed_pads(operator)
    if min(pads) < 0:
        assembly.write_pads(operator)
        cut = [max(-number, 0) for number in (top, bottom, left, right)]
        layer = layers.Cropping2D((cut[:2], cut[2:]), name=assembly.name(operator))
        assembly.add(operator, layer)
        pads = (max(top, 0), max(left, 0), max(bottom, 0), max(right, 0))
    assembly.pads = add_pads(assembly.pads, pads)


# Layers that can have an activation, and a bias.
_WEIGHTED = (layers.Conv2D, layers.DepthwiseConv2D, layers.Dense)
_ACTIVATION_NAMES = {op: name for name, (op, _) in ACTIVATIONS.items() if op != "Clip"}
# The table: an operator with a counterpart among the layers has one function, and its way back in
# `decompose`.
_BUILDERS: dict[str, Callable[[Assembly, Operator], None]] = {
    **dict.fromkeys(_ACTIVATION_NAMES, _activation),
    "Add": _add,
    "AveragePool": _pool,
    "BatchNormalization": _batchnorm,
    "Clip": _clip,
    "Conv": _conv,
    "Dropout": _dropout,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool,
    "MaxPool": _pool,
    "Mul": _mul,
    "PRelu": _prelu,
    "Pad": _pad,
    "Reshape": _reshape,
    "SpatialDropout2D": _spatial_dropout2d,
    "ThresholdedRelu": _thresholded_relu,
    "Transpose": _transpose,
}
