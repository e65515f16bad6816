"""Writing a model as an ONNX file."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..core.files import write_atomically
from ..core.parameters import Shape
from ..interop.decompose import decompose
from ..interop.operators import IN_TRAINING, Operator
from ..interop.verify import products_of_an_image
from ..interop.verify import verify as compare
from ..models import Sequential
from .runner import runner

# The first version of the operators with Gelu, and the version of the file format that came with
# it: everything else is older.
OPSET = 20
_IR_VERSION = 9

_ROLES = {
    "Add": ("value",),
    "BatchNormalization": ("scale", "bias", "mean", "variance"),
    "Clip": ("min", "max"),
    "Conv": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "Mul": ("value",),
    "PRelu": ("slope",),
    "Pad": ("pads",),
    "Reshape": ("shape",),
}


def write(model: Sequential, path: str | os.PathLike[str], verify: bool) -> None:
    """See `convkit.onnx.export`."""
    proto = to_proto(model)
    if verify and (run := runner(proto, products_of_an_image(model))) is not None:
        compare(model, run, "the ONNX file")
    write_atomically(path, proto.SerializeToString())


def to_proto(model: Sequential) -> onnx.ModelProto:
    """The model as ONNX's own object, checked by ONNX's own checker."""
    from .. import __version__

    proto = helper.make_model(
        _graph(model),
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="convkit",
        producer_version=__version__,
        doc_string=f"{model.name}: float32 {_words(model.input_shape)}, channels last, to "
        f"{_words(model.output_shape)}",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _graph(model: Sequential) -> onnx.GraphProto:
    # A model of nothing but dropout is the identity.
    operators = [each for each in decompose(model) if each.op not in IN_TRAINING] or [
        Operator("Identity", name="identity")
    ]
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    tensor = "input"
    for index, operator in enumerate(operators):
        own = _constants(operator)
        result = "output" if index == len(operators) - 1 else f"{operator.name}:0"
        inputs = [tensor, *(each.name for each in own)]
        attributes = _attributes(operator)
        if operator.op == "Swish":  # which is an operator since version 24 alone
            gate = f"{operator.name}/sigmoid"
            nodes.append(helper.make_node("Sigmoid", inputs, [f"{gate}:0"], gate))
            nodes.append(helper.make_node("Mul", [tensor, f"{gate}:0"], [result], operator.name))
            tensor = result
            continue
        nodes.append(helper.make_node(operator.op, inputs, [result], operator.name, **attributes))
        constants += own
        tensor = result
    return helper.make_graph(
        nodes,
        "convkit",
        [_value("input", model.input_shape)],
        [_value("output", model.output_shape)],
        constants,
    )


def _constants(operator: Operator) -> list[onnx.TensorProto]:
    """The arrays, named by what they are; ONNX also wants pads and shapes as arrays."""
    arrays = operator.arrays
    if operator.op == "Pad":
        top, left, bottom, right = operator.attributes["pads"]
        arrays = (np.array([0, 0, top, left, 0, 0, bottom, right], np.int64),)
    elif operator.op == "Clip":
        arrays = tuple(np.float32(operator.attributes[bound]) for bound in ("min", "max"))
    elif operator.op == "Reshape":
        arrays = (np.array([0, *operator.attributes["sizes"]], np.int64),)  # 0 keeps the batch
    return [
        numpy_helper.from_array(np.asarray(array, order="C"), f"{operator.name}/{role}")
        for array, role in zip(arrays, _ROLES.get(operator.op, ()), strict=False)
    ]


def _attributes(operator: Operator) -> dict[str, Any]:
    if operator.op in ("Clip", "Pad", "Reshape"):
        return {}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in operator.attributes.items()
    }


def _value(name: str, shape: Shape) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape[1:]])


def _words(shape: Shape) -> str:
    return f"({', '.join(map(str, ('N', *shape[1:])))})"
