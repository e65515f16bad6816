"""Reading an ONNX file: from its graph to operators, and from there to a model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from ..core.files import open_regular
from ..core.parameters import Array
from ..models import Model
from ..operators.assemble import assemble
from ..operators.calls import Calls
from ..operators.verify import verify as compare
from .constants import check_constant
from .graph import DOMAINS, FileGraph, reading_channels_last
from .inference import infer_shapes
from .runner import essential, runner
from .wire import count_fields

_LARGEST = 2**31 - 1  # bytes of a message
# A node has 10 to 30, an initializer and a tensor's shape about 10 each.
_MOST_FIELDS = 60_000
_MOST_NODES = 4_000

# Older files have other forms of Gemm, BatchNormalization and Dropout.
OLDEST_OPSET = 9
# What a comparison with the file may cost, whatever the file says of itself: float32 values that
# are needed at the same time (32 MiB), and multiplications (a second or two).
_MOST_VALUES, _MOST_PRODUCTS = 1 << 23, 40_000_000_000


def read(path: str | os.PathLike[str], verify: bool) -> Model:
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


def from_proto(proto: onnx.ModelProto, folder: Path, verify: bool) -> Model:
    """The model of ONNX's own object; weights that it has in other files lie in `folder`.

    Raises:
        ValueError: it is not valid, or asks for what convkit does not have; or, if `verify`, the
            model gives something else than the file.
    """
    checked = _checked(proto, folder)
    found = _assembled(checked)
    if verify:
        _verify(found, checked)
    return found.model


class Read(NamedTuple):
    """A model, and how the file's tensors lie beside it.

    Attributes:
        batch: the number of images that the file is for, None for any.
        moved, back: of each input, and of each output, whether the file's is channels-first.
    """

    model: Model
    batch: int | None
    moved: list[bool]
    back: list[bool]


def read_proto(proto: onnx.ModelProto, folder: Path | None) -> Read:
    """As `from_proto`, with what is to be known to compare the model with the file."""
    return _assembled(_checked(proto, folder))


def _assembled(proto: onnx.ModelProto) -> Read:
    graph = FileGraph(proto.graph, _opset(proto))
    operators = list(graph.operators())
    inputs = graph.inputs()
    last = reading_channels_last([each.name for each in inputs], operators)
    sources = [each._replace(channels_last=each.name in last) for each in inputs]
    model, back = assemble(operators, sources, graph.outputs)
    moved = [len(each.sizes) > 1 and not each.channels_last for each in sources]
    return Read(model, graph.batch, moved, back)


def _verify(read: Read, proto: onnx.ModelProto) -> None:
    """Try both on the same images, unless a small file asks for much memory or time."""
    calls, count = Calls(read.model), read.batch or 2
    if count * calls.most_values() > _MOST_VALUES or count * calls.products() > _MOST_PRODUCTS:
        return
    slim = essential(proto)
    run = None if slim is None else runner(slim, calls, count)
    if run is not None:
        compare(read.model, partial(_run, run, read), "the ONNX file", count=count)


def _run(run: Callable[[Any], list[Array]], read: Read, x: Any) -> list[Array]:
    """What the file makes of a model's inputs, as the model's outputs."""
    given = to_file(read, x if isinstance(x, list) else [x])
    try:
        outputs = run(given)
    except Exception as error:  # of the runtime's own classes, or whatever NumPy raises
        raise ValueError(f"it cannot be run, which its shapes do not show: {error}") from None
    return from_file(read, outputs)


def to_file(read: Read, x: Sequence[Array]) -> list[Array]:
    """A model's inputs as the file takes them."""
    pairs = zip(x, read.moved, strict=True)
    return [np.ascontiguousarray(np.moveaxis(each, -1, 1) if m else each) for each, m in pairs]


def from_file(read: Read, y: Sequence[Array]) -> list[Array]:
    """The file's outputs as the model gives them."""
    return [np.moveaxis(each, 1, -1) if b else each for each, b in zip(y, read.back, strict=True)]


def _checked(proto: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """The model with all its weights and inferred shapes, found valid by ONNX's own checker."""
    if (opset := _opset(proto)) < OLDEST_OPSET:
        raise ValueError(
            f"its operators are of version {opset}; convkit reads those of {OLDEST_OPSET} and "
            f"later, convert it with onnx.version_converter"
        )
    if (nodes := len(proto.graph.node)) > _MOST_NODES:
        raise ValueError(f"it has {nodes} nodes, more than the {_MOST_NODES} it may have")
    if proto.graph.sparse_initializer:
        raise ValueError("it has sparse weights, which convkit does not")
    if any(function.domain in DOMAINS for function in proto.functions):
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
    except onnx.checker.ValidationError as error:
        raise ValueError(f"it is not a valid ONNX model: {error}") from None
    return infer_shapes(proto)


def _texts(graph: onnx.GraphProto) -> Iterator[object]:
    """All names that reading the graph looks at."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for named in (*graph.initializer, *graph.input, *graph.output, *graph.value_info):
        yield named.name


def _opset(proto: onnx.ModelProto) -> int:
    versions = [each.version for each in proto.opset_import if each.domain in DOMAINS]
    return max(versions, default=0)
