"""ONNX's backend interface over `convkit.onnx.load`, for ONNX's own tests.

    >>> from onnx.backend.test import BackendTest
    >>> import convkit.onnx.backend
    >>> tests = BackendTest(convkit.onnx.backend.Backend, __name__)

A model of convkit is made of the file, as `load` makes it, and predicts. What ONNX's examples give
a node besides the tensors that it computes with, its weights among them, is a constant of the file
first. The first axis counts as the batch; examples of one axis are as many samples of one number.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.version_converter
from onnx.backend.base import Backend as _Interface
from onnx.backend.base import BackendRep as _Representation

from ..core.parameters import Array
from .graph import ELEMENTWISE
from .importer import OLDEST_OPSET, Read, read_proto
from .nodes import OPERATORS, SEVERAL


class Backend(_Interface):
    """Runs ONNX models and nodes as models of convkit, on the CPU."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether it is the CPU."""
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether all of the model's operators are among those that convkit reads."""
        return all(node.op_type in _KNOWN and not node.domain for node in model.graph.node)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Representation:
        """The model, checked, ready to run; ValueError for an operator that convkit lacks."""
        super().prepare(model, device, **kwargs)
        if not cls.is_compatible(model):
            unknown = {node.op_type for node in model.graph.node} - _KNOWN
            raise ValueError(f"convkit has no operators {sorted(unknown)}")
        return Representation(model)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Sequence[Array],
        device: str = "CPU",
        outputs_info: Any = None,
        **kwargs: Any,
    ) -> tuple[Array, ...]:
        """The outputs of one node.

        Args:
            node: one of those that `convkit.onnx.load` reads.
            inputs: arrays, as the node names them; those that it computes with of float32.
            kwargs: opset_version, by default the latest.
        """
        opset = int(kwargs.get("opset_version", onnx.defs.onnx_opset_version()))
        helper = onnx.helper
        given = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for name, x in zip((name for name in node.input if name), inputs, strict=True)
        ]
        made = [helper.make_empty_tensor_value_info(name) for name in node.output if name]
        graph = helper.make_graph([node], node.op_type, given, made)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
        return Representation(onnx.shape_inference.infer_shapes(model)).run(inputs)


class Representation(_Representation):
    """A model that is ready to be made and run, once its constants are known."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self._model = model

    def run(self, inputs: Sequence[Array], **kwargs: Any) -> tuple[Array, ...]:
        """The outputs of the model for its inputs, in the graph's order."""
        proto = onnx.ModelProto()
        proto.CopyFrom(self._model)
        graph = proto.graph
        initial = {each.name for each in graph.initializer}
        names = [each.name for each in graph.input if each.name not in initial]
        arrays = dict(zip(names, inputs, strict=True))
        data = [name for name in names if name in _data(graph)]
        for name in data:
            if arrays[name].dtype != np.float32:
                raise TypeError(f'convkit computes in float32, "{name}" is {arrays[name].dtype}')
        for name in names:
            if name not in data:
                graph.initializer.append(onnx.numpy_helper.from_array(arrays[name], name))
        flat = all(arrays[name].ndim == 1 for name in data) and _is_elementwise(graph)
        del graph.value_info[:]
        if flat:
            for value in (*(each for each in graph.input if each.name in data), *graph.output):
                value.type.tensor_type.shape.dim.add().dim_value = 1
        if _opset(proto) < OLDEST_OPSET:
            proto = onnx.version_converter.convert_version(proto, _CONVERTED)
        read = read_proto(proto, None)
        shape = (-1, 1) if flat else None
        given = [arrays[n].reshape(shape) if shape else arrays[n] for n in data]
        outputs = _predict(read, given)
        return tuple(y.reshape(-1) if flat else y for y in outputs)


def _opset(proto: onnx.ModelProto) -> int:
    return max((each.version for each in proto.opset_import if not each.domain), default=1)


def _predict(read: Read, given: Sequence[Array]) -> list[Array]:
    pairs = zip(given, read.moved, strict=True)
    x = [np.ascontiguousarray(np.moveaxis(each, 1, -1) if m else each) for each, m in pairs]
    y: Any = read.model.predict_on_batch(x[0] if len(x) == 1 else x)
    outputs = y if isinstance(y, list) else [y]
    return [np.moveaxis(e, -1, 1) if b else e for e, b in zip(outputs, read.back, strict=True)]


def _data(graph: onnx.GraphProto) -> set[str]:
    """The names that nodes compute with, rather than be made of."""
    found: set[str] = set()
    for node in graph.node:
        found.update(node.input if node.op_type in SEVERAL else node.input[:1])
    return found


def _is_elementwise(graph: onnx.GraphProto) -> bool:
    return all(node.op_type in ELEMENTWISE for node in graph.node)


# What files of versions that `load` does not read are converted to, as it says.
_CONVERTED = 13
# Besides what becomes layers, what is read of constants and shapes.
_KNOWN = OPERATORS | {"Constant", "Shape", "Size", "Gather"}
