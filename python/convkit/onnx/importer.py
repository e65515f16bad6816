"""Reading an ONNX file: from its graph to a chain of operators, and from there to a model."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..core.files import open_regular
from ..core.parameters import Array
from ..interop.assemble import assemble
from ..interop.calls import Calls
from ..interop.operators import to_channels_first
from ..interop.verify import verify as compare
from ..models import Sequential
from .constants import check_constant
from .nodes import Node, operators_of
from .runner import essential, runner
from .wire import count_fields

_LARGEST = 2**31 - 1  # bytes of a message
# A node has 10 to 30, an initializer and a tensor's shape about 10 each.
_MOST_FIELDS = 60_000
_MOST_NODES = 4_000

# Older files have other forms of Gemm, BatchNormalization and Dropout.
_OLDEST_OPSET = 9
_DOMAINS = ("", "ai.onnx")
_COMMUTATIVE = ("Add", "Mul")
# What a Constant may hold instead of a tensor.
_SCALARS = {"value_float": "f4", "value_floats": "f4", "value_int": "i8", "value_ints": "i8"}
# What a comparison with the file may cost, whatever the file says of itself: float32 values of the
# largest array (16 MiB), and multiplications (a second or two).
_MOST_VALUES, _MOST_PRODUCTS = 1 << 22, 40_000_000_000
# What computes a shape beside the chain, for a Reshape.
_ON_SHAPES = frozenset({"Shape", "Size"})


def read(path: str | os.PathLike[str], verify: bool) -> Sequential:
    """See `convkit.onnx.load`."""
    source = Path(os.fsdecode(path))
    proto = onnx.ModelProto()
    with open_regular(source) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size) if size <= _LARGEST else b""
    try:
        if size > _LARGEST:
            raise ValueError(f"its {size:,} bytes are more than the 2 GB of one message")
        count_fields(data, proto.DESCRIPTOR, _MOST_FIELDS)
        proto.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        raise ValueError(f"{source} is not an ONNX file, or is damaged: {error}") from None
    del data
    try:
        return from_proto(proto, source.parent, verify)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def from_proto(proto: onnx.ModelProto, folder: Path, verify: bool) -> Sequential:
    """The model of ONNX's own object; weights that it has in other files lie in `folder`.

    Raises:
        ValueError: it is not valid, or asks for what convkit does not have; or, if `verify`, the
            model gives something else than the file.
    """
    checked = _checked(proto, folder)
    chain = _Chain(checked.graph, _opset(checked))
    operators = [operator for node in chain.walk() for operator in operators_of(node)]
    sizes = chain.input_sizes
    # A file that begins by moving the channels to the front has channels-last images.
    first = next((each for each in operators if each.op != "Dropout"), None)
    perm = first.attributes["perm"] if first is not None and first.op == "Transpose" else None
    last = perm is not None and tuple(perm) == to_channels_first(len(sizes) + 1)
    model, back = assemble(operators, sizes, channels_last=last)
    if verify:
        _verify(model, checked, chain.batch, moved=len(sizes) > 1 and not last, back=back)
    return model


def _verify(
    model: Sequential, proto: onnx.ModelProto, batch: int | None, *, moved: bool, back: bool
) -> None:
    """Try both on the same images, unless a small file asks for much memory or time.

    Args:
        batch: the number of images that the file is for, None for any.
        moved, back: whether the file's images, and its results, are channels-first.
    """
    calls = Calls(model)
    values, products = calls.most_values() // 2, calls.products()
    count = batch or 2
    if count * values > _MOST_VALUES or count * products > _MOST_PRODUCTS:
        return
    slim = essential(proto)
    run = None if slim is None else runner(slim, count * products)
    if run is not None:
        compare(
            model,
            lambda x: _last(run(_first(x) if moved else x)[0], back),
            "the ONNX file",
            count=count,
        )


def _first(x: Array) -> Array:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1))


def _last(y: Array, moved: bool) -> Array:
    return np.moveaxis(y, 1, -1) if moved else y


def _checked(proto: onnx.ModelProto, folder: Path) -> onnx.ModelProto:
    """The model with all its weights and inferred shapes, found valid by ONNX's own checker."""
    if (opset := _opset(proto)) < _OLDEST_OPSET:
        raise ValueError(
            f"its operators are of version {opset}; convkit reads those of {_OLDEST_OPSET} and "
            f"later, convert it with onnx.version_converter"
        )
    if (nodes := len(proto.graph.node)) > _MOST_NODES:
        raise ValueError(f"it has {nodes} nodes, more than the {_MOST_NODES} it may have")
    if proto.graph.sparse_initializer:
        raise ValueError("it has sparse weights, which convkit does not")
    if any(function.domain in _DOMAINS for function in proto.functions):
        raise ValueError("it has functions of its own that go by the names of ONNX's operators")
    if not all(isinstance(text, str) for text in _texts(proto.graph)):
        raise ValueError("a name in it is not UTF-8 text")  # protobuf gives bytes then
    for tensor in proto.graph.initializer:
        check_constant(tensor, folder)
    for value in proto.graph.input:
        sizes = value.type.tensor_type.shape.dim
        if sizes and sizes[0].WhichOneof("value") is None:
            sizes[0].dim_param = "N"  # so that it is known for the same behind a Reshape
    try:
        onnx.checker.check_model(proto)
        return onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"it is not a valid ONNX model: {error}") from None


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """All names that reading the graph looks at."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield named.name


def _opset(proto: onnx.ModelProto) -> int:
    versions = [each.version for each in proto.opset_import if each.domain in _DOMAINS]
    return max(versions, default=0)


class _Chain:
    """The nodes of a graph as a chain from its input to its output."""

    def __init__(self, graph: onnx.GraphProto, opset: int) -> None:
        self._opset = opset
        self._tensors: dict[str, onnx.TensorProto] = {}
        for tensor in graph.initializer:
            self._name_constant(tensor.name, tensor)
        for node in graph.node:
            if node.domain in _DOMAINS:
                self._add_constant(node)
        inputs = [each for each in graph.input if each.name not in self._tensors]
        if len(inputs) != 1 or len(graph.output) != 1:
            raise ValueError(
                f"a Sequential has one input and one output, the file has {len(inputs)} and "
                f"{len(graph.output)}: {[each.name for each in (*inputs, *graph.output)]}"
            )
        self._input, self._output = inputs[0], graph.output[0].name
        self._sizes = {
            value.name: _sizes(value) for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._users: defaultdict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            if node.op_type not in _ON_SHAPES:
                for name in dict.fromkeys(node.input):
                    self._users[name].append(node)

    @property
    def batch(self) -> int | None:
        """The number of images that the file is for, None for any."""
        sizes = self._sizes[self._input.name] or (None,)
        return sizes[0] if isinstance(sizes[0], int) and sizes[0] > 0 else None

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """The sizes of one sample; ValueError unless they are given in numbers."""
        tensor = self._input.type.tensor_type
        sizes = self._sizes[self._input.name]
        if tensor.elem_type != onnx.TensorProto.FLOAT:
            kind = onnx.TensorProto.DataType.Name(tensor.elem_type)
            raise ValueError(f'the input "{self._input.name}" must be float32, but is {kind}')
        if sizes is None or len(sizes) < 2:
            raise ValueError(
                f'the input "{self._input.name}" must have the batch and at least one size more, '
                f"received {sizes}"
            )
        numbers = tuple(size for size in sizes[1:] if isinstance(size, int) and size > 0)
        if len(numbers) != len(sizes) - 1:
            raise ValueError(
                f'the sizes of the input "{self._input.name}", all but the batch, must be given as '
                f"positive numbers, received {sizes}; export the model with fixed image sizes"
            )
        return numbers

    def walk(self) -> Iterator[Node]:
        """The nodes in order; ValueError where they branch."""
        tensor = self._input.name
        while tensor != self._output:
            users = self._swish(tensor) or self._users[tensor]
            if len(users) != 1:
                names = ", ".join(f'{node.op_type} "{node.name}"' for node in users) or "nobody"
                raise ValueError(
                    f'a Sequential is a chain, but the tensor "{tensor}" is read by {names}'
                )
            node = users[0]
            yield self._node(node, tensor)
            tensor = node.output[0]
        if self._users[tensor]:
            raise ValueError(f'a Sequential is a chain, but the output "{tensor}" is read again')

    def _swish(self, tensor: str) -> list[onnx.NodeProto]:
        """The one operator that a Sigmoid of a tensor, times the tensor, is; [] for anything else.

        It is an operator of its own since version 24 of them alone.
        """
        users = sorted(self._users[tensor], key=lambda node: node.op_type)
        if [node.op_type for node in users] != ["Mul", "Sigmoid"]:
            return []
        product, gate = users
        between = gate.output[0]
        if not all(node.domain in _DOMAINS for node in users) or between == self._output:
            return []
        if sorted(product.input) != sorted([tensor, between]) or len(self._users[between]) != 1:
            return []
        return [onnx.helper.make_node("Swish", [tensor], product.output, product.name)]

    def _node(self, proto: onnx.NodeProto, tensor: str) -> Node:
        sizes = self._sizes.get(tensor), self._sizes.get(proto.output[0])
        node = Node(proto, self._opset, *sizes)
        if proto.domain not in _DOMAINS:
            raise node.error(f'operators of the domain "{proto.domain}" are unknown to convkit')
        extra = [name for name in proto.output[1:] if name and self._users[name]]
        if extra:
            raise node.error(f"only its first output may be used, but {extra} are read as well")
        position = list(proto.input).index(tensor)
        if list(proto.input).count(tensor) > 1 or (position and proto.op_type not in _COMMUTATIVE):
            raise node.error(f'it may read "{tensor}" only as its first input, and once')
        for name in (each for each in proto.input if each != tensor):
            constant = self._tensors.get(name)
            if name and constant is None and proto.op_type != "Reshape":
                raise node.error(
                    f'a Sequential is a chain, but besides "{tensor}" it reads "{name}", '
                    f"which is no constant"
                )
            node.constants.append(constant)
        return node

    def _add_constant(self, node: onnx.NodeProto) -> None:
        """The output of a Constant, or of an Identity of a constant: equal weights are such."""
        if node.op_type == "Identity" and node.input[0] in self._tensors:
            self._name_constant(node.output[0], self._tensors[node.input[0]])
        if node.op_type != "Constant":
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


def _sizes(value: onnx.ValueInfoProto) -> tuple[int | str | None, ...] | None:
    """The sizes of a tensor: numbers, names, or None; None for all if the rank is unknown."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(
        each.dim_value if each.HasField("dim_value") else (each.dim_param or None)
        for each in tensor.shape.dim
    )
