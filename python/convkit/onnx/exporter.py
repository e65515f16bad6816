"""Writing a model as an ONNX file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from ..core.files import write_atomically
from ..core.parameters import Array, Shape
from ..models import Model
from ..operators.calls import Calls
from ..operators.decompose import decompose
from ..operators.operator import Operator
from ..operators.verify import verify as compare
from .runner import runner

if TYPE_CHECKING:
    from ..layers.graph import Tensor

# The first version of the operators with Gelu, and the version of the file format that came with
# it: everything else is older.
OPSET = 20
_IR_VERSION = 9

_ROLES = {
    "Add": ("value",),
    "BatchNormalization": ("scale", "bias", "mean", "variance"),
    "Clip": ("min", "max"),
    "Conv": ("weight", "bias"),
    "ConvTranspose": ("weight", "bias"),
    "Gemm": ("weight", "bias"),
    "InstanceNormalization": ("scale", "bias"),
    "LayerNormalization": ("scale", "bias"),
    "MatMul": ("weight",),
    "Mul": ("value",),
    "PRelu": ("slope",),
    "Pad": ("pads",),
    "Reshape": ("shape",),
    "Resize": ("scales",),
}


def write(model: Model, path: str | os.PathLike[str], verify: bool) -> None:
    """See `convkit.onnx.export`."""
    proto = to_proto(model)
    if verify and (run := runner(proto, Calls(model))) is not None:
        compare(model, run, "the ONNX file")
    write_atomically(path, proto.SerializeToString())


def to_proto(model: Model) -> onnx.ModelProto:
    """The model as ONNX's own object, checked by ONNX's own checker."""
    from .. import __version__

    shapes = [_words([tensor.shape for tensor in each]) for each in (model.inputs, model.outputs)]
    proto = helper.make_model(
        _graph(model),
        ir_version=_IR_VERSION,
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="convkit",
        producer_version=__version__,
        doc_string=f"{model.name}: float32 {shapes[0]}, channels last, to {shapes[1]}",
    )
    onnx.checker.check_model(proto, full_check=True)
    return proto


def _graph(model: Model) -> onnx.GraphProto:
    network = decompose(model, in_training=False)
    nodes: list[onnx.NodeProto] = []
    constants: dict[str, onnx.TensorProto] = {}
    names: dict[int, str] = {}  # of the arrays that the operators hold: a layer's are named once
    for operator in network.operators:
        own = _constants(operator, names)
        constants |= own
        inputs = [*operator.inputs, *own]
        if operator.op == "Swish":  # which is an operator since version 24 alone
            gate = f"{operator.name}/sigmoid"
            nodes.append(helper.make_node("Sigmoid", inputs, [f"{gate}:0"], gate))
            factors = [*operator.inputs, f"{gate}:0"]
            nodes.append(helper.make_node("Mul", factors, [operator.output], operator.name))
            continue
        if operator.op == "Resize":  # whose second input is for images that are cut
            inputs.insert(1, "")
        attributes = _attributes(operator)
        nodes.append(
            helper.make_node(operator.op, inputs, [operator.output], operator.name, **attributes)
        )
    return helper.make_graph(
        nodes,
        "convkit",
        _values(network.inputs, model.inputs),
        _values(network.outputs, model.outputs),
        list(constants.values()),
    )


def _constants(operator: Operator, names: dict[int, str]) -> dict[str, onnx.TensorProto]:
    """The arrays, named by what they are; ONNX also wants pads and shapes as arrays."""
    arrays: tuple[Array, ...] = operator.arrays
    given = operator.attributes
    if operator.op == "Pad":
        top, left, bottom, right = given["pads"]
        arrays = (np.array([0, 0, top, left, 0, 0, bottom, right], np.int64),)
    elif operator.op == "Clip":
        arrays = tuple(np.asarray(given[bound], np.float32) for bound in ("min", "max"))
    elif operator.op == "Reshape":
        arrays = (np.array([0, *given["sizes"]], np.int64),)  # 0 keeps the batch
    elif operator.op == "Resize":
        arrays = (np.array([1, 1, *given["factors"]], np.float32),)
    found = {}
    for array, role in zip(arrays, _ROLES.get(operator.op, ()), strict=False):
        name = f"{operator.name}/{role}"
        if any(array is each for each in operator.arrays):
            name = names.setdefault(id(array), name)
        found[name] = numpy_helper.from_array(np.asarray(array, order="C"), name)
    return found


def _attributes(operator: Operator) -> dict[str, Any]:
    if operator.op in ("Clip", "Pad", "Reshape"):
        return {}
    given = dict(operator.attributes)
    if operator.op == "Resize":
        nearest = given["mode"] == "nearest"
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return {"mode": given["mode"], **(how if nearest else {})}
    return {name: list(v) if isinstance(v, tuple) else v for name, v in given.items()}


def _values(names: Sequence[str], tensors: Sequence[Tensor]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *tensor.shape[1:]])
        for name, tensor in zip(names, tensors, strict=True)
    ]


def _words(shapes: Sequence[Shape]) -> str:
    return " and ".join(f"({', '.join(map(str, ('N', *shape[1:])))})" for shape in shapes)
