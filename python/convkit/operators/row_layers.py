"""Operators on the channels, as layers: products, normalisations, factors and slopes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .. import layers
from ..core.parameters import Array
from .assembly import Assembly, Value
from .functions import WEIGHTED, scaled
from .operator import Operator


def check_vectors(operator: Operator, vectors: Sequence[Array], length: int) -> None:
    """ValueError unless all are of that length."""
    for vector in vectors:
        if vector.shape != (length,):
            raise operator.error(
                f"expected vectors of shape {(length,)}, received shape {vector.shape}"
            )


def gemm(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A dense layer, along the last axis of the operators' tensor."""
    kernel, *bias = operator.arrays
    x = assembly.as_is(x)
    rows = operator.op == "MatMul" or x.rank == 2
    if not rows or kernel.ndim != 2 or kernel.shape[0] != x.sizes[-1]:
        raise operator.error(
            f"weights of shape {kernel.shape} need inputs (N, {kernel.shape[0]}), received "
            f"{x.described()}"
        )
    check_vectors(operator, bias, kernel.shape[1])
    layer = layers.Dense(kernel.shape[1], use_bias=bool(bias), name=assembly.name(operator))
    return assembly.add(operator, layer, x, (x.reordered(kernel), *bias), plane=None)


def add(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """The bias of the layer before it, the shift of a normalisation, or a Rescaling's offset."""
    x, numbers = _channel_numbers(assembly, operator, x)
    last = x.maker.layer if x.maker is not None else None
    free = isinstance(last, WEIGHTED) and not last.use_bias and last.activation is None
    if free and x.is_by(*WEIGHTED):
        assert last is not None
        config = {**last.get_config(), "use_bias": True}
        bias = np.broadcast_to(numbers, x.sizes[-1:])
        return assembly.replace(x, operator, type(last), (bias,), **config)
    normalisation = _normalisation(x)
    if normalisation is not None and not normalisation.center:
        config = {**normalisation.get_config(), "center": True}
        beta = np.broadcast_to(numbers, x.sizes[-1:])
        return assembly.replace(x, operator, type(normalisation), (beta,), **config)
    if isinstance(last, layers.Rescaling) and x.is_by(layers.Rescaling) and last.offset == 0.0:
        config = {**last.get_config(), "offset": numbers.tolist()}
        return assembly.replace(x, replace(operator, arrays=()), layers.Rescaling, **config)
    return assembly.add(operator, layers.Rescaling(1.0, numbers.tolist()), x)


def mul(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A Rescaling, the factors of a normalisation, or the end of a function that is spelt out."""
    x, numbers = _channel_numbers(assembly, operator, x)
    normalisation = _normalisation(x)
    if normalisation is not None and not normalisation.scale and not normalisation.center:
        config = {**normalisation.get_config(), "scale": True}
        gamma = np.broadcast_to(numbers, x.sizes[-1:])
        return assembly.replace(x, operator, type(normalisation), (gamma,), **config)
    if numbers.ndim == 0:
        return scaled(assembly, operator, x, float(numbers))
    return assembly.add(operator, layers.Rescaling(numbers.tolist()), x)


def _normalisation(x: Value) -> layers.GroupNormalization | layers.LayerNormalization | None:
    """What makes a value, where that has a factor for each channel, and nobody else reads it."""
    layer = x.maker.layer if x.maker is not None and x.uses == 1 else None
    if type(layer) is layers.GroupNormalization:
        return layer
    if type(layer) is layers.LayerNormalization and layer.axis in (-1, len(x.sizes)):
        return layer
    return None


def _channel_numbers(assembly: Assembly, operator: Operator, x: Value) -> tuple[Value, Array]:
    """The constant of a Mul or an Add, () or (C,), and the value that has its channels last.

    Raises:
        ValueError: it is of another shape.
    """
    (numbers,) = operator.arrays
    rank = x.rank
    if numbers.size == 1 and numbers.ndim <= rank:
        return x, numbers.reshape(())
    shape = (1,) * (rank - numbers.ndim) + numbers.shape
    for view in (lambda value: value, assembly.as_is, assembly.as_first):
        value = view(x)
        channels = 1 if value.first else rank - 1
        expected = tuple(value.sizes[-1] if axis == channels else 1 for axis in range(rank))
        if shape == expected:
            return value, value.reordered(numbers.reshape(-1))
    channels = 1 if x.first or rank == 2 else rank - 1
    expected = tuple(x.sizes[-1] if axis == channels else 1 for axis in range(rank))
    raise operator.error(
        f"its constant must be a number or have one for each channel of {x.described()}, shape "
        f"{expected}; received shape {numbers.shape}"
    )


def batchnorm(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A batch normalisation, of axis 1."""
    x = assembly.as_first(x)
    check_vectors(operator, operator.arrays, x.sizes[-1])
    layer = layers.BatchNormalization(
        momentum=operator.attributes["momentum"],
        epsilon=operator.attributes["epsilon"],
        name=assembly.name(operator),
    )
    return assembly.add(operator, layer, x, [x.reordered(each) for each in operator.arrays])


def layernorm(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A layer normalisation, of the last axes or of whole samples."""
    axis, rank = operator.attributes["axis"], x.rank
    axis += rank if axis < 0 else 0
    if not 1 <= axis < rank:
        raise operator.error(
            f"axis must be one behind the batch, received {operator.attributes['axis']} of "
            f"{x.described()}"
        )
    whole = axis == 1 and x.first
    x = x if whole else assembly.as_is(x)
    sizes = x.theirs[axis - 1 :]
    weights = []
    for array in operator.arrays:
        if array.shape != sizes:
            raise operator.error(f"its factors must have shape {sizes}, received {array.shape}")
        weights.append(np.ascontiguousarray(np.moveaxis(array, 0, -1)) if whole else array)
    layer = layers.LayerNormalization(
        -1 if len(sizes) == 1 else tuple(range(-len(sizes), 0)),
        operator.attributes["epsilon"],
        center=len(weights) > 1,
        name=assembly.name(operator),
    )
    return assembly.add(operator, layer, x, weights)


def prelu(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """Slopes of one, or of each place along some axes of a sample, whose others share them."""
    (slopes,) = operator.arrays
    sizes, shape = x.sizes, slopes.shape
    if operator.attributes.get("of_channels"):
        shape = (*slopes.shape, *(1,) * (len(sizes) - 1))
    shape = (*(1,) * (len(sizes) - len(shape)), *shape)
    if shape[: -len(sizes)] == (1,):  # the batch's
        shape = shape[1:]
    if len(shape) != len(sizes) or any(
        size not in (1, whole) for size, whole in zip(shape, x.theirs, strict=True)
    ):
        raise operator.error(
            f"slopes of shape {slopes.shape} do not fit a sample of {x.described()}"
        )
    slopes = slopes.reshape(shape)
    slopes = np.moveaxis(slopes, 0, -1) if x.first else slopes
    shared = [axis for axis, size in enumerate(slopes.shape, 1) if size == 1]
    if len(sizes) == 1 and not shared:
        slopes = x.reordered(slopes)
    layer = layers.PReLU(shared_axes=shared or None, name=assembly.name(operator))
    return assembly.add(operator, layer, x, (np.ascontiguousarray(slopes),))
