"""ONNX files that others wrote, well and ill: what is refused, and how."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from onnx_graphs import FLOAT, chain, dense, floats, graph_of, helper, node, onnx, saved

RELU = ("Relu", [], {})


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "3-D convolution": (
        lambda: graph_of([node("Conv", "w")], ["N", 3, 5, 5, 5], {"w": floats(2, 3, 3, 3, 3)}),
        r"windows of one or two dimensions, received 3: \(3, 3, 3\)",
    ),
    "a transposed batch": (
        lambda: graph_of([node("Transpose", perm=[1, 0, 2])], ["N", 3, 4]),
        r"the batch must stay where it is, received perm \(1, 0, 2\)",
    ),
    "a batch of another size": (
        lambda: graph_of([node("Reshape", "s")], ["N", 4, 6], {"s": np.array([256, 6, 4])}),
        r"reshapes each sample by itself, received \('N', 4, 6\) to \(256, 6, 4\)",
    ),
    "a batch of another size, flat": (
        lambda: graph_of([node("Reshape", "s")], ["N", 4, 6], {"s": np.array([1, -1])}),
        r"reshapes each sample by itself, received \('N', 4, 6\) to \(1, ",
    ),
    "an output of constants": (
        lambda: graph_of([helper.make_node("Relu", ["w"], ["y"])], ["N", 3], {"w": floats(2, 3)}),
        r'the output "y" does not depend on an input',
    ),
    "computed slopes": (
        lambda: graph_of([helper.make_node("Exp", ["x"], ["e"]), node("PRelu", "e")], ["N", 3]),
        r"inputs but the first must be constants, but e are computed",
    ),
    "a quotient": (
        lambda: graph_of([helper.make_node("Exp", ["x"], ["e"]), node("Div", "e")], ["N", 3]),
        'Div "the_Div": convkit divides by constants alone',
    ),
    "a constant over x": (
        lambda: graph_of([helper.make_node("Div", ["c", "x"], ["y"])], ["N", 3], {"c": floats(3)}),
        "convkit divides by constants alone",
    ),
    "a constant beside": (
        lambda: graph_of([node("Concat", "c", axis=1)], [2, 3], {"c": floats(2, 2)}),
        'of tensors that are computed, but "c" is a constant',
    ),
    "images beside one another": (
        lambda: graph_of(
            [helper.make_node("Exp", ["x"], ["e"]), node("Concat", "e", axis=0)], ["N", 3, 2, 2]
        ),
        r"axis must be one behind the batch, received 0",
    ),
    "tensors of other ranks": (
        lambda: graph_of(
            [helper.make_node("Unsqueeze", ["x", "a"], ["e"]), node("Add", "e")],
            ["N", 4, 4],
            {"a": np.array([1])},
        ),
        "of the same number of axes, received",
    ),
    "an error function": (
        lambda: graph_of([node("Erf")], ["N", 3]),
        r'Erf "the_Erf": convkit has it as a part of GELU alone',
    ),
    "half of a GELU": (
        lambda: graph_of(
            chain(("Erf", [], {}), ("Add", ["c"], {})), ["N", 3], {"c": np.float32(1)}
        ),
        "convkit has it as a part of GELU alone",
    ),
    "channels cut out": (
        lambda: graph_of(
            [node("Slice", "b", "e", "a")],
            ["N", 4, 3, 3],
            {"b": np.array([1]), "e": np.array([3]), "a": np.array([1])},
        ),
        r"cuts rows and columns off .* received axis 1 and step 1",
    ),
    "every other row": (
        lambda: graph_of(
            [node("Slice", "b", "e", "a", "s")],
            ["N", 4, 6, 6],
            {"b": np.array([0]), "e": np.array([6]), "a": np.array([2]), "s": np.array([2])},
        ),
        "received axis 2 and step 2",
    ),
    "channels split": (
        lambda: graph_of(
            [helper.make_node("Split", ["x"], ["y", "z"], name="s", axis=1, num_outputs=2)],
            ["N", 4, 3, 3],
        ),
        r'Split "s": convkit splits rows and columns of images',
    ),
    "images made smaller": (
        lambda: graph_of(
            [node("Resize", "", "s")], ["N", 4, 6, 6], {"s": np.float32([1, 1, 0.5, 0.5])}
        ),
        r"larger by whole factors, received .* by \[1.0, 1.0, 0.5, 0.5\]",
    ),
    "two and a half times": (
        lambda: graph_of(
            [node("Resize", "", "s")], ["N", 4, 6, 6], {"s": np.float32([1, 1, 2.5, 2])}
        ),
        r"larger by whole factors, received .* by \[1.0, 1.0, 2.5, 2.0\]",
    ),
    "corners aligned": (
        lambda: graph_of(
            [
                node(
                    "Resize", "", "s", mode="linear", coordinate_transformation_mode="align_corners"
                )
            ],
            ["N", 4, 6, 6],
            {"s": np.float32([1, 1, 2, 2])},
        ),
        "or interpolates linearly between their middles",
    ),
    "transposed in groups": (
        lambda: graph_of(
            [node("ConvTranspose", "w", group=2)], ["N", 4, 6, 6], {"w": floats(4, 3, 2, 2)}
        ),
        "transposed convolutions of one group, received 2",
    ),
    "normalised rows": (
        lambda: graph_of([node("LayerNormalization", "s", axis=0)], [3, 4], {"s": floats(3, 4)}),
        "axis must be one behind the batch, received 0",
    ),
    "its second result": (
        lambda: graph_of(
            [
                helper.make_node("MaxPool", ["x"], ["m", "i"], kernel_shape=[2, 2]),
                helper.make_node("Cast", ["i"], ["y"], to=FLOAT),
            ],
            ["N", 4, 6, 6],
        ),
        r"only its first output may be used, but \['i'\]",
    ),
    "an unknown operator": (
        lambda: graph_of([node("Celu")], ["N", 3]),
        r'Celu "the_Celu": convkit cannot make a layer of this operator; it knows Add',
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
    "a dilated pool": (
        lambda: graph_of([node("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])], ["N", 1, 9, 9]),
        r"pools have no dilation, received \(2, 2\)",
    ),
    "softmax elsewhere": (
        lambda: graph_of([node("Softmax", axis=2)], ["N", 3, 4, 4]),
        r"runs along axis 1, the channels, or the last one of \(N, 3, 4, 4\), received axis 2",
    ),
    "GELU by tanh": (
        lambda: graph_of([node("Gelu", approximate="tanh")], ["N", 3]),
        "approximate='none' alone, received 'tanh'",
    ),
    "a reshape across samples": (
        lambda: graph_of([node("Reshape", "s")], ["N", 3, 4, 4], {"s": np.array([-1, 4])}),
        "reshapes each sample by itself",
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
        'it reads "v", which is no constant, and computed of no input; fold',
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
def test_what_convkit_does_not_have_is_refused(name: str, tmp_path: Path) -> None:
    make, message = REFUSED[name]
    with pytest.raises(ValueError, match=message) as caught:
        convkit.onnx.load(saved(make(), tmp_path))
    assert str(caught.value).startswith(str(tmp_path / "model.onnx"))


def test_a_file_that_cannot_be_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What its shapes do not show, onnxruntime says by exceptions of its own."""

    def run(_: Any) -> list[Any]:
        raise RuntimeError("the input tensor cannot be reshaped")

    monkeypatch.setattr("convkit.onnx.importer.runner", lambda *_: run)
    path = saved(dense(), tmp_path)
    with pytest.raises(ValueError, match=r"model.onnx: it cannot be run, .* cannot be reshaped"):
        convkit.onnx.load(path)


def test_the_inference_of_shapes_may_be_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convkit.core.child.CODE", "import os; os.abort()")
    convkit.onnx.load(saved(dense(), tmp_path))  # nothing in it can kill
    constants = {"b": np.array([1]), "e": np.array([3]), "a": np.array([1])}
    path = saved(graph_of([node("Slice", "b", "e", "a")], ["N", 4], constants), tmp_path)
    with pytest.raises(ValueError, match=r"inferring shapes died of it \(SIGABRT\)"):
        convkit.onnx.load(path)


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

    slices = graph_of(
        [node("Slice", "b", "e", "a")],
        ["N", 4, 5],
        {"b": np.array([1]), "e": np.array([3]), "a": np.array([2])},
    )
    slices.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -1
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
        "a slice of less than nothing": (slices, r"shapes died of it \(SIGABRT\)|valid ONNX"),
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


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            b"\x3a\x05\x0a\x02",
            "truncated or damaged",
        ),  # a graph of five bytes, of which two are here
        (b"\x3a\x02\x0b\x0c", "damaged"),  # a group, which ONNX has none of
        (b"\x08" + b"\xff" * 11, "truncated or damaged"),  # a number that does not end
        (b"\x3a\xc2\xa9\x07" + b"\x0a\x00" * 60_001, "more than the 60,000 fields"),
    ],
)
def test_what_is_in_a_file_is_counted_first(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(ValueError, match=rf"model\.onnx is not an ONNX file.*{message}"):
        convkit.onnx.load(tmp_path / "model.onnx")


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
