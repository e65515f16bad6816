"""What an ONNX file computes, by onnxruntime or by the package onnx itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

from ..core.parameters import Array
from ..operators.calls import Calls

# ONNX's own evaluator is written in NumPy to be read: for more multiplications it takes minutes,
# and for each value of an image's windows about 32 bytes.
_MOST_PRODUCTS_IN_NUMPY = 500_000_000
_MOST_COLUMNS_IN_NUMPY = 500_000


def runner(
    proto: onnx.ModelProto, calls: Calls, count: int = 1
) -> Callable[[Any], list[Array]] | None:
    """A function that computes a model's outputs, of its input or of the list of them.

    Args:
        proto: with all weights inside.
        calls: of the model that it was made of, or into.
        count: of images in one call.

    Returns:
        None where there is nobody to ask: without onnxruntime, or with one that does not know the
        file's version, and with too large images for ONNX's own evaluator.
    """
    initial = {tensor.name for tensor in proto.graph.initializer}
    names = [each.name for each in proto.graph.input if each.name not in initial]
    session = _session(proto)
    if session is None and (
        count * calls.products() > _MOST_PRODUCTS_IN_NUMPY
        or calls.columns() > _MOST_COLUMNS_IN_NUMPY
    ):
        return None
    known: Any = ReferenceEvaluator(proto) if session is None else session

    def run(x: Any) -> list[Array]:
        given = zip(names, x if isinstance(x, list) else [x], strict=True)
        return [np.asarray(y) for y in known.run(None, dict(given))]

    return run


# What may compute a shape beside the chain, with a bound on how many values it makes of so many.
_ON_SHAPES: dict[str, Callable[[list[int]], int]] = {
    **dict.fromkeys(("Add", "Div", "Gather", "Mul", "Sub"), math.prod),
    **dict.fromkeys(("Cast", "Concat", "Constant", "Identity", "Slice"), sum),
    **dict.fromkeys(("Shape", "Size", "Squeeze", "Unsqueeze"), sum),
}
_MOST_VALUES_IN_SHAPES = 4096


def essential(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model without what its output does not depend on, which nobody has looked at.

    None if it computes shapes as no exporter does, perhaps large arrays of small ones.
    """
    graph = proto.graph
    needed = {each.name for each in graph.output}
    chain = set(needed)
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            kept.insert(0, node)
            needed.update(node.input)
        if not chain.isdisjoint(node.output):
            of_shape = node.op_type in ("Reshape", "Resize")
            chain.update(node.input[:1] if of_shape else node.input)
    if not _shapes_are_small([node for node in kept if chain.isdisjoint(node.output)], graph):
        return None
    slim = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    slim.graph.name = "essential"
    slim.graph.node.extend(kept)
    slim.graph.initializer.extend(each for each in graph.initializer if each.name in needed)
    slim.graph.input.extend(each for each in graph.input if each.name in needed)
    slim.graph.output.extend(graph.output)
    return slim


def _shapes_are_small(nodes: Sequence[onnx.NodeProto], graph: onnx.GraphProto) -> bool:
    sizes = {tensor.name: math.prod(tensor.dims) for tensor in graph.initializer}
    for node in nodes:
        bound = _ON_SHAPES.get(node.op_type)
        # Of what is on the chain only the shape is taken, of eight sizes at most.
        size = 0 if bound is None else max(8, bound([sizes.get(name, 8) for name in node.input]))
        if not 0 < size <= _MOST_VALUES_IN_SHAPES:
            return False
        sizes.update(dict.fromkeys(node.output, size))
    return True


def _session(proto: onnx.ModelProto) -> Any:
    """A session of onnxruntime on one thread, silent and as the file is written; or None."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        return None
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception:  # its own classes, by no common name: it does not know the file's version
        return None
