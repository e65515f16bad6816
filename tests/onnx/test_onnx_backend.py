"""ONNX's own tests of its operators, run against models that `convkit.onnx.load` makes of them.

All node tests of the operators that convkit has are run, and the models that were once converted
from PyTorch's own tests. Those that convkit refuses are skipped with its own words as the reason:
each must be one of the refusals listed here, and nothing else may go wrong.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx")

from onnx.backend.test import BackendTest  # noqa: E402

from convkit.onnx.backend import Backend  # noqa: E402
from convkit.onnx.nodes import OPERATORS  # noqa: E402

VERSION = ".".join(onnx.__version__.split(".")[:2])

# The tests of an operator begin with its name; pairs of these are of other operators.
NODE_TESTS = re.compile(
    "test_(add|averagepool|basic_conv|batchnorm|clip|concat|constant_pad|conv|convtranspose|dropout"
    "|elu|exp|flatten|gelu|gemm|globalaveragepool|globalmaxpool|group_normalization|hardsigmoid"
    "|hardswish|instancenorm|layer_normalization|leakyrelu|logsoftmax|max|maxpool|mean|min|mish|mul"
    "|prelu|reduce_max|reduce_mean|relu|reshape|resize_upsample|selu|sigmoid|slice|softmax|softplus"
    "|softsign|split|squeeze|sub|sum|swish|tanh|thresholdedrelu|transpose|unsqueeze|upsample)(_.+)?"
)
CONVERTED_TESTS = re.compile(
    "test_(AvgPool|BatchNorm|Conv|ConvTranspose|ELU|LeakyReLU|Linear|LogSoftmax|MaxPool|PReLU|ReLU"
    "|SELU|Sigmoid|Softmax|Softplus|Tanh|log_softmax|softmax)([123]d)?(_.+)?"
)
# Why convkit refuses a case: what it says, which is always that a thing is not among what it has.
REFUSALS = re.compile(
    "convkit|the batch must stay where it is|nothing to make a layer of|must have the batch"
    "|only its first output may be used"
    "|slopes of shape .* do not fit a sample|results are larger than its windows reach"
    "|axis must be one behind the batch|the bias must have shape|all but the batch, must be given"
    "|neither padding='valid' nor padding='same'|cannot be cut into|its factors must have shape"
    "|a model has inputs and outputs|does not depend on an input|reads .* which is no constant"
    "|inputs of shapes .* do not fit"
)
# How many must pass at least: of each kind.
LEAST = {"Node": 150, "PyTorchConverted": 52}


def cases() -> dict[str, dict[str, Callable[[Any], None]]]:
    """The tests that run on the CPU, by kind and name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # while the cases of other operators are computed
        found = BackendTest(Backend, __name__).test_cases
    return {
        kind: {
            name.removesuffix("_cpu"): case
            for name, case in sorted(vars(found[f"OnnxBackend{kind}ModelTest"]).items())
            if name.endswith("_cpu") and wanted.fullmatch(name.removesuffix("_cpu"))
        }
        for kind, wanted in (("Node", NODE_TESTS), ("PyTorchConverted", CONVERTED_TESTS))
    }


NODE_CASES, CONVERTED_CASES = cases().values()


@cache
def refusal(name: str) -> str | None:
    """Run a case: why convkit refuses it, or None where it passes."""
    try:
        {**NODE_CASES, **CONVERTED_CASES}[name](None)
    except (TypeError, ValueError) as error:
        if not REFUSALS.search(str(error)):
            raise
        return str(error).splitlines()[0]
    return None


@pytest.mark.parametrize("name", [*NODE_CASES, *CONVERTED_CASES])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_onnx_case(name: str, count: Callable[..., None]) -> None:
    what = "node tests" if name in NODE_CASES else "models converted from PyTorch's tests"
    count(f"{what} of ONNX {VERSION}")
    if (reason := refusal(name)) is not None:
        pytest.skip(reason)


# Of operators with few cases, or whose cases ask for more than layers have, so many pass.
FEW = {
    "Cast": 0, "Clip": 0, "Concat": 3, "Div": 0, "Dropout": 1, "Erf": 0, "GroupNormalization": 1,
    "HardSigmoid": 0, "Identity": 0, "HardSwish": 1, "InstanceNormalization": 1, "Mean": 1,
    "LayerNormalization": 0, "Transpose": 0, "PRelu": 1,
    "Max": 1, "Min": 1, "Mish": 1, "Mul": 1, "Pad": 0, "ReduceMax": 0,
    "MatMul": 0, "ReduceMean": 0, "Relu": 1, "Resize": 1, "Slice": 0, "Split": 0, "Squeeze": 1,
    "Sub": 1, "Sum": 1, "Swish": 1, "Unsqueeze": 1, "Upsample": 0, "Add": 1, "ThresholdedRelu": 1,
}  # fmt: skip
NAMES = {
    "BatchNormalization": "batchnorm", "Conv": "(basic_)?conv", "Pad": "constant_pad",
    "GroupNormalization": "group_normalization", "InstanceNormalization": "instancenorm",
    "LayerNormalization": "layer_normalization", "ReduceMax": "reduce_max",
    "ReduceMean": "reduce_mean", "Resize": "resize_upsample",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_every_operator_has_cases() -> None:
    """What is refused would prove nothing. Those that another process has run are run again."""
    passed = {
        "Node": [name for name in NODE_CASES if refusal(name) is None],
        "PyTorchConverted": [name for name in CONVERTED_CASES if refusal(name) is None],
    }
    missing = {}
    for op in OPERATORS:
        prefix = NAMES.get(op, op.lower())
        found = [n for n in passed["Node"] if re.match(f"test_{prefix}(_|$)", n)]
        if len(found) < FEW.get(op, 2):
            missing[op] = found
    assert not missing
    for kind, least in LEAST.items():
        assert len(passed[kind]) >= least, (kind, len(passed[kind]))


# What no case of ONNX's asks for.


def test_a_node_runs_by_itself() -> None:
    node = onnx.helper.make_node("Gemm", ["a", "b"], ["y"], transB=1, alpha=2.0)
    a, b = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    (y,) = Backend.run_node(node, [a, b])
    np.testing.assert_array_equal(y, np.full((2, 4), 6, np.float32))


def test_other_types_devices_and_operators_are_refused() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(TypeError, match='convkit computes in float32, "x" is float64'):
        Backend.run_node(node, [np.ones(3)])
    assert not Backend.supports_device("CUDA")
    info = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Sin", ["x"], ["y"])],
        "sine",
        [info("x", onnx.TensorProto.FLOAT, [3])],
        [info("y", onnx.TensorProto.FLOAT, [3])],
    )
    with pytest.raises(ValueError, match=r"convkit has no operators \['Sin'\]"):
        Backend.prepare(onnx.helper.make_model(graph))


@pytest.mark.parametrize("seed", range(30))
def test_random_windows_against_onnxruntime(seed: int) -> None:
    """Every attribute of pools and convolutions at once, in mixtures that ONNX has no cases for."""
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")
    rng = np.random.default_rng(seed)
    op = ("MaxPool", "AveragePool", "Conv")[seed % 3]
    rank = 1 + seed % 2
    size, strides, dilations = ([int(v) for v in rng.integers(1, high, rank)] for high in (4, 4, 3))
    # ONNX wants every pad to be below the window's extent.
    pads = [int(rng.integers(0, max(k, 1))) for _ in (0, 1) for k in size]
    attributes = {"kernel_shape": size, "strides": strides, "dilations": dilations, "pads": pads}
    x = rng.standard_normal((2, 4, *rng.integers(9, 13, rank))).astype(np.float32)
    inputs = {"x": x}
    if op == "Conv":
        groups = int(rng.choice([1, 2, 4]))
        attributes["group"] = groups
        inputs["w"] = rng.standard_normal((8, 4 // groups, *size)).astype(np.float32)
        inputs["b"] = rng.standard_normal(8).astype(np.float32)
    else:
        attributes["ceil_mode"] = int(rng.integers(0, 2))
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(0, 2))
    node = onnx.helper.make_node(op, list(inputs), ["y"], **attributes)
    info, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [node],
        op,
        [info(name, kind, array.shape) for name, array in inputs.items()],
        [info("y", kind, [None] * x.ndim)],
    )
    proto = onnx.helper.make_model(
        graph, ir_version=9, opset_imports=[onnx.helper.make_opsetid("", 20)]
    )
    session = runtime.InferenceSession(proto.SerializeToString())
    (expected,) = session.run(None, inputs)
    refused = []
    try:
        result = Backend.prepare(proto).run(list(inputs.values()))[0]
    except ValueError as error:
        refused.append(str(error))
    if refused:
        assert op != "Conv"
        assert re.search("pools have no dilation|neither padding='valid'", refused[0])
        return
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
