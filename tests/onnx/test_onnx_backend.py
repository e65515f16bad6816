"""ONNX's own tests of its operators, run against convkit's kernels through its backend interface.

All node tests of the operators that convkit has are run, but for those in a list with the reason;
so are the models that were once converted from PyTorch's own tests.
"""

from __future__ import annotations

import re
import unittest
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the package onnx")

from onnx.backend.test import BackendTest  # noqa: E402

from convkit.onnx.backend import OPERATIONS, Backend  # noqa: E402

VERSION = ".".join(onnx.__version__.split(".")[:2])

# The tests of an operator begin with its name; pairs of these are of other operators.
NODE_TESTS = re.compile(
    "test_(averagepool|basic_conv|batchnorm|conv|elu|exp|flatten|gelu|gemm|globalaveragepool"
    "|globalmaxpool|hardswish|leakyrelu|logsoftmax|maxpool|mish|prelu|relu|selu|sigmoid|softmax"
    "|softplus|softsign|tanh)(_.+)?"
)
CONVERTED_TESTS = re.compile(
    "test_(AvgPool|BatchNorm|Conv|ELU|LeakyReLU|Linear|LogSoftmax|MaxPool|PReLU|ReLU|SELU|Sigmoid"
    "|Softmax|Softplus|Tanh|log_softmax|softmax)([123]d)?(_.+)?"
)
THREE = "its windows have three dimensions, convkit's have two"
# What is left out, by the whole name, and why.
SKIPPED = {
    r"test_averagepool_3d_\w+": THREE,
    r"test_maxpool_3d_\w+": THREE,
    r"test_maxpool_2d_uint8": "its images are uint8, and convkit computes in float32",
    r"test_\w+_expanded(_ver18)?": (
        "it is spelt out in elementary operators, such as Exp and ReduceSum, not in the one that "
        "it is called after"
    ),
    r"test_(AvgPool|Conv|MaxPool)3d\w*": THREE,
    r"test_AvgPool1d(_stride)?": "it has an Unsqueeze and a Squeeze besides",
    r"test_Linear_no_bias": "it is a Transpose and a MatMul, no Gemm",
}


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


def reason_to_skip(name: str) -> str | None:
    return next((why for pattern, why in SKIPPED.items() if re.fullmatch(pattern, name)), None)


@pytest.mark.parametrize("name", [*NODE_CASES, *CONVERTED_CASES])
def test_onnx_case(name: str, count: Callable[..., None]) -> None:
    kind = "node tests" if name in NODE_CASES else "models converted from PyTorch's tests"
    count(f"{kind} of ONNX {VERSION}")
    if why := reason_to_skip(name):
        pytest.skip(why)
    try:
        {**NODE_CASES, **CONVERTED_CASES}[name](None)
    except unittest.SkipTest as error:
        pytest.fail(f"{error}, and SKIPPED does not say why")


def test_every_case_that_is_skipped_is_one_that_convkit_cannot_run() -> None:
    for name, case in {**NODE_CASES, **CONVERTED_CASES}.items():
        if reason_to_skip(name):
            with pytest.raises((TypeError, ValueError, unittest.SkipTest), match=r"convkit|compat"):
                case(None)


def test_every_reason_is_needed() -> None:
    for pattern in SKIPPED:
        assert any(re.fullmatch(pattern, name) for name in [*NODE_CASES, *CONVERTED_CASES]), pattern


# These have one case, and its expansion.
ONE_CASE = ("HardSwish", "Mish", "Relu")


def test_every_operator_has_cases() -> None:
    """A pattern that matches nothing would prove nothing."""
    passed = [name for name in NODE_CASES if not reason_to_skip(name)]
    for op in OPERATIONS:
        prefix = {"BatchNormalization": "batchnorm", "Conv": "(basic_)?conv"}.get(op, op.lower())
        found = [name for name in passed if re.match(f"test_{prefix}(_|$)", name)]
        assert len(found) >= 2 or op in ONE_CASE, op
    assert len(passed) >= 70


# What no case of ONNX's asks for.


def test_a_node_runs_by_itself() -> None:
    node = onnx.helper.make_node("Gemm", ["a", "b"], ["y"], transB=1, alpha=2.0)
    a, b = np.ones((2, 3), np.float32), np.ones((4, 3), np.float32)
    (y,) = Backend.run_node(node, [a, b])
    np.testing.assert_array_equal(y, np.full((2, 4), 6, np.float32))


def test_other_types_devices_and_operators_are_refused() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"])
    with pytest.raises(TypeError, match="Relu: convkit computes in float32, received float64"):
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
    result = Backend.prepare(proto).run(list(inputs.values()))[0]
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
