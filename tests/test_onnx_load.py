"""ONNX files that others wrote, well and ill: what is understood, and what is refused and how."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import layers

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


def check(proto: Any, folder: Path) -> None:
    """Load the model and hold it against onnxruntime."""
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")
    path = saved(proto, folder)
    model = convkit.onnx.load(path)
    dims = proto.graph.input[0].type.tensor_type.shape.dim[1:]
    batch = proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value or 2
    x = np.random.default_rng(1).standard_normal((batch, *(d.dim_value for d in dims)))
    x = x.astype(np.float32)
    (expected,) = runtime.InferenceSession(path).run(None, {"x": x})
    ours = np.moveaxis(x, 1, -1) if x.ndim > 2 and model.input_shape != (None, *x.shape[1:]) else x
    y = model.predict(np.ascontiguousarray(ours), verbose=0)
    y = np.moveaxis(y, -1, 1) if y.ndim > 2 else y
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)


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


# What is understood.

UNDERSTOOD: dict[str, Callable[[], Any]] = {
    "a bias by Add": lambda: graph_of(
        chain(("MatMul", ["w"], {}), ("Add", ["b"], {})),
        ["N", 5],
        {"w": floats(5, 3), "b": floats(3)},
    ),
    "a convolution's bias by Add": lambda: graph_of(
        chain(("Conv", ["w"], {}), ("Add", ["b"], {}), ("Relu", [], {})),
        ["N", 2, 5, 5],
        {"w": floats(3, 2, 2, 2), "b": floats(3, 1, 1)},
    ),
    "pixels scaled": lambda: graph_of(
        chain(("Div", ["a"], {}), ("Sub", ["m"], {}), ("Mul", ["s"], {})),
        ["N", 3, 2, 2],
        {"a": np.float32(255), "m": floats(1, 3, 1, 1), "s": floats(3, 1, 1)},
    ),
    "Gemm with everything": lambda: graph_of(
        [node("Gemm", "w", "b", alpha=0.5, beta=2.0, transB=1)],
        ["N", 4],
        {"w": floats(3, 4), "b": floats(1, 3)},
    ),
    "Gemm with one number": lambda: graph_of(
        [node("Gemm", "w", "b")], ["N", 4], {"w": floats(4, 3), "b": np.float32(0.5)}
    ),
    "a batch without a name": lambda: graph_of(
        chain(("Reshape", ["s"], {}), ("Gemm", ["w"], {})),
        [None, 2, 3, 3],
        {"s": np.array([0, -1]), "w": floats(18, 4)},
    ),
    "a batch of one": lambda: graph_of(
        chain(("Flatten", [], {"axis": -3}), ("Gemm", ["w"], {})),
        [1, 2, 3, 3],
        {"w": floats(18, 4)},
    ),
    "a pooled image squeezed": lambda: graph_of(
        chain(("GlobalMaxPool", [], {}), ("Squeeze", ["a"], {}), ("Gemm", ["w"], {})),
        ["N", 3, 4, 4],
        {"a": np.array([2, 3]), "w": floats(3, 2)},
    ),
    "a pooled image left an image": lambda: graph_of(
        chain(("GlobalAveragePool", [], {}), ("Conv", ["w"], {})),
        ["N", 3, 4, 5],
        {"w": floats(2, 3, 1, 1)},
    ),
    "channels-last images": lambda: graph_of(
        chain(("Transpose", [], {"perm": [0, 3, 1, 2]}), ("Conv", ["w"], {})),
        ["N", 5, 6, 2],
        {"w": floats(3, 2, 2, 2)},
    ),
    "old softmax, dropout and pads": lambda: graph_of(
        chain(
            ("Pad", [], {"pads": [0, 0, 1, 0, 0, 0, 0, 2]}),
            ("MaxPool", [], {"kernel_shape": [2, 2]}),
            ("Dropout", [], {"ratio": 0.25}),
            ("Flatten", [], {}),
            ("Softmax", [], {}),
        ),
        ["N", 1, 4, 4],
        opset=9,
    ),
    "Identity, Cast and Constant": lambda: graph_of(
        [
            helper.make_node("Constant", [], ["c"], value_float=2.0),
            helper.make_node("Identity", ["x"], ["a"]),
            helper.make_node("Cast", ["a"], ["b"], to=FLOAT),
            helper.make_node("Mul", ["c", "b"], ["y"]),
        ],
        ["N", 4],
    ),
    "a vector made an image": lambda: graph_of(
        chain(("Reshape", ["s"], {}), ("Conv", ["w"], {})),
        ["N", 12],
        {"s": np.array([-1, 1, 3, 4]), "w": floats(2, 1, 2, 2)},
    ),
    "a maximum padded behind ReLU": lambda: graph_of(
        chain(
            ("Relu", [], {}),
            ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
        ),
        ["N", 2, 8, 8],
    ),
    "depthwise": lambda: graph_of(
        [node("Conv", "w", "b", group=3, pads=[1, 1, 1, 1])],
        ["N", 3, 5, 5],
        {"w": floats(6, 1, 3, 3), "b": floats(6)},
    ),
}


@pytest.mark.parametrize("name", UNDERSTOOD)
@pytest.mark.filterwarnings("ignore:.*divide by zero")
def test_files_of_others(name: str, tmp_path: Path) -> None:
    check(UNDERSTOOD[name](), tmp_path)


def test_settings_that_only_training_sees(tmp_path: Path) -> None:
    proto = graph_of(
        chain(
            ("BatchNormalization", list("abcd"), {"momentum": 0.75, "epsilon": 1e-3}),
            ("Dropout", ["r"], {}),
        ),
        ["N", 4],
        {**{name: floats(4) for name in "abcd"}, "r": np.float32(0.1)},
    )
    norm, dropout = convkit.onnx.load(saved(proto, tmp_path)).layers
    assert isinstance(norm, layers.BatchNormalization)
    assert isinstance(dropout, layers.Dropout)
    assert (norm.momentum, norm.epsilon, dropout.rate) == (0.75, 0.001, 0.1)


def random_windows(rng: np.random.Generator, op: str) -> Any:
    size, strides = ([int(v) for v in rng.integers(1, 4, 2)] for _ in (0, 1))
    attributes: dict[str, Any] = {"kernel_shape": size, "strides": strides}
    if automatic := str(rng.choice(["", "SAME_UPPER", "SAME_LOWER", "VALID"])):
        attributes["auto_pad"] = automatic
        if "SAME" in automatic:  # smaller windows make onnxruntime's pads negative
            attributes["strides"] = [min(pair) for pair in zip(size, strides, strict=True)]
    else:
        attributes["pads"] = [int(rng.integers(0, k)) for _ in (0, 1) for k in size]
        if op != "Conv":
            attributes["ceil_mode"] = int(rng.integers(0, 2))
    if op == "AveragePool":
        attributes["count_include_pad"] = int(rng.integers(0, 2))
    constants = {"w": floats(4, 3, *size)} if op == "Conv" else {}
    return graph_of([node(op, *constants, **attributes)], ["N", 3, 9, 10], constants)


@pytest.mark.parametrize(("op", "least"), [("Conv", 50), ("MaxPool", 35), ("AveragePool", 35)])
def test_random_windows(op: str, least: int, tmp_path: Path) -> None:
    """Pads in numbers and by name: the same as onnxruntime, or refused because of a pool's pads."""
    refusals = []
    for seed in range(50):
        try:
            check(random_windows(np.random.default_rng(seed), op), tmp_path)
        except ValueError as error:
            refusals.append(str(error))
    assert len(refusals) <= 50 - least
    assert all("neither padding='valid' nor padding='same'" in each for each in refusals), refusals


def test_weights_in_a_file_beside_it(tmp_path: Path) -> None:
    proto = graph_of([node("Gemm", "w")], ["N", 400], {"w": floats(400, 3)})
    onnx.save(
        proto, tmp_path / "m.onnx", save_as_external_data=True, location="weights.bin",
        size_threshold=0,
    )  # fmt: skip
    assert os.path.getsize(tmp_path / "m.onnx") < 1000
    model = convkit.onnx.load(tmp_path / "m.onnx")
    np.testing.assert_array_equal(model.get_weights()[0], floats(400, 3))


# What is refused.

RELU = ("Relu", [], {})


def branching() -> Any:
    nodes = [
        helper.make_node("Relu", ["x"], ["a"], name="left"),
        helper.make_node("Sigmoid", ["x"], ["b"], name="right"),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    return graph_of(nodes, ["N", 3])


def two_inputs() -> Any:
    proto = graph_of([helper.make_node("Add", ["x", "z"], ["y"])], ["N", 3])
    proto.graph.input.append(helper.make_tensor_value_info("z", FLOAT, ["N", 3]))
    return proto


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "branches": (branching, r'"x" is read by Relu "left", Sigmoid "right"'),
    "two inputs": (two_inputs, r"has 2 and 1: \['x', 'z', 'y'\]"),
    "its input twice": (
        lambda: graph_of([helper.make_node("Add", ["x", "x"], ["y"])], ["N", 3]),
        'read "x" only as its first input, and once',
    ),
    "an unknown operator": (
        lambda: graph_of([node("LogSoftmax")], ["N", 3]),
        r'LogSoftmax "the_LogSoftmax": convkit cannot make a layer of this operator; it knows Add',
    ),
    "another domain": (
        lambda: graph_of([node("Relu", domain="com.example")], ["N", 3], domains=["com.example"]),
        'operators of the domain "com.example" are unknown',
    ),
    "training mode": (
        lambda: graph_of(
            [
                helper.make_node(
                    "BatchNormalization", ["x", *"abcd"], ["y", "m", "v"], training_mode=1
                )
            ],
            ["N", 3],
            {name: floats(3) for name in "abcd"},
        ),
        "needs training_mode=0, received 1",
    ),
    "a transposed input": (
        lambda: graph_of([node("Gemm", "w", transA=1)], ["N", 3], {"w": floats(3, 2)}),
        "needs transA=0, received 1|not a valid ONNX model",
    ),
    "1-D convolution": (
        lambda: graph_of([node("Conv", "w")], ["N", 3, 9], {"w": floats(2, 3, 3)}),
        r"windows of two dimensions, received 1: \(3,\)",
    ),
    "a dilated pool": (
        lambda: graph_of([node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])], ["N", 1, 9, 9]),
        r"pools have no dilation, received \(2, 2\)",
    ),
    "softmax elsewhere": (
        lambda: graph_of([node("Softmax", axis=-1)], ["N", 3, 4, 4]),
        r"runs along the channels, axis 1 of \(N, 3, 4, 4\), received axis -1",
    ),
    "GELU by tanh": (
        lambda: graph_of([node("Gelu", approximate="tanh")], ["N", 3]),
        "approximate='none' alone, received 'tanh'",
    ),
    "another transposition": (
        lambda: graph_of([node("Transpose", perm=[0, 1, 3, 2])], ["N", 3, 4, 4]),
        r"channels-first and channels-last .* received perm \(0, 1, 3, 2\)",
    ),
    "a reshape across samples": (
        lambda: graph_of([node("Reshape", "s")], ["N", 3, 4, 4], {"s": np.array([-1, 4])}),
        "reshapes each sample by itself",
    ),
    "images flattened at the end": (
        lambda: graph_of([node("Flatten")], ["N", 3, 4, 4]),
        "ends with the values of flattened channels-first images",
    ),
    "a mean over channels": (
        lambda: graph_of([node("ReduceMean", "a")], ["N", 3, 4, 4], {"a": np.array([1])}),
        r"means over the rows and columns .* received axes \[1\]",
    ),
    "pads of the batch": (
        lambda: graph_of(
            [node("Pad", "p")], ["N", 1, 4, 4], {"p": np.array([1, 0, 0, 0, 0, 0, 0, 0])}
        ),
        "pads the rows and columns",
    ),
    "pads with ones": (
        lambda: graph_of(
            [node("Pad", "p", "v")],
            ["N", 1, 4, 4],
            {"p": np.array([0, 0, 1, 0, 0, 0, 0, 0]), "v": np.float32(1)},
        ),
        "pads with zeros alone, received 1.0",
    ),
    "computed weights": (
        lambda: graph_of(
            [
                helper.make_node("Relu", ["w"], ["v"]),
                helper.make_node("MatMul", ["x", "v"], ["y"], name="the_MatMul"),
            ],
            ["N", 3],
            {"w": floats(3, 2)},
        ),
        'besides "x" it reads "v", which is no constant',
    ),
    "float64": (
        lambda: graph_of(
            [node("MatMul", "w")], ["N", 3], {"w": np.ones((3, 2))}, kind=onnx.TensorProto.DOUBLE
        ),
        'constant "w" is of the type DOUBLE; convkit computes in float32',
    ),
    "float64 alone": (
        lambda: graph_of([node("Relu")], ["N", 3], kind=onnx.TensorProto.DOUBLE),
        'input "x" must be float32, but is DOUBLE',
    ),
    "weights of integers": (
        lambda: graph_of([node("Mul", "w")], ["N", 3], {"w": np.ones(3, np.int64)}),
        "input 1 must be float32, received int64|valid ONNX",
    ),
    "images of any size": (
        lambda: graph_of([node("Relu")], ["N", 3, "height", "width"]),
        r"must be given as positive numbers, received \('N', 3, 'height', 'width'\)",
    ),
    "no sizes": (
        lambda: graph_of([node("Relu")], ["N"]),
        "must have the batch and at least one size more",
    ),
    "weights for other channels": (
        lambda: graph_of([node("Gemm", "w")], [None, 2, 2, 2], {"w": floats(8, 2)}),
        "valid ONNX model|need inputs",
    ),
    "an old file": (lambda: graph_of([node("Relu")], ["N", 3], opset=8), "are of version 8"),
    "padded maxima of anything": (
        lambda: graph_of(
            [node("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
            ["N", 1, 8, 8],
        ),
        r"pads \(1, 1, 1, 1\) .* neither padding='valid' nor padding='same' on \(N, 1, 8, 8\)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_sequential_is_not_is_refused(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        convkit.onnx.load(saved(make(), tmp_path))
    assert str(caught.value).startswith(str(tmp_path / "model.onnx"))


def dense() -> Any:
    return graph_of([node("Gemm", "w")], ["N", 4], {"w": floats(4, 2)})


def hostile() -> dict[str, tuple[Any, str]]:
    """Files that claim more than they hold, each with what the error says."""
    huge = 1 << 40

    def weights(**changes: Any) -> Any:
        proto = dense()
        for name, value in changes.items():
            field = getattr(proto.graph.initializer[0], name)
            del field[:]
            field.extend(value)
        return proto

    images = graph_of(
        chain(("Flatten", [], {}), ("Gemm", ["w"], {})),
        ["N", 1, huge, huge],
        {"w": floats(4, 2)},
    )
    channels = graph_of(
        [node("BatchNormalization", *"abcd")],
        ["N", huge, 2, 2],
        {name: floats(3) for name in "abcd"},
    )
    windows = graph_of(
        [node("MaxPool", kernel_shape=[huge, huge], pads=[huge] * 4)], ["N", 1, 2, 2]
    )
    filters = graph_of([node("Conv", "w", group=huge)], ["N", 3, 4, 4], {"w": floats(2, 3, 2, 2)})
    constant = graph_of(
        [
            helper.make_node("Constant", [], ["w"], value=onnx.TensorProto(
                dims=[huge, 2], data_type=FLOAT, name="w", raw_data=b"1234"
            )),
            helper.make_node("Relu", ["x"], ["y"]),
        ],
        ["N", 4],
    )  # fmt: skip
    return {
        "weights without data": (weights(dims=[huge, huge]), "the file holds 32"),
        "weights of a negative size": (weights(dims=[-4, -2]), "impossible shape"),
        "weights of many dimensions": (weights(dims=[1] * 1000), "impossible shape"),
        "large images": (images, "need inputs|valid ONNX"),
        "many channels": (channels, "expected vectors|valid ONNX"),
        "large windows": (windows, "pads|valid|must be"),
        "many groups": (filters, "groups|valid ONNX"),
        "a large constant": (constant, "too small for the declared shape"),
    }


@pytest.mark.parametrize("name", hostile())
def test_nothing_is_allocated_that_a_file_does_not_hold(name: str, tmp_path: Path) -> None:
    proto, message = hostile()[name]
    path = saved(proto, tmp_path)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            convkit.onnx.load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x08" * 100, os.urandom(200)])
def test_other_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.onnx"):
        convkit.onnx.load(tmp_path / "model.onnx")


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = dense().SerializeToString()
    for length in range(len(content)):
        (tmp_path / "model.onnx").write_bytes(content[:length])
        with pytest.raises(ValueError, match=r"model\.onnx"):
            convkit.onnx.load(tmp_path / "model.onnx")
    with pytest.raises(FileNotFoundError):
        convkit.onnx.load(tmp_path / "none.onnx")


@pytest.mark.parametrize("seed", range(100))
def test_a_changed_file_never_does_worse_than_a_value_error(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    content = bytearray(dense().SerializeToString())
    for _ in range(3):
        content[rng.integers(len(content))] = rng.integers(256)
    (tmp_path / "model.onnx").write_bytes(content)
    with suppress(ValueError):
        convkit.onnx.load(tmp_path / "model.onnx")


def external(location: str, length: int | None = 32) -> Any:
    proto = dense()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    if length is not None:
        tensor.external_data.add(key="length", value=str(length))
    return proto


def test_weights_outside_the_folder_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    secret = tmp_path / "secret.bin"
    secret.write_bytes(bytes(32))
    os.symlink(secret, folder / "link.bin")
    (folder / "short.bin").write_bytes(bytes(8))
    for location in (str(secret), "../secret.bin", "link.bin", "/dev/zero", "none.bin", "", "."):
        with pytest.raises(ValueError, match="cannot be read from"):
            convkit.onnx.load(saved(external(location), folder))
    with pytest.raises(ValueError, match=r'cannot be read from "short\.bin"'):
        convkit.onnx.load(saved(external("short.bin"), folder))
    for length in (None, 8, 1 << 60):
        with pytest.raises(ValueError, match="needs 32 bytes of"):
            convkit.onnx.load(saved(external("short.bin", length), folder))
    (folder / "right.bin").write_bytes(np.ones(8, np.float32).tobytes())
    model = convkit.onnx.load(saved(external("right.bin"), folder))
    np.testing.assert_array_equal(model.get_weights()[0], np.ones((4, 2), np.float32))
