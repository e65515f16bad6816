"""ONNX's backend interface over convkit's kernels, for ONNX's own tests.

    >>> from onnx.backend.test import BackendTest
    >>> import convkit.onnx.backend
    >>> tests = BackendTest(convkit.onnx.backend.Backend, __name__)

Every node is computed by functions of `convkit.ops`, which are channels-last, two-dimensional and
of float32; here is what brings ONNX's conventions to theirs. To run a model use
`convkit.onnx.load`, whose layers are fused and allocate nothing; this is for single operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend as _Interface
from onnx.backend.base import BackendRep as _Representation

from .. import ops
from ..core.parameters import Array
from . import backend_windows as windows
from .backend_windows import to_first, to_last

_Attributes = dict[str, Any]
_Operation = Callable[[_Attributes, list[Array | None], int], tuple[Array, ...]]


class Backend(_Interface):
    """Runs ONNX nodes with convkit's kernels, on the CPU."""

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether it is the CPU."""
        return device.split(":")[0] == "CPU"

    @classmethod
    def is_compatible(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> bool:
        """Whether all of the model's operators are among those that convkit has."""
        return all(node.op_type in OPERATIONS and not node.domain for node in model.graph.node)

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> Representation:
        """The model, checked, ready to run; ValueError for an operator that convkit lacks."""
        super().prepare(model, device, **kwargs)
        if not cls.is_compatible(model):
            unknown = {node.op_type for node in model.graph.node} - set(OPERATIONS)
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
            node: one of `OPERATIONS`.
            inputs: float32 arrays, as the node names them.
            kwargs: opset_version, by default the latest.
        """
        opset = int(kwargs.get("opset_version", onnx.defs.onnx_opset_version()))
        return _run(node, dict(zip(node.input, inputs, strict=True)), opset)


class Representation(_Representation):
    """A model that is ready to run, node by node."""

    def __init__(self, model: onnx.ModelProto) -> None:
        super().__init__()
        self._graph = model.graph
        self._opset = max(each.version for each in model.opset_import if not each.domain)

    def run(self, inputs: Sequence[Array], **kwargs: Any) -> tuple[Array, ...]:
        """The outputs of the model for its inputs, in the graph's order."""
        graph = self._graph
        tensors = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
        names = [each.name for each in graph.input if each.name not in tensors]
        tensors.update(zip(names, inputs, strict=True))
        for node in graph.node:
            tensors.update(zip(node.output, _run(node, tensors, self._opset), strict=False))
        return tuple(tensors[each.name] for each in graph.output)


def _run(node: onnx.NodeProto, tensors: dict[str, Array], opset: int) -> tuple[Array, ...]:
    inputs = [tensors[name] if name else None for name in node.input]
    for array in inputs:
        if array is not None and array.dtype != np.float32:
            raise TypeError(f"{node.op_type}: convkit computes in float32, received {array.dtype}")
    attributes = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    return OPERATIONS[node.op_type](attributes, inputs, opset)


def _given(array: Array | None) -> Array:
    assert array is not None, "ONNX's checker has found the required inputs"
    return array


def _elementwise(function: Callable[..., Array], **names: tuple[str, Any]) -> _Operation:
    """An activation; each keyword of its op with the attribute's name and default."""

    def run(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
        values = {ours: given.get(theirs, default) for ours, (theirs, default) in names.items()}
        return (function(_given(inputs[0]), **values),)

    return run


def _gelu(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    tanh = given.get("approximate", b"none") == b"tanh"
    return (ops.gelu_forward(_given(inputs[0]), approximate=tanh),)


def _selu(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    alpha, gamma = given.get("alpha", 1.6732632), given.get("gamma", 1.050701)
    return (np.float32(gamma) * ops.elu_forward(_given(inputs[0]), alpha=alpha),)


def _prelu(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    """Of one sample, whose axes are all of x's: slopes may differ along the batch as well."""
    x, slopes = _given(inputs[0]), _given(inputs[1])
    if opset < 7 and slopes.size > 1:  # one for each channel
        slopes = slopes.reshape(-1, *(1,) * (x.ndim - 2))
    slopes = slopes.reshape(*(1,) * (x.ndim - slopes.ndim), *slopes.shape)
    return (ops.prelu_forward(x[None], slopes)[0],)


def _softmax(function: Callable[[Array], Array]) -> _Operation:
    def run(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
        x = _given(inputs[0])
        if opset < 13:  # over all axes from the given one on
            axis = given.get("axis", 1) % x.ndim
            rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
            return (function(rows).reshape(x.shape),)
        axis = given.get("axis", -1)
        return (np.moveaxis(function(np.moveaxis(x, axis, -1)), -1, axis),)

    return run


def _flatten(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    x = _given(inputs[0])
    axis = given.get("axis", 1)
    axis += x.ndim if axis < 0 else 0
    return (x.reshape(int(np.prod(x.shape[:axis])), -1),)


def _gemm(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    a, b, c, *_ = (*inputs, None)
    x, w = _given(a), _given(b)
    x = x.T if given.get("transA", 0) else x
    w = w.T if given.get("transB", 0) else w
    w = w * np.float32(given.get("alpha", 1.0))
    if c is None:
        return (ops.dense_forward(x, w),)
    c = c * np.float32(given.get("beta", 1.0))
    units = w.shape[1]
    if c.ndim < 2 or c.shape[0] == 1:
        return (ops.dense_forward(x, w, np.broadcast_to(c.reshape(-1), (units,))),)
    return (ops.dense_forward(x, w) + c,)


def _batchnorm(given: _Attributes, inputs: list[Array | None], opset: int) -> tuple[Array, ...]:
    x, scale, shift, mean, variance = (_given(each) for each in inputs)
    epsilon, momentum = given.get("epsilon", 1e-5), given.get("momentum", 0.9)
    rows = to_last(x)
    if not given.get("training_mode", 0):
        y = ops.batchnorm_inference(rows, scale, shift, mean, variance, epsilon=epsilon)
        return (to_first(y),)
    mean, variance = mean.copy(), variance.copy()  # the op updates them in place
    y, _, _ = ops.batchnorm_forward(
        rows, scale, shift, mean, variance, momentum=momentum, epsilon=epsilon
    )
    return to_first(y), mean, variance


OPERATIONS: dict[str, _Operation] = {
    "AveragePool": windows.average_pool,
    "BatchNormalization": _batchnorm,
    "Conv": windows.conv,
    "Elu": _elementwise(ops.elu_forward, alpha=("alpha", 1.0)),
    "Exp": _elementwise(ops.exponential_forward),
    "Flatten": _flatten,
    "Gelu": _gelu,
    "Gemm": _gemm,
    "GlobalAveragePool": windows.global_average_pool,
    "GlobalMaxPool": windows.global_max_pool,
    "HardSwish": _elementwise(ops.hard_silu_forward),
    "LeakyRelu": _elementwise(ops.leaky_relu_forward, negative_slope=("alpha", 0.01)),
    "LogSoftmax": _softmax(ops.log_softmax_forward),
    "MaxPool": windows.max_pool,
    "Mish": _elementwise(ops.mish_forward),
    "PRelu": _prelu,
    "Relu": _elementwise(ops.relu_forward),
    "Selu": _selu,
    "Sigmoid": _elementwise(ops.sigmoid_forward),
    "Softmax": _softmax(ops.softmax_forward),
    "Softplus": _elementwise(ops.softplus_forward),
    "Softsign": _elementwise(ops.softsign_forward),
    "Tanh": _elementwise(ops.tanh_forward),
}
