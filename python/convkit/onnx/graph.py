"""The nodes of an ONNX file as operators, each with the names of the tensors that it reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx

from ..core.parameters import Array
from ..operators.assemble import Source
from ..operators.operator import ACTIVATIONS, Operator, to_channels_first
from .constants import check_constant, constant_array, folded
from .node import Node
from .nodes import operators_of

DOMAINS = ("", "ai.onnx")
# What a Constant may hold instead of a tensor.
_SCALARS = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
# What computes a shape beside the tensors, and what may read one that is no constant: ONNX's own
# inference says what comes out.
_ON_SHAPES = frozenset({"Shape", "Size"})
_READING_SHAPES = frozenset({"Reshape", "Resize"})


class FileGraph:
    """A checked graph, whose nodes stand behind those that they depend on.

    Attributes:
        outputs: the names of its outputs.
    """

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self._nodes, self._opset = list(graph.node), opset
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._arrays: dict[int, Array] = {}
        for tensor in graph.initializer:
            self._name_constant(tensor.name, tensor)
        for node in graph.node:
            if node.domain in DOMAINS:
                self._add_constant(node)
        self._inputs = [each for each in graph.input if each.name not in self._tensors]
        self.outputs = [each.name for each in graph.output]
        if not self._inputs or not self.outputs:
            raise ValueError("a model has inputs and outputs, and the file has none")
        self._sizes = {
            value.name: _sizes(value) for value in (*graph.input, *graph.value_info, *graph.output)
        }

    @property
    def batch(self) -> int | None:
        """The number of images that the file is for, None for any."""
        found = [(self._sizes[each.name] or (None,))[0] for each in self._inputs]
        counts = [size for size in found if isinstance(size, int) and size > 0]
        return counts[0] if counts else None

    def inputs(self) -> list[Source]:
        """The inputs, without a layout; ValueError unless their sizes are given in numbers."""
        return [Source(each.name, self._sample_sizes(each)) for each in self._inputs]

    def _sample_sizes(self, value: onnx.ValueInfoProto) -> tuple[int, ...]:
        tensor, sizes = value.type.tensor_type, self._sizes[value.name]
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
            raise ValueError(f'the input "{value.name}" must be float32, but is {kind}')
        if sizes is None or len(sizes) < 2:
            raise ValueError(
                f'the input "{value.name}" must have the batch and at least one size more, '
                f"received {sizes}"
            )
        numbers = tuple(size for size in sizes[1:] if isinstance(size, int) and size > 0)
        if len(numbers) != len(sizes) - 1:
            raise ValueError(
                f'the sizes of the input "{value.name}", all but the batch, must be given as '
                f"positive numbers, received {sizes}; export the model with fixed image sizes"
            )
        return numbers

    def operators(self) -> Iterator[Operator]:
        """The operators that the outputs depend on, in order."""
        needed = set(self.outputs)
        kept = []
        for node in reversed(self._nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                kept.append(node)
        live = {each.name for each in self._inputs}
        for node in reversed(kept):
            of_shapes = node.op_type in _ON_SHAPES or live.isdisjoint(node.input)
            if of_shapes and node.domain in DOMAINS:
                continue
            yield from self._linked(self._node(node, live, needed))
            live.update(name for name in node.output if name)
        for name in self.outputs:
            if name not in live:
                raise ValueError(f'the output "{name}" does not depend on an input')

    def _linked(self, node: Node) -> Iterator[Operator]:
        """A node's operators, fed by one another, with names that say what they are of."""
        label = _label(node)
        given, result = node.inputs[:1], node.results[0]
        operators = operators_of(node) or [Operator("Identity", name=node.name)]
        for index, operator in enumerate(operators):
            is_last = index == len(operators) - 1
            output = operator.output or (result if is_last else f"{result}\0{index}")
            named = replace(operator, inputs=operator.inputs or given, output=output)
            if label:
                place = Operator(node.op, name=node.name).error("")
                named = replace(named, name=label, source=str(place).removesuffix(": "))
            yield named
            given = (output,)

    def _node(self, proto: onnx.NodeProto, live: set[str], needed: set[str]) -> Node:
        sizes = [self._sizes.get(name) for name in proto.output]
        inputs = [name for name in proto.input if name in live]
        constants = [self._tensors.get(name) for name in proto.input if name not in live]
        first = self._sizes.get(inputs[0]) if inputs else None
        node = Node(proto, self._opset, first, sizes, inputs, constants, self._array)
        if proto.domain not in DOMAINS:
            raise node.error(f'operators of the domain "{proto.domain}" are unknown to convkit')
        extra = [name for name in proto.output[1:] if name and name in needed]
        if extra and proto.op_type != "Split":
            raise node.error(f"only its first output may be used, but {extra} are read as well")
        for name in proto.input:
            known = not name or name in live or name in self._tensors
            if not known and proto.op_type not in _READING_SHAPES:
                raise node.error(
                    f'it reads "{name}", which is no constant, and computed of no input; fold '
                    f"constants before, for example with onnxruntime's optimizer"
                )
        return node

    def _array(self, tensor: onnx.TensorProto) -> Array:
        """A constant's array, each time the same one: layers that share it share their weights."""
        if id(tensor) not in self._arrays:
            self._arrays[id(tensor)] = constant_array(tensor)
        return self._arrays[id(tensor)]

    def _add_constant(self, node: onnx.NodeProto) -> None:
        """The output of a Constant, or of what is computed of constants and small."""
        if node.op_type == "Identity" and node.input[0] in self._tensors:
            self._name_constant(node.output[0], self._tensors[node.input[0]])
        elif node.op_type != "Constant":
            if node.input and all(not name or name in self._tensors for name in node.input):
                tensor = folded(node, self._tensors, self._opset)
                if tensor is not None:
                    self._name_constant(node.output[0], tensor)
            return
        for attribute in node.attribute:
            if attribute.name == "value":
                check_constant(attribute.t, None)
                self._name_constant(node.output[0], attribute.t)
            elif attribute.name in _SCALARS:
                values = np.asarray(onnx.helper.get_attribute_value(attribute))
                array = values.astype(_SCALARS[attribute.name])
                self._name_constant(node.output[0], onnx.numpy_helper.from_array(array))

    def _name_constant(self, name: str, tensor: onnx.TensorProto) -> None:
        if name in self._tensors:
            raise ValueError(f'two constants have the name "{name}"')
        self._tensors[name] = tensor


def _label(node: Node) -> str:
    """What the node's weights are the weights of, where their name says it; "" if it does not."""
    names = [each.name for each in node.constants if each is not None]
    module, _, kind = names[0].rpartition(".") if names else ("", "", "")
    return module if kind == "weight" and "/" not in module else ""


def reading_channels_last(names: Sequence[str], operators: Sequence[Operator]) -> set[str]:
    """The inputs of channels-last images.

    They are those that are transposed to channels-first, or multiplied along the last axis, before
    anything that knows of channels; all others are channels-first, as PyTorch's are.
    """
    reached = {name: name for name in names}
    decided: dict[str, bool] = {}
    for operator in operators:
        sources = {reached[name] for name in operator.inputs if name in reached}
        if operator.op in _AGNOSTIC or (operator.op in ("Add", "Mul") and not operator.arrays):
            if sources:
                reached[operator.output] = min(sources)
            continue
        perm = tuple(operator.attributes.get("perm", ()))
        last = operator.op in ("MatMul", "LayerNormalization") or (
            operator.op == "Transpose" and perm == to_channels_first(len(perm))
        )
        for source in sources:
            decided.setdefault(source, last)
    return {name for name, last in decided.items() if last}


# The operators that do the same in both layouts, and those that look at one number at a time.
_AGNOSTIC = frozenset(
    {op for op, attributes in ACTIVATIONS.values() if "axis" not in attributes}
    | {"Dropout", "Erf", "Identity", "Max", "Mean", "Min", "Sub", "Sum", "ThresholdedRelu"}
)
ELEMENTWISE = _AGNOSTIC | {"Add", "Clip", "Div", "Mul"}


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | str | None, ...] | None:
    """The sizes of a tensor: numbers, names, or None; None for all if the rank is unknown."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        each.dim_value if each.HasField("dim_value") else (each.dim_param or None)
        for each in tensor.shape.dim
    )
