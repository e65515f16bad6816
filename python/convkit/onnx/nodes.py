"""Single nodes of an ONNX file as operators that `convkit.interop.assemble` understands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from ..core.parameters import Array
from ..operators.operator import Operator
from . import node_windows as windows
from .node import Node, Sizes, decimal

# What may read several tensors; all others read one, and constants.
SEVERAL = frozenset({"Add", "Concat", "Div", "Max", "Mean", "Min", "Mul", "Sub", "Sum"})


def operators_of(node: Node) -> list[Operator]:
    """What a node computes, as none, one or more operators; ValueError for what is unknown."""
    reader = _READERS.get(node.op)
    if reader is None:
        raise node.error(
            f"convkit cannot make a layer of this operator; it knows {', '.join(sorted(_READERS))}"
        )
    if len(node.inputs) > 1 and node.op not in SEVERAL:
        raise node.error(
            f"its inputs but the first must be constants, but {', '.join(node.inputs[1:])} are "
            f"computed; convkit has no such layer"
        )
    if not node.first and node.op not in SEVERAL:
        raise node.error(f'its first input must be a tensor, but it reads "{node.inputs[0]}" later')
    operators = reader(node)
    node.finish()
    return operators


def _gemm(node: Node) -> list[Operator]:
    kernel, *bias = node.weights(True, False)
    node.expect("transA", 0)
    alpha, beta = node.take("alpha", 1.0), node.take("beta", 1.0)
    kernel = kernel.T if node.take("transB", 0) else kernel
    if alpha != 1.0:
        kernel = kernel * np.float32(alpha)
    return [
        Operator("Gemm", (kernel, *(_bias(node, b, kernel, beta) for b in bias)), {}, node.name)
    ]


def _bias(node: Node, bias: Array, kernel: Array, beta: float) -> Array:
    """Gemm's third input times beta, as a vector; (M, 1) would be one number for each sample."""
    units = kernel.shape[1]
    if bias.size != 1 and (bias.size != units or bias.shape[-1] != units):
        raise node.error(f"the bias must have shape {(units,)}, received {bias.shape}")
    vector = np.broadcast_to(bias.reshape(-1), (units,))
    return vector if beta == 1.0 else vector * np.float32(beta)


def _matmul(node: Node) -> list[Operator]:
    rows = len(node.input_sizes or ()) == 2
    return [Operator("Gemm" if rows else "MatMul", node.weights(True), {}, node.name)]


def _add(node: Node) -> list[Operator]:
    if len(node.inputs) > 1:
        return _merge(node)
    (value,) = node.weights(True)
    if node.op == "Add":
        return [Operator("Add", (value,), {}, node.name)]
    if node.first:
        return [Operator("Add", (-value,), {}, node.name)]
    minus = Operator("Mul", (np.float32(-1.0).reshape(()),), {}, node.name)
    return [minus, Operator("Add", (value,), {}, node.name)]


def _merge(node: Node) -> list[Operator]:
    """Of tensors alone; of one, what it is itself."""
    constants = [each for each in node.constants if each is not None]
    if constants:
        raise node.error(
            f'convkit has it of tensors that are computed, but "{constants[0].name}" is a constant'
        )
    attributes = {"axis": node.take("axis", 1)} if node.op == "Concat" else {}
    if len(node.inputs) == 1:
        return []
    return [Operator(node.op, (), attributes, node.name, inputs=node.inputs)]


def _mul(node: Node) -> list[Operator]:
    if len(node.inputs) > 1:
        if node.op == "Div":
            raise node.error("convkit divides by constants alone")
        return _merge(node)
    if node.op == "Div" and not node.first:
        raise node.error("convkit divides by constants alone")
    (value,) = node.weights(True)
    if node.op == "Div":
        if not value.all():
            raise node.error("it divides by zero")
        value = 1 / value
    return [Operator("Mul", (value,), {}, node.name)]


def _batchnorm(node: Node) -> list[Operator]:
    node.expect("training_mode", 0)
    if node.opset < 14 and node.outputs > 1:
        raise node.error(
            "before version 14 more than one output means training mode; export the model in "
            "evaluation mode"
        )
    attributes = {
        "epsilon": decimal(node.take("epsilon", 1e-5)),
        "momentum": decimal(node.take("momentum", 0.9)),
    }
    return [Operator(node.op, node.weights(True, True, True, True), attributes, node.name)]


def _dropout(node: Node) -> list[Operator]:
    ratio, training = node.constant(0, "ratio"), node.constant(1)
    if training is not None and training.any():
        raise node.error("convkit needs training_mode=False; export the model in evaluation mode")
    node.take("seed", None)
    rate = 0.5 if ratio is None else decimal(float(ratio.reshape(-1)[0])) if ratio.size else 0.5
    return [Operator(node.op, (), {"ratio": rate}, node.name)]


def _reshape(node: Node) -> list[Operator]:
    """Flatten, Reshape or Squeeze, whichever way the new shape is said."""
    for name in ("axis", "allowzero", "axes"):
        node.take(name, None)
    sizes, result = node.input_sizes or (), node.output_sizes or ()
    values, new = _count(sizes[1:]), _count(result[1:])
    # So many samples, whatever the batch.
    fixed = result[:1] != sizes[:1] and all(isinstance(size, int) for size in result[:1])
    # With the batch as it was, what is left of two sizes is the number of values.
    same = not fixed and (new == values or (new is None and result[:1] == sizes[:1]))
    if len(result) == 2 and same:
        return [Operator("Flatten", (), {}, node.name)]
    if len(result) < 2 or fixed or values is None or new != values:
        raise node.error(f"convkit reshapes each sample by itself, received {sizes} to {result}")
    return [Operator("Reshape", (), {"sizes": result[1:]}, node.name)]


def _count(sizes: Sizes) -> int | None:
    """The number of values, None where a size is unknown."""
    numbers = [size for size in sizes if isinstance(size, int)]
    return math.prod(numbers) if len(numbers) == len(sizes) else None


def _transpose(node: Node) -> list[Operator]:
    rank = len(node.input_sizes or ())
    perm = tuple(node.take("perm", range(rank)[::-1]))
    return [Operator(node.op, (), {"perm": perm}, node.name)]


def _softmax(node: Node) -> list[Operator]:
    old = node.opset < 13
    axis, rank = node.take("axis", 1 if old else -1), len(node.input_sizes or ())
    if old and rank != 2:
        raise node.error(
            f"before version 13 it ran over several axes at once; convert the file with "
            f"onnx.version_converter, its operators are of version {node.opset}"
        )
    return [Operator(node.op, (), {"axis": axis}, node.name)]


def _layernorm(node: Node) -> list[Operator]:
    node.expect("stash_type", 1)
    attributes = {"axis": node.take("axis", -1), "epsilon": decimal(node.take("epsilon", 1e-5))}
    return [Operator(node.op, node.weights(True, False), attributes, node.name)]


_MOST_CHANNELS = 1 << 16  # for which a group's factors are repeated


def _groupnorm(node: Node) -> list[Operator]:
    """Before version 21 its factors are the groups', and not the channels'."""
    node.expect("stash_type", 1)
    scale, shift = node.weights(True, True)
    attributes = {"epsilon": decimal(node.take("epsilon", 1e-5))}
    if node.op == "GroupNormalization":
        groups = attributes["num_groups"] = node.take("num_groups", 1)
        channels = (node.input_sizes or (None, None))[1]
        if node.opset < 21 and isinstance(channels, int) and groups == scale.size == shift.size:
            if channels > _MOST_CHANNELS or groups < 1 or channels % groups:
                raise node.error(f"{channels} channels cannot be cut into {groups} groups")
            scale, shift = (np.repeat(each, channels // groups) for each in (scale, shift))
    return [Operator(node.op, (scale, shift), attributes, node.name)]


def _with(**defaults: Any) -> Callable[[Node], list[Operator]]:
    """A reader of an operator that has nothing but attributes."""

    def read(node: Node) -> list[Operator]:
        attributes = {name: node.take(name, default) for name, default in defaults.items()}
        attributes = {
            name: decimal(value) if isinstance(value, float) else value
            for name, value in attributes.items()
        }
        return [Operator(node.op, (), attributes, node.name)]

    return read


def _clip(node: Node) -> list[Operator]:
    """Bounds are attributes before version 11, with the largest numbers for none."""
    bounds, largest = {}, float(np.finfo(np.float32).max)
    for index, (name, none) in enumerate((("min", -math.inf), ("max", math.inf))):
        array = node.constant(index, name)
        if array is not None and array.size != 1:
            raise node.error(f"{name} must be one number, received shape {array.shape}")
        value = none if array is None else float(array.reshape(()))
        bounds[name] = none if value in (none, math.copysign(largest, none)) else decimal(value)
    return [Operator(node.op, (), bounds, node.name)]


def _cast(node: Node) -> list[Operator]:
    node.expect("to", onnx.TensorProto.FLOAT)  # which everything before it is
    node.take("saturate", 1)
    return []


_READERS: dict[str, Callable[[Node], list[Operator]]] = {
    "Add": _add,
    "AveragePool": windows.pool,
    "BatchNormalization": _batchnorm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _merge,
    "Conv": windows.conv,
    "ConvTranspose": windows.conv,
    "Div": _mul,
    "Dropout": _dropout,
    "Elu": _with(alpha=1.0),
    "Erf": _with(),
    "Exp": _with(),
    "Flatten": _reshape,
    "Gelu": _with(approximate="none"),
    "Gemm": _gemm,
    "GlobalAveragePool": _with(),
    "GlobalMaxPool": _with(),
    "GroupNormalization": _groupnorm,
    "HardSigmoid": _with(alpha=0.2, beta=0.5),
    "HardSwish": _with(),
    "Identity": lambda node: [],
    "InstanceNormalization": _groupnorm,
    "LayerNormalization": _layernorm,
    "LeakyRelu": _with(alpha=0.01),
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "Max": _merge,
    "MaxPool": windows.pool,
    "Mean": _merge,
    "Min": _merge,
    "Mish": _with(),
    "Mul": _mul,
    "PRelu": lambda node: [Operator(node.op, node.weights(True), {}, node.name)],
    "Pad": windows.pad,
    "ReduceMax": windows.reduce,
    "ReduceMean": windows.reduce,
    "Relu": _with(),
    "Reshape": _reshape,
    "Resize": windows.resize,
    "Selu": _with(alpha=1.6732632, gamma=1.050701),
    "Sigmoid": _with(),
    "Slice": windows.cut,
    "Softmax": _softmax,
    "Softplus": _with(),
    "Softsign": _with(),
    "Split": windows.split,
    "Squeeze": _reshape,
    "Sub": _add,
    "Sum": _merge,
    "Swish": _with(alpha=1.0),
    "Tanh": _with(),
    "ThresholdedRelu": _with(alpha=1.0),
    "Transpose": _transpose,
    "Unsqueeze": _reshape,
    "Upsample": windows.resize,
}
OPERATORS = frozenset(_READERS)
