"""ONNX models as others write them, made node by node."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compare import Array

onnx = pytest.importorskip("onnx", reason="needs the package onnx")

FLOAT = onnx.TensorProto.FLOAT
helper = onnx.helper


def graph_of(
    nodes: Sequence[Any],
    shape: Sequence[int | str | None],
    constants: dict[str, Array] | None = None,
    *,
    opset: int = 20,
    kind: int = FLOAT,
    domains: Sequence[str] = (),
) -> Any:
    """A model with the input x and the output y."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, None)],
        [onnx.numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    proto = helper.make_model(graph, ir_version=8, opset_imports=opsets)
    proto.graph.output[0].type.tensor_type.ClearField("shape")
    rank = len(onnx.shape_inference.infer_shapes(proto).graph.output[0].type.tensor_type.shape.dim)
    for _ in range(rank or len(shape)):
        proto.graph.output[0].type.tensor_type.shape.dim.add()
    return proto


def saved(proto: Any, folder: Path) -> Path:
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def node(op: str, *inputs: str, **attributes: Any) -> Any:
    """A node that reads x and constants and writes y."""
    return helper.make_node(op, ["x", *inputs], ["y"], name=f"the_{op}", **attributes)


def chain(*steps: tuple[str, Sequence[str], dict[str, Any]]) -> list[Any]:
    """Nodes in a row, each with an operator, constants and attributes."""
    tensors = ["x", *(f"t{i}" for i in range(len(steps) - 1)), "y"]
    return [
        helper.make_node(op, [tensors[i], *inputs], [tensors[i + 1]], **attributes)
        for i, (op, inputs, attributes) in enumerate(steps)
    ]


def floats(*shape: int) -> Array:
    return np.random.default_rng(2).uniform(0.5, 1.5, shape).astype(np.float32)


def dense() -> Any:
    """A dense layer."""
    return graph_of([node("Gemm", "w")], ["N", 4], {"w": floats(4, 2)})
