"""Every attribute of every operator that `onnx.load` reads, at values that are not its default.

Each file is either refused, by the operator's name, or computes what onnxruntime says, or the
package onnx where that does not run it. The model is not allowed to compare itself with the file,
so that what is tried is the reading alone. The attributes are taken from ONNX's own definitions:
one that is missing in the table fails, also one that a later version of ONNX brings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit.onnx.importer import from_file, read_proto
from convkit.onnx.nodes import _READERS
from onnx_graphs import FLOAT, chain, floats, graph_of, helper, onnx, saved

OPSETS = (9, 10, 11, 12, 13, 14, 18, 19, 20, 22, 25)
BATCH = 3  # as many as units below: what is meant for the one must not be taken for the other
IMAGES, VECTORS = (BATCH, 4, 7, 6), (BATCH, 5)
WINDOW = [3, 2]
PADS = {"pads": [1, 0, 1, 1]}
AUTOMATIC = ["SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"]

# For each operator: the input's shape, the constants, and the attributes that it cannot do without.
Base = tuple[tuple[int, ...], dict[str, Array], dict[str, Any]]
BASES: dict[str, Base] = {
    "Add": (IMAGES, {"c": floats(4, 1, 1)}, {}),
    "AveragePool": (IMAGES, {}, {"kernel_shape": WINDOW}),
    "BatchNormalization": (IMAGES, {name: floats(4) for name in "abcd"}, {}),
    "Cast": (VECTORS, {}, {"to": FLOAT}),
    "Clip": (VECTORS, {"low": np.float32(0), "high": np.float32(0.5)}, {}),
    "Concat": (IMAGES, {}, {"axis": 1}),
    "ConvTranspose": (IMAGES, {"w": floats(4, 6, *WINDOW), "b": floats(6)}, {}),
    "Conv": (IMAGES, {"w": floats(6, 4, *WINDOW), "b": floats(6)}, {}),
    "Div": (IMAGES, {"c": floats(4, 1, 1)}, {}),
    "Dropout": (VECTORS, {}, {}),
    "Elu": (VECTORS, {}, {}),
    "Erf": (VECTORS, {}, {}),
    "Exp": (VECTORS, {}, {}),
    "Flatten": ((BATCH, 4, 2, 3), {}, {}),
    "Gelu": (VECTORS, {}, {}),
    "Gemm": (VECTORS, {"w": floats(5, 3), "b": floats(3)}, {}),
    "GlobalAveragePool": (IMAGES, {}, {}),
    "GlobalMaxPool": (IMAGES, {}, {}),
    "GroupNormalization": (IMAGES, {"s": floats(4), "b": floats(4)}, {"num_groups": 2}),
    "HardSigmoid": (VECTORS, {}, {"alpha": 1 / 6}),
    "HardSwish": (VECTORS, {}, {}),
    "Identity": (VECTORS, {}, {}),
    "InstanceNormalization": (IMAGES, {"s": floats(4), "b": floats(4)}, {}),
    "LayerNormalization": (VECTORS, {"s": floats(5), "b": floats(5)}, {}),
    "LeakyRelu": (VECTORS, {}, {}),
    "LogSoftmax": (VECTORS, {}, {}),
    "MatMul": (VECTORS, {"w": floats(5, 3)}, {}),
    "Max": (IMAGES, {}, {}),
    "MaxPool": (IMAGES, {}, {"kernel_shape": WINDOW}),
    "Mean": (IMAGES, {}, {}),
    "Min": (IMAGES, {}, {}),
    "Mish": (VECTORS, {}, {}),
    "Mul": (IMAGES, {"c": floats(4, 1, 1)}, {}),
    "PRelu": (IMAGES, {"slope": floats(4, 1, 6)}, {}),
    "Pad": (IMAGES, {"p": np.array([0, 0, 1, 0, 0, 0, 2, 1])}, {}),
    "ReduceMax": (IMAGES, {"axes": np.array([2, 3])}, {}),
    "ReduceMean": (IMAGES, {"axes": np.array([2, 3])}, {}),
    "Relu": (VECTORS, {}, {}),
    "Reshape": ((BATCH, 4, 2, 3), {"s": np.array([0, -1])}, {}),
    "Resize": (IMAGES, {"": np.float32(0), "s": np.float32([1, 1, 2, 3])}, {}),
    "Selu": (VECTORS, {}, {}),
    "Sigmoid": (VECTORS, {}, {}),
    "Slice": (
        IMAGES,
        {"b": np.array([1, 0]), "e": np.array([7, 5]), "a": np.array([2, 3])},
        {},
    ),
    "Softmax": (VECTORS, {}, {}),
    "Softplus": (VECTORS, {}, {}),
    "Softsign": (VECTORS, {}, {}),
    "Split": (IMAGES, {"s": np.array([3, 4])}, {"axis": 2}),
    "Squeeze": ((BATCH, 4, 1, 1), {"axes": np.array([2, 3])}, {}),
    "Sub": (IMAGES, {"c": floats(4, 1, 1)}, {}),
    "Sum": (IMAGES, {}, {}),
    "Swish": (VECTORS, {}, {}),
    "Tanh": (VECTORS, {}, {}),
    "ThresholdedRelu": (VECTORS, {}, {}),
    "Transpose": (IMAGES, {}, {"perm": [0, 3, 1, 2]}),
    "Unsqueeze": (VECTORS, {"axes": np.array([2, 3])}, {}),
    "Upsample": (IMAGES, {"s": np.float32([1, 1, 2, 3])}, {}),
}
# What was an attribute once and is an input since that version.
INPUT_SINCE = {
    **{"Clip": 11, "Pad": 11, "ReduceMax": 18, "ReduceMean": 18, "Slice": 10, "Split": 13},
    **{"Squeeze": 13, "Unsqueeze": 13},
}
# What reads several tensors.
OF_TENSORS = ("Concat", "Max", "Mean", "Min", "Sum")
ATTRIBUTES_BEFORE: dict[str, dict[str, Any]] = {
    "Clip": {"min": 0.0, "max": 0.5},
    "Pad": {"pads": [0, 0, 1, 0, 0, 0, 2, 1]},
    "ReduceMax": {"axes": [2, 3]},
    "ReduceMean": {"axes": [2, 3]},
    "Slice": {"starts": [0, 0, 1], "ends": [9, 9, 6]},
    "Split": {"axis": 2, "split": [3, 4]},
    "Squeeze": {"axes": [2, 3]},
    "Unsqueeze": {"axes": [2, 3]},
}

# For each attribute values that are not its default, each alone or with others that it needs.
WINDOWS: dict[str, list[Any]] = {
    "auto_pad": [*AUTOMATIC, *({"auto_pad": a, "strides": [2, 2]} for a in AUTOMATIC)],
    "dilations": [[2, 1], [1, 2], {"dilations": [2, 2], "auto_pad": "SAME_UPPER"}],
    "kernel_shape": [[2, 3], [1, 1], [7, 6], [3, 3]],
    "pads": [[1, 0, 1, 1], [0, 1, 0, 1], [2, 1, 0, 0], [0, 0, 1, 1]],
    "strides": [[2, 1], [2, 2], [3, 2], {"strides": [2, 2], **PADS}],
}
POOLS: dict[str, list[Any]] = {
    **WINDOWS,
    "ceil_mode": [
        1,
        {"ceil_mode": 1, "strides": [2, 2]},
        {"ceil_mode": 1, "strides": [3, 4], **PADS},
        {"ceil_mode": 1, "strides": [2, 2], "auto_pad": "SAME_LOWER"},
    ],
}
HOW = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric")
ROUNDING = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
VALUES: dict[str, dict[str, list[Any]]] = {
    "AveragePool": {
        **POOLS,
        "count_include_pad": [
            {"count_include_pad": 1, **PADS},
            {"count_include_pad": 1, "auto_pad": "SAME_UPPER"},
            {"count_include_pad": 1, "strides": [2, 2], "ceil_mode": 1, **PADS},
        ],
    },
    "BatchNormalization": {
        "epsilon": [0.1, 1e-3],
        "momentum": [0.5, 0.0, 1.0],
        "training_mode": [1],
    },
    "Cast": {
        "to": [int(kind) for kind in (11, 10, 7, 9, 16)],
        "saturate": [0],
        "round_mode": ["down"],
    },
    "Clip": {"min": [0.25, -1.0, {"min": 0.0}], "max": [6.0, 0.0, -1.0, {"max": 0.25}]},
    "Concat": {"axis": [0, 1, 2, 3, -1, -4]},
    "Conv": {**WINDOWS, "group": [2, 4, 3]},
    "ConvTranspose": {
        **WINDOWS,
        "group": [2],
        "output_padding": [{"output_padding": [1, 0], "strides": [2, 2]}],
        "output_shape": [[9, 7], {"output_shape": [14, 12], "strides": [2, 2]}],
    },
    "Dropout": {"ratio": [0.25, 0.0], "seed": [7]},
    "Elu": {"alpha": [0.5, 2.0, 0.0, -1.0]},
    "Flatten": {"axis": [0, 1, 2, 3, 4, -1, -2, -3]},
    "Gelu": {"approximate": ["tanh", "none"]},
    "Gemm": {"alpha": [0.5, 0.0], "beta": [0.5, 0.0, -1.0], "transA": [1], "transB": [1]},
    "GroupNormalization": {"epsilon": [0.1], "num_groups": [1, 4, 3], "stash_type": [10]},
    "HardSigmoid": {"alpha": [0.2, 1 / 6], "beta": [0.25, 0.0]},
    "InstanceNormalization": {"epsilon": [0.1]},
    "LayerNormalization": {"axis": [1, 0, -2], "epsilon": [0.1], "stash_type": [10]},
    "LeakyRelu": {"alpha": [0.5, 0.0, 1.0, -0.5]},
    "LogSoftmax": {"axis": [0, 1, -2]},
    "MaxPool": {**POOLS, "storage_order": [1]},
    "Pad": {
        "mode": ["reflect", "edge", "wrap", "constant"],
        "pads": [
            *([0, 0, 0, 1, 0, 0, 0, 2], [0, 0, -1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0]),
            *([0, 0, -1, 2, 0, 0, 1, -3], [0, 0, -4, 0, 0, 0, -3, 0]),
        ],
        "value": [1.0, -0.5],
    },
    "Resize": {
        "antialias": [1],
        "axes": [[2, 3]],
        "coordinate_transformation_mode": [
            *(
                {"mode": mode, "coordinate_transformation_mode": how, "nearest_mode": rounding}
                for mode in ("nearest", "linear")
                for how in HOW
                for rounding in ROUNDING
            ),
        ],
        "cubic_coeff_a": [{"mode": "cubic", "cubic_coeff_a": -0.5}],
        "exclude_outside": [{"mode": "cubic", "exclude_outside": 1}],
        "extrapolation_value": [1.0],
        "keep_aspect_ratio_policy": ["not_larger"],
        "mode": ["nearest", "linear", "cubic"],
        "nearest_mode": [*ROUNDING],
    },
    "ReduceMean": {
        "axes": [[2], [3, 2], [-1, -2], [1], [0, 2, 3], [1, 2, 3]],
        "keepdims": [0],
        "noop_with_empty_axes": [1],
    },
    "Reshape": {"allowzero": [1]},
    "Selu": {"alpha": [1.0, 1.6732632], "gamma": [1.0, 1.050701]},
    "Slice": {"starts": [[0, 0, 2]], "ends": [[9, 9, 3]], "axes": [[0, 1, 3], [-3, -2, -1]]},
    "Softmax": {"axis": [0, 1, -2]},
    "Split": {"axis": [3, 1, -2], "num_outputs": [3], "split": [[5, 2]]},
    "Squeeze": {"axes": [[2], [-1], [3, 2], [2, 3]]},
    "Swish": {"alpha": [0.5, 1.0]},
    "Unsqueeze": {"axes": [[1], [2], [-1, 2], [0]]},
    "Upsample": {"mode": ["linear", "nearest"], "scales": []},
    "ThresholdedRelu": {"alpha": [0.25, 0.0, -0.5]},
    "Transpose": {"perm": [[0, 2, 3, 1], [0, 1, 2, 3], [0, 1, 3, 2], [1, 0, 2, 3]]},
}


VALUES["ReduceMax"] = VALUES["ReduceMean"]


def attributes_of(op: str, opset: int) -> set[str]:
    try:
        return set(onnx.defs.get_schema(op, opset).attributes)
    except onnx.defs.SchemaError:
        return set()  # that version does not have the operator


def has(op: str, opset: int) -> bool:
    versions = [
        (each.since_version, each.deprecated)
        for each in onnx.defs.get_all_schemas_with_history()
        if each.name == op and not each.domain and each.since_version <= opset
    ]
    return bool(versions) and not max(versions)[1]


def graph(op: str, opset: int, given: dict[str, Any], constants: dict[str, Array]) -> Any:
    """A file of one such node, and of a MatMul behind what flattens."""
    shape = BASES[op][0]
    others = ["x"] if op in OF_TENSORS else list(constants)
    steps: list[tuple[str, Sequence[str], dict[str, Any]]] = [(op, others, given)]
    constants = {name: array for name, array in constants.items() if name}
    if op in ("Flatten", "Reshape", "Squeeze"):
        axis = given.get("axis", 1)
        rows = int(np.prod(shape[axis:])) if op == "Flatten" else int(np.prod(shape[1:]))
        steps.append(("MatMul", ["weights"], {}))
        constants["weights"] = floats(rows, 2)
    proto = graph_of(chain(*steps), shape, constants, opset=opset)
    if op == "Split":
        proto.graph.node[0].output.append("rest")
    return proto


def case(op: str, opset: int, attribute: str | None, value: Any) -> Any:
    _, constants, given = BASES[op]
    if opset < INPUT_SINCE.get(op, 0):
        constants, given = {}, ATTRIBUTES_BEFORE[op]
    changes = value if isinstance(value, dict) else {attribute: value} if attribute else {}
    given = {**given, **changes}
    constants = dict(constants)
    if op == "Conv" and "kernel_shape" in changes:
        constants["w"] = floats(6, 4, *changes["kernel_shape"])
    if op == "Conv" and "group" in changes:
        constants["w"] = floats(12, 4 // changes["group"] or 1, *WINDOW)
        constants["b"] = floats(12)
    if op == "Resize" and opset < 11:
        constants = {"s": constants["s"]}
    if op == "Resize" and opset in (11, 12):
        constants = {"roi": np.zeros(0, np.float32), "s": constants["s"]}
    if op == "Resize" and "axes" in changes:
        constants["s"] = np.float32([2, 3])
    if op == "GroupNormalization" and opset < 21:  # its factors are the groups'
        constants = {name: floats(given["num_groups"]) for name in constants}
    if "allowzero" in changes:
        constants["s"] = np.array([BATCH, -1])
    if changes.get("transB"):
        constants["w"] = floats(3, 5)
    return graph(op, opset, given, constants)


def expected(proto: Any, x: Array) -> Array | None:
    """What onnxruntime makes of x, or the package onnx; None if the file is not valid."""
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError):
        return None
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = runtime.InferenceSession(proto.SerializeToString(), options)
        return np.asarray(session.run(None, {"x": x})[0])
    except Exception:  # onnxruntime's own, by no common name
        try:
            return np.asarray(onnx.reference.ReferenceEvaluator(proto).run(None, {"x": x})[0])
        except Exception:  # nobody knows what it should be
            return None


def outcome(proto: Any, folder: Path) -> str | None:
    """None if the model is what the file is, else why the file is refused."""
    dims = proto.graph.input[0].type.tensor_type.shape.dim
    x = np.random.default_rng(4).standard_normal([d.dim_value for d in dims]).astype(np.float32)
    right = expected(proto, x)
    path = saved(proto, folder)
    try:
        assert convkit.onnx.load(path, verify=False).built
    except ValueError as error:
        return str(error).partition("model.onnx: ")[2]
    assert right is not None, "nobody else runs this file"
    read = read_proto(onnx.load(path), folder)
    given = from_file(read._replace(back=read.moved), [x])[0]
    y = read.model.predict(np.ascontiguousarray(given), verbose=0)
    (expected_y,) = from_file(read, [right])
    assert y.shape == expected_y.shape
    np.testing.assert_allclose(y, expected_y, rtol=1e-5, atol=1e-5)
    return None


def test_the_tables_are_complete() -> None:
    assert set(BASES) == set(_READERS)
    for op in BASES:
        found = set().union(*(attributes_of(op, opset) for opset in (*OPSETS, 100)))
        assert found <= set(VALUES.get(op, {})), op


@pytest.mark.parametrize(("op", "opset"), [(o, v) for o in BASES for v in OPSETS if has(o, v)])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_attributes(op: str, opset: int, tmp_path: Path) -> None:
    plain = outcome(case(op, opset, None, None), tmp_path)
    if op in ("Cast", "Identity"):
        assert plain == "there is nothing to make a layer of: the network gives its input as it is"
    elif op == "Erf":
        assert plain is not None
        assert "as a part of GELU alone" in plain
    elif op not in ("Transpose", "GroupNormalization"):
        assert plain is None
    refusals = {
        f"{attribute}={value}": outcome(case(op, opset, attribute, value), tmp_path)
        for attribute in sorted(attributes_of(op, opset))
        for value in VALUES[op][attribute]
    }
    for given, refusal in refusals.items():
        by_name = refusal is None or refusal.startswith((f"{op}: ", "it is not a valid ONNX model"))
        # Nothing is left of what moves the channels, or nothing, before and after nothing.
        nothing = plain is not None or op == "Unsqueeze"
        assert by_name or (nothing and "nothing to make" in refusal), (given, refusal)
    assert None in refusals.values() or not refusals or op in ("Cast", "Gelu", "Transpose")


# Inputs that say more than one thing, by their shape or by being there.


def gemm(bias: Array) -> Callable[[], Any]:
    return lambda: graph("Gemm", 20, {}, {"w": floats(5, 3), "b": bias})


def dropout(training: bool, opset: int) -> Callable[[], Any]:
    return lambda: graph(
        "Dropout", opset, {}, {"ratio": np.float32(0.5), "training": np.array(training)}
    )


def clip(*bounds: float | None) -> Callable[[], Any]:
    def make() -> Any:
        names = [f"c{i}" if bound is not None else "" for i, bound in enumerate(bounds)]
        constants = {n: np.float32(b) for n, b in zip(names, bounds, strict=True) if n}
        return graph_of([helper.make_node("Clip", ["x", *names], ["y"])], VECTORS, constants)

    return make


def normalised(outputs: Sequence[str], opset: int, **given: Any) -> Callable[[], Any]:
    node = helper.make_node("BatchNormalization", ["x", *"abcd"], ["y", *outputs], **given)
    return lambda: graph_of([node], IMAGES, {n: floats(4) for n in "abcd"}, opset=opset)


def constant(op: str, *shape: int) -> Callable[[], Any]:
    return lambda: graph_of(chain((op, ["c"], {})), IMAGES, {"c": floats(*shape)})


INPUTS: dict[str, tuple[Callable[[], Any], str | None]] = {
    "a bias for each unit": (gemm(floats(3)), None),
    "a bias for each unit, as a row": (gemm(floats(1, 3)), None),
    "a bias for all": (gemm(floats(1, 1)), None),
    "a bias for each sample": (gemm(floats(BATCH, 1)), r"must have shape \(3,\), received \(3, 1"),
    "a bias for each number": (gemm(floats(BATCH, 3)), r"must have shape \(3,\), received \(3, 3"),
    "dropout told to rest": (dropout(False, 13), None),
    "dropout told to train": (dropout(True, 13), "needs training_mode=False"),
    "dropout told to train, later": (dropout(True, 22), "needs training_mode=False"),
    "no bounds": (clip(), "min=-inf, max=inf"),
    "a lower bound": (clip(0.0), None),
    "an upper bound": (clip(None, 6.0), "min=-inf, max=6.0"),
    "ReLU6": (clip(0.0, 6.0), None),
    "a range around 0": (clip(-1.0, 1.0), "min=-1.0, max=1.0"),
    "a range that is empty": (clip(0.0, -1.0), "min=0.0, max=-1.0"),
    "no lower than -inf": (clip(-np.inf, 6.0), "min=-inf, max=6.0"),
    "no higher than inf": (clip(0.0, np.inf), None),
    "NaN": (clip(0.0, np.nan), "max=nan"),
    "statistics put out": (normalised(["m", "v"], 14, training_mode=1), "training_mode=0"),
    "statistics put out by more": (normalised(["m", "v", "s", "t"], 9), "more than one output"),
    "one for each channel": (constant("Mul", 4, 1, 1), None),
    "one for each channel and a batch": (constant("Add", 1, 4, 1, 1), None),
    "one for each column": (constant("Mul", 6), None),
    "one for each row": (constant("Add", 7, 1), "must be a number or have one for each channel"),
    "one for each image": (constant("Mul", BATCH, 1, 1, 1), "have one for each channel"),
    "one for each pixel": (constant("Add", 4, 7, 6), "have one for each channel"),
    "one more axis": (constant("Mul", 1, 1, 1, 1, 1), "have one for each channel"),
}


@pytest.mark.parametrize("name", INPUTS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_inputs(name: str, tmp_path: Path) -> None:
    make, message = INPUTS[name]
    refusal = outcome(make(), tmp_path)
    if message is None:
        assert refusal is None, refusal
    else:
        assert refusal is not None
        assert re.search(message, refusal), refusal
