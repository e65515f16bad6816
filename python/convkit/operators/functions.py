"""Activations as layers, by their own operators or spelt out in products and sums.

Files spell out what ONNX has no operator for, or had none when they were written: SiLU as
x * sigmoid(x), GELU with Erf, Mish with Softplus and Tanh, hard SiLU with Clip. What becomes a
layer of its own first is taken back where a product turns out to be such a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from .. import layers
from .assembly import Assembly, Value
from .operator import ACTIVATIONS, Operator

# Layers that can have an activation, and a bias.
WEIGHTED = (layers.Conv2D, layers.Conv2DTranspose, layers.DepthwiseConv2D, layers.Dense)
NAMES = {op: name for name, (op, _) in ACTIVATIONS.items() if op != "Clip"}


def activation(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """An activation of `ACTIVATIONS`, part of the layer before it where that has none."""
    name = NAMES[operator.op]
    if operator.op in ("Softmax", "LogSoftmax"):
        x = _along_channels(assembly, operator, x)
    elif operator.op == "Selu":
        alpha, gamma = (operator.attributes[each] for each in ("alpha", "gamma"))
        ours = ACTIVATIONS[name][1]
        if not (_is(alpha, ours["alpha"]) and _is(gamma, ours["gamma"])):
            _check_slope(operator, "alpha", alpha)
            y = assembly.add(operator, layers.ELU(alpha, name=assembly.name(operator)), x)
            return assembly.add(operator, layers.Rescaling(gamma), y)
    elif operator.op == "Swish" and not _is(operator.attributes["alpha"], 1.0):
        raise operator.error(
            f"convkit has it with alpha=1.0 alone, received {operator.attributes['alpha']!r}"
        )
    elif layer := _with_parameter(assembly, operator, ACTIVATIONS[name][1]):
        return assembly.add(operator, layer, x)
    return add_activation(assembly, operator, x, name)


def add_activation(assembly: Assembly, operator: Operator, x: Value, name: str) -> Value:
    """The activation of the layer before it if that has none, else a layer."""
    last = x.maker.layer if x.maker is not None else None
    if isinstance(last, WEIGHTED) and x.is_by(*WEIGHTED) and last.activation is None:
        config = {**last.get_config(), "activation": name}
        return assembly.replace(x, operator, type(last), **config)
    layer = layers.Activation(name, name=assembly.name(operator))
    return assembly.add(replace(operator, arrays=()), layer, x)


def _along_channels(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """The value whose last axis is the one that a softmax runs along."""
    axis = operator.attributes["axis"]
    axis += x.rank if axis < 0 else 0
    if axis == 1 and x.rank > 2:
        return assembly.as_first(x)
    if axis != x.rank - 1:
        raise operator.error(
            f"convkit's softmax runs along axis 1, the channels, or the last one of "
            f"{x.described()}, received axis {operator.attributes['axis']}"
        )
    return assembly.as_is(x)


def clip(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A ReLU with a bound; without a lower one behind a LeakyReLU, which then gets the upper."""
    low, high = operator.attributes["min"], operator.attributes["max"]
    last = x.maker.layer if x.maker is not None else None
    if low == -math.inf and isinstance(last, layers.LeakyReLU) and x.is_by(layers.LeakyReLU):
        slope = last.negative_slope
        return assembly.replace(
            x, operator, layers.ReLU, max_value=high, negative_slope=slope, name=last.name
        )
    if low != 0.0 or not high >= 0.0:
        raise operator.error(
            f"convkit cuts off at 0 from below, as ReLU does, and at 0 or more from above; "
            f"received min={low}, max={high}"
        )
    if high in (math.inf, 6.0):
        return add_activation(assembly, operator, x, "relu" if high == math.inf else "relu6")
    return assembly.add(operator, layers.ReLU(high, name=assembly.name(operator)), x)


def thresholded_relu(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """A ReLU with a threshold."""
    threshold = operator.attributes["alpha"]
    layer = layers.ReLU(threshold=threshold, name=assembly.name(operator))
    return assembly.add(operator, layer, x)


def _with_parameter(
    assembly: Assembly, operator: Operator, defaults: Mapping[str, Any]
) -> layers.Layer | None:
    """The layer of an activation whose parameter is not that of the name; None if it is."""
    for key, ours in defaults.items():
        value = operator.attributes[key]
        if value == ours or (isinstance(ours, float) and _is(value, ours)):
            continue
        if operator.op == "LeakyRelu":
            return layers.LeakyReLU(value, name=assembly.name(operator))
        if operator.op == "Elu":
            return layers.ELU(value, name=assembly.name(operator))
        raise operator.error(f"convkit has it with {key}={ours!r} alone, received {value!r}")
    return None


def _check_slope(operator: Operator, name: str, value: float) -> None:
    if not 0.0 <= value < math.inf:
        raise operator.error(f"{name} must be at least 0, received {value!r}")


def _is(value: float, wanted: float) -> bool:
    return math.isclose(value, wanted, rel_tol=1e-6)


# What is spelt out.


def erf(assembly: Assembly, operator: Operator, x: Value) -> Value:
    """The error function, which convkit has in GELU alone."""
    value = assembly.add(operator, layers.Identity(name=assembly.name(operator)), x)
    return assembly.refuse(
        value,
        operator.error("convkit has it as a part of GELU alone, 0.5 x (1 + erf(x / sqrt(2)))"),
    )


def scaled(assembly: Assembly, operator: Operator, x: Value, number: float) -> Value:
    """A multiple of a value, or the function that this is the last step of."""
    more, values = _factors(x)
    found = _function(assembly, operator, number * more, values)
    if found is not None:
        return found
    return assembly.add(replace(operator, arrays=()), layers.Rescaling(number), x)


def product(assembly: Assembly, operator: Operator, *x: Value) -> Value | None:
    """The function that a product of two values is; None if it is none."""
    if len(x) != 2:
        return None
    factors = [_factors(value) for value in x]
    values = [value for _, each in factors for value in each]
    return _function(assembly, operator, factors[0][0] * factors[1][0], values)


def _factors(x: Value, depth: int = 2) -> tuple[float, list[Value]]:
    """A number and values whose product a value is, as far as nobody else reads it."""
    if x.maker is None or depth == 0:
        return 1.0, [x]
    layer = x.maker.layer
    if isinstance(layer, layers.Multiply) and x.is_by(layers.Multiply):
        parts = [_factors(each, depth - 1) for each in x.maker.inputs]
        return math.prod(n for n, _ in parts), [value for _, each in parts for value in each]
    if not isinstance(layer, layers.Rescaling) or not x.is_by(layers.Rescaling):
        return 1.0, [x]
    if layer.offset == 0.0 and isinstance(layer.scale, float):
        number, values = _factors(x.maker.inputs[0], depth - 1)
        return layer.scale * number, values
    return 1.0, [x]


def _function(
    assembly: Assembly, operator: Operator, number: float, values: list[Value]
) -> Value | None:
    for scale, name, read in _SPELT_OUT:
        if not _is(number, scale) or len(values) > 2:
            continue
        for x, gate in [(None, values[0])] if len(values) == 1 else _pairs(values):
            source = read(gate)
            if source is None or (x is None) != (name == "hard_sigmoid"):
                continue
            if x is not None and not source.is_same(x):
                continue
            reads = 1 if x is None else 2
            alone = replace(source, uses=max(1, source.uses - reads + 1))
            return add_activation(assembly, replace(operator, arrays=()), alone, name)
    return None


def _pairs(values: list[Value]) -> list[tuple[Value | None, Value]]:
    return [(values[0], values[1]), (values[1], values[0])]


def _applied(name: str) -> Callable[[Value], Value | None]:
    """A reader of what a value is an activation of."""

    def read(value: Value) -> Value | None:
        if not value.is_by(layers.Activation):
            return None
        assert value.maker is not None
        layer = value.maker.layer
        matches = isinstance(layer, layers.Activation) and layer.activation == name
        return value.maker.inputs[0] if matches else None

    return read


def _moved(value: Value | None, scale: float, offset: float) -> Value | None:
    """What a value is the multiple of, with that scale and offset."""
    if value is None or not value.is_by(layers.Rescaling):
        return None
    assert value.maker is not None
    layer = value.maker.layer
    assert isinstance(layer, layers.Rescaling)
    numbers = layer.scale, layer.offset
    if not all(isinstance(number, float) for number in numbers):
        return None
    fits = _is(numbers[0], scale) and math.isclose(numbers[1], offset, rel_tol=1e-6)  # type: ignore[arg-type]
    return value.maker.inputs[0] if fits else None


def _of_mish(value: Value) -> Value | None:
    inner = _applied("tanh")(value)
    return None if inner is None else _applied("softplus")(inner)


def _of_hard(value: Value) -> Value | None:
    return _moved(_applied("relu6")(value), 1.0, 3.0)


def _of_gelu(value: Value) -> Value | None:
    inner = _moved(value, 1.0, 1.0)
    if inner is None or inner.maker is None or inner.uses != 1 or inner.maker.operator.op != "Erf":
        return None
    return _moved(inner.maker.inputs[0], math.sqrt(0.5), 0.0)


# The number that a product has besides, what the whole is, and how to read x from the other factor.
_SPELT_OUT: tuple[tuple[float, str, Callable[[Value], Value | None]], ...] = (
    (1.0, "silu", _applied("sigmoid")),
    (1.0, "hard_silu", _applied("hard_sigmoid")),
    (1.0, "mish", _of_mish),
    (0.5, "gelu", _of_gelu),
    (1 / 6, "hard_silu", _of_hard),
    (1 / 6, "hard_sigmoid", _of_hard),
)
