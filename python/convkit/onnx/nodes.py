"""Single nodes of an ONNX file as operators that `convkit.interop.assemble` understands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from ..core.parameters import Array
from ..interop.operators import Operator, Pads
from ..ops._window import resolve
from .constants import constant_array

Sizes = tuple[int | str | None, ...]


class Node:
    """A node that reads one tensor and constants.

    Args:
        proto: ONNX's own object.
        opset: the version of the operators.
        input_sizes: of the tensor, as far as ONNX could tell; None for an unknown rank.
        output_sizes: likewise of the result.

    Attributes:
        constants: the other inputs in order, None where there is none.
        outputs: how many it has.
    """

    def __init__(
        self,
        proto: onnx.NodeProto,
        opset: int,
        input_sizes: Sizes | None,
        output_sizes: Sizes | None,
    ) -> None:
        self.op, self.name, self.opset = proto.op_type, proto.name, opset
        self.input_sizes, self.output_sizes = input_sizes, output_sizes
        self.constants: list[onnx.TensorProto | None] = []
        self.outputs = sum(map(bool, proto.output))
        self._attributes: dict[str, Any] = {}
        for each in proto.attribute:
            if each.name in self._attributes:
                raise self.error(f"it has the attribute {each.name} twice")
            self._attributes[each.name] = onnx.helper.get_attribute_value(each)

    def error(self, message: str) -> ValueError:
        """A ValueError that names this node."""
        return Operator(self.op, name=self.name).error(message)

    def take(self, name: str, default: Any) -> Any:
        """An attribute, which is understood thereby; bytes as a string."""
        value = self._attributes.pop(name, default)
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def expect(self, name: str, *allowed: Any) -> None:
        """ValueError unless an attribute is absent or has one of these values."""
        value = self.take(name, allowed[0])
        if value not in allowed:
            raise self.error(f"convkit needs {name}={allowed[0]!r}, received {value!r}")

    def constant(self, index: int, attribute: str | None = None) -> Array | None:
        """The constant input of that index, not counting the tensor.

        Where older versions of the operator have an attribute instead, that.
        """
        if attribute is not None and attribute in self._attributes:
            return np.asarray(self._attributes.pop(attribute))
        tensor = self.constants[index] if index < len(self.constants) else None
        return None if tensor is None else constant_array(tensor)

    def weights(self, *required: bool) -> tuple[Array, ...]:
        """The float32 constants; each argument says whether there must be one."""
        arrays = []
        for index, needed in enumerate(required):
            array = self.constant(index)
            if array is None and needed:
                raise self.error(f"input {index + 1} is missing; it must be a constant")
            if array is not None:
                if array.dtype != np.float32:
                    raise self.error(f"input {index + 1} must be float32, received {array.dtype}")
                arrays.append(array)
        return tuple(arrays)

    def finish(self) -> None:
        """ValueError if an attribute was not understood."""
        if self._attributes:
            raise self.error(
                f"convkit does not know its attributes {', '.join(sorted(self._attributes))}"
            )


def operators_of(node: Node) -> list[Operator]:
    """What a node computes, as none, one or more operators; ValueError for what is unknown."""
    reader = _READERS.get(node.op)
    if reader is None:
        raise node.error(
            f"convkit cannot make a layer of this operator; it knows {', '.join(sorted(_READERS))}"
        )
    operators = reader(node)
    node.finish()
    return operators


def _conv(node: Node) -> list[Operator]:
    arrays = node.weights(True, False)
    size = tuple(arrays[0].shape[2:])
    node.expect("kernel_shape", list(size))
    return [Operator("Conv", arrays, _windows(node, size), node.name)]


def _pool(node: Node) -> list[Operator]:
    attributes = _windows(node, tuple(node.take("kernel_shape", ())))
    attributes["ceil_mode"] = node.take("ceil_mode", 0)
    attributes["count_include_pad"] = node.take("count_include_pad", 0)
    node.take("storage_order", 0)  # of a second output, which nobody reads
    return [Operator(node.op, (), attributes, node.name)]


def _windows(node: Node, size: tuple[int, ...]) -> dict[str, Any]:
    """The attributes that convolutions and pools share, with the pads in numbers."""
    if len(size) != 2:
        raise node.error(f"convkit has windows of two dimensions, received {len(size)}: {size}")
    strides = tuple(node.take("strides", (1, 1)))
    dilations = tuple(node.take("dilations", (1, 1)))
    attributes = {"kernel_shape": size, "strides": strides, "dilations": dilations}
    if node.op == "Conv":
        attributes["group"] = node.take("group", 1)
    pads, automatic = tuple(node.take("pads", (0, 0, 0, 0))), node.take("auto_pad", "NOTSET")
    if automatic in ("SAME_UPPER", "SAME_LOWER"):
        pads = _same_pads(node, size, strides, dilations, automatic == "SAME_LOWER")
    elif automatic == "VALID":
        pads = (0, 0, 0, 0)
    elif automatic != "NOTSET":
        raise node.error(f"unknown auto_pad {automatic!r}")
    return {**attributes, "pads": pads}


def _same_pads(
    node: Node,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    lower: bool,
) -> Pads:
    plane = (node.input_sizes or ())[2:]
    height, width = plane if len(plane) == 2 else (None, None)
    if not isinstance(height, int) or not isinstance(width, int):
        raise node.error(f"auto_pad needs the sizes of the images, received {node.input_sizes}")
    window = resolve((height, width), (size[0], size[1]), strides, "same", dilations)
    top, bottom, left, right = window.pads  # the larger half comes last
    return (bottom, right, top, left) if lower else (top, left, bottom, right)


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
    return [Operator("Gemm", node.weights(True), {}, node.name)]


def _add(node: Node) -> list[Operator]:
    (value,) = node.weights(True)
    return [Operator("Add", (-value if node.op == "Sub" else value,), {}, node.name)]


def _mul(node: Node) -> list[Operator]:
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
        "epsilon": _decimal(node.take("epsilon", 1e-5)),
        "momentum": _decimal(node.take("momentum", 0.9)),
    }
    return [Operator(node.op, node.weights(True, True, True, True), attributes, node.name)]


def _decimal(number: float) -> float:
    """The shortest decimal number that is this float32: 0.1 for 0.10000000149."""
    return float(str(np.float32(number)))


def _dropout(node: Node) -> list[Operator]:
    ratio, training = node.constant(0, "ratio"), node.constant(1)
    if training is not None and training.any():
        raise node.error("convkit needs training_mode=False; export the model in evaluation mode")
    node.take("seed", None)
    rate = 0.5 if ratio is None else _decimal(float(ratio.reshape(-1)[0])) if ratio.size else 0.5
    return [Operator(node.op, (), {"ratio": rate}, node.name)]


def _reshape(node: Node) -> list[Operator]:
    """Flatten, Reshape or Squeeze, whichever way the new shape is said."""
    for name in ("axis", "allowzero", "axes"):
        node.take(name, None)
    sizes, result = node.input_sizes or (), node.output_sizes or ()
    values, new = _count(sizes[1:]), _count(result[1:])
    # With the batch as it was, what is left of two sizes is the number of values.
    if len(result) == 2 and (new == values or (new is None and result[0] == sizes[0])):
        return [Operator("Flatten", (), {}, node.name)]
    if len(result) < 2 or values is None or new != values:
        raise node.error(f"convkit reshapes each sample by itself, received {sizes} to {result}")
    return [Operator("Reshape", (), {"sizes": result[1:]}, node.name)]


def _count(sizes: Sizes) -> int | None:
    """The number of values, None where a size is unknown."""
    numbers = [size for size in sizes if isinstance(size, int)]
    return math.prod(numbers) if len(numbers) == len(sizes) else None


def _reduce_mean(node: Node) -> list[Operator]:
    axes = node.constant(0, "axes")
    node.take("noop_with_empty_axes", 0)
    keepdims = node.take("keepdims", 1)
    rank = len(node.input_sizes or ())
    if rank != 4 or axes is None or sorted(int(axis) % rank for axis in axes.reshape(-1)) != [2, 3]:
        raise node.error(
            f"convkit has means over the rows and columns of (N, C, H, W) alone, received axes "
            f"{None if axes is None else axes.tolist()} of {node.input_sizes}"
        )
    pool = Operator("GlobalAveragePool", (), {}, node.name)
    return [pool] if keepdims else [pool, Operator("Flatten", (), {}, node.name)]


def _transpose(node: Node) -> list[Operator]:
    rank = len(node.input_sizes or ())
    perm = tuple(node.take("perm", range(rank)[::-1]))
    return [Operator(node.op, (), {"perm": perm}, node.name)]


def _pad(node: Node) -> list[Operator]:
    node.expect("mode", "constant")
    pads, value = node.constant(0, "pads"), node.constant(1, "value")
    numbers = [] if pads is None else [int(each) for each in pads.reshape(-1)]
    if len(numbers) != 8 or any(numbers[:2] + numbers[4:6]) or node.constant(2) is not None:
        raise node.error(f"convkit pads the rows and columns of (N, C, H, W) alone: {numbers}")
    if value is not None and value.any():
        raise node.error(f"convkit pads with zeros alone, received {value.tolist()}")
    return [Operator(node.op, (), {"pads": (*numbers[2:4], *numbers[6:8])}, node.name)]


def _softmax(node: Node) -> list[Operator]:
    old = node.opset < 13
    axis, rank = node.take("axis", 1 if old else -1), len(node.input_sizes or ())
    if old and rank != 2:
        raise node.error(
            f"before version 13 it ran over several axes at once; convert the file with "
            f"onnx.version_converter, its operators are of version {node.opset}"
        )
    return [Operator(node.op, (), {"axis": axis}, node.name)]


def _with(**defaults: Any) -> Callable[[Node], list[Operator]]:
    """A reader of an operator that has nothing but attributes."""

    def read(node: Node) -> list[Operator]:
        attributes = {name: node.take(name, default) for name, default in defaults.items()}
        attributes = {
            name: _decimal(value) if isinstance(value, float) else value
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
        bounds[name] = none if value in (none, math.copysign(largest, none)) else _decimal(value)
    return [Operator(node.op, (), bounds, node.name)]


def _cast(node: Node) -> list[Operator]:
    node.expect("to", onnx.TensorProto.FLOAT)  # which everything before it is
    node.take("saturate", 1)
    return []


_READERS: dict[str, Callable[[Node], list[Operator]]] = {
    "Add": _add,
    "AveragePool": _pool,
    "BatchNormalization": _batchnorm,
    "Cast": _cast,
    "Clip": _clip,
    "Conv": _conv,
    "Div": _mul,
    "Dropout": _dropout,
    "Elu": _with(alpha=1.0),
    "Exp": _with(),
    "Flatten": _reshape,
    "Gelu": _with(approximate="none"),
    "Gemm": _gemm,
    "GlobalAveragePool": _with(),
    "GlobalMaxPool": _with(),
    "HardSigmoid": _with(alpha=0.2, beta=0.5),
    "HardSwish": _with(),
    "Identity": lambda node: [],
    "LeakyRelu": _with(alpha=0.01),
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
    "MaxPool": _pool,
    "Mish": _with(),
    "Mul": _mul,
    "PRelu": lambda node: [Operator(node.op, node.weights(True), {}, node.name)],
    "Pad": _pad,
    "ReduceMean": _reduce_mean,
    "Relu": _with(),
    "Reshape": _reshape,
    "Selu": _with(alpha=1.6732632, gamma=1.050701),
    "Sigmoid": _with(),
    "Softmax": _softmax,
    "Softplus": _with(),
    "Softsign": _with(),
    "Squeeze": _reshape,
    "Sub": _add,
    "Swish": _with(alpha=1.0),
    "Tanh": _with(),
    "ThresholdedRelu": _with(alpha=1.0),
    "Transpose": _transpose,
}
