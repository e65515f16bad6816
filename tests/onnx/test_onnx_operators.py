"""Graphs of others' operators, each held against onnxruntime, and the layers that they become."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from onnx_graphs import FLOAT, chain, floats, graph_of, helper, node, onnx, saved

runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")

make = helper.make_node


def check(proto: Any, folder: Path) -> convkit.Model:
    """The model of a file, which gives what onnxruntime gives, whatever the layouts."""
    from convkit.onnx.importer import from_file, read_proto, to_file

    path = saved(proto, folder)
    convkit.onnx.load(path)  # which compares, too
    read = read_proto(onnx.load(path), folder)
    rng = np.random.default_rng(1)
    sizes = [tensor.shape[1:] for tensor in read.model.inputs]
    x = [rng.standard_normal((read.batch or 3, *each)).astype(np.float32) for each in sizes]
    session = runtime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, to_file(read, x), strict=True)))
    expected = from_file(read, outputs)
    y: Any = read.model.predict_on_batch(x[0] if len(x) == 1 else x)
    for mine, theirs in zip(y if isinstance(y, list) else [y], expected, strict=True):
        assert mine.shape == theirs.shape
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-5)
    return read.model


def kinds(model: convkit.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers if not is_input(layer)]


def is_input(layer: Any) -> bool:
    return type(layer).__name__ == "InputLayer"


IMAGES = ["N", 4, 6, 5]


def two(op: str, **attributes: Any) -> Any:
    """An operator of x and of what a convolution makes of it."""
    nodes = [make("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]), node(op, "c", **attributes)]
    return graph_of(nodes, IMAGES, {"w": floats(4, 4, 3, 3)})


def gelu(*, half_first: bool) -> Any:
    divided = [make("Div", ["x", "r"], ["d"]), make("Erf", ["d"], ["e"])]
    divided.append(make("Add", ["e", "one"], ["g"]))
    if half_first:
        end = [make("Mul", ["x", "h"], ["b"]), make("Mul", ["b", "g"], ["y"])]
    else:
        end = [make("Mul", ["x", "g"], ["b"]), make("Mul", ["b", "h"], ["y"])]
    constants = {"r": math.sqrt(2.0), "one": 1.0, "h": 0.5}
    return graph_of([*divided, *end], IMAGES, {k: np.float32(v) for k, v in constants.items()})


def hard(*, product: bool) -> Any:
    nodes = [
        make("Add", ["x", "three"], ["a"]), make("Clip", ["a", "zero", "six"], ["c"]),
        *([make("Mul", ["x", "c"], ["m"])] if product else []),
        make("Div", ["m" if product else "c", "six"], ["y"]),
    ]  # fmt: skip
    return graph_of(nodes, ["N", 7], {k: np.float32(v) for k, v in
                                      (("three", 3), ("zero", 0), ("six", 6))})  # fmt: skip


def squeezed_and_excited() -> Any:
    nodes = [
        make("ReduceMean", ["x", "axes"], ["m"], keepdims=1),
        make("Conv", ["m", "w"], ["a"]), make("Relu", ["a"], ["b"]),
        make("Conv", ["b", "v"], ["c"]), make("HardSigmoid", ["c"], ["g"], alpha=1 / 6),
        make("Mul", ["x", "g"], ["y"]),
    ]  # fmt: skip
    constants = {"axes": np.array([2, 3]), "w": floats(2, 4, 1, 1), "v": floats(4, 2, 1, 1)}
    return graph_of(nodes, IMAGES, constants)


def grouped(*, affine: bool) -> Any:
    """As PyTorch writes a GroupNorm of two groups."""
    end = "r" if affine else "y"
    nodes = [
        make("Reshape", ["x", "groups"], ["g"]),
        make("InstanceNormalization", ["g", "o", "z"], ["n"]),
        make("Reshape", ["n", "back"], [end]),
        *([make("Mul", ["r", "s"], ["m"]), make("Add", ["m", "b"], ["y"])] if affine else []),
    ]  # fmt: skip
    constants = {
        "groups": np.array([0, 2, -1]), "back": np.array([0, 4, 6, 5]),
        "o": np.ones(2, np.float32), "z": np.zeros(2, np.float32),
        "s": floats(4, 1, 1), "b": floats(4, 1, 1),
    }  # fmt: skip
    return graph_of(nodes, IMAGES, constants)


def resize(mode: str, scales: Sequence[float], **attributes: Any) -> Any:
    return graph_of(
        [node("Resize", "", "s", mode=mode, **attributes)], IMAGES,
        {"s": np.array([1, 1, *scales], np.float32)},
    )  # fmt: skip


def transposed(size: Sequence[int], more: dict[str, Any], opset: int = 20) -> Any:
    return graph_of(
        [node("ConvTranspose", "w", "b", **more)], IMAGES,
        {"w": floats(4, 3, *size), "b": floats(3)}, opset=opset,
    )  # fmt: skip


CASES: dict[str, tuple[Callable[[], Any], list[str] | None]] = {
    "branches": (lambda: two("Add"), ["Conv2D", "Add"]),
    "its input twice": (lambda: graph_of([make("Add", ["x", "x"], ["y"])], ["N", 3]), ["Add"]),
    "a difference": (lambda: two("Sub"), ["Conv2D", "Subtract"]),
    "a product": (lambda: two("Mul"), ["Conv2D", "Multiply"]),
    "a maximum": (lambda: two("Max"), ["Conv2D", "Maximum"]),
    "a minimum": (lambda: two("Min"), ["Conv2D", "Minimum"]),
    "a mean": (lambda: two("Mean"), ["Conv2D", "Average"]),
    "a sum": (lambda: two("Sum"), ["Conv2D", "Add"]),
    "channels": (lambda: two("Concat", axis=1), ["Conv2D", "Concatenate"]),
    "rows": (lambda: two("Concat", axis=2), ["Conv2D", "Concatenate"]),
    "columns": (lambda: two("Concat", axis=-1), ["Conv2D", "Concatenate"]),
    "squeeze and excitation": (
        squeezed_and_excited,
        ["GlobalAveragePooling2D", "Conv2D", "Conv2D", "Multiply"],
    ),
    "one less x": (
        lambda: graph_of([make("Sub", ["c", "x"], ["y"])], ["N", 3], {"c": np.float32(1)}),
        ["Rescaling"],
    ),
    "GELU, half of it first": (lambda: gelu(half_first=True), ["Activation"]),
    "GELU, half of it last": (lambda: gelu(half_first=False), ["Activation"]),
    "hard SiLU": (lambda: hard(product=True), ["Activation"]),
    "hard sigmoid": (lambda: hard(product=False), ["Activation"]),
    "Mish": (
        lambda: graph_of(
            [make("Softplus", ["x"], ["s"]), make("Tanh", ["s"], ["t"]), node("Mul", "t")], IMAGES
        ),
        ["Activation"],
    ),
    "SELU of other constants": (
        lambda: graph_of([node("Selu", alpha=2.0, gamma=3.0)], IMAGES),
        ["ELU", "Rescaling"],
    ),
    "groups": (lambda: grouped(affine=False), ["GroupNormalization"]),
    "groups with factors": (lambda: grouped(affine=True), ["GroupNormalization"]),
    "instances": (
        lambda: graph_of([node("InstanceNormalization", "s", "b")], IMAGES,
                         {"s": floats(4), "b": floats(4)}),
        ["GroupNormalization"],
    ),
    "groups of 21": (
        lambda: graph_of([node("GroupNormalization", "s", "b", num_groups=2)], IMAGES,
                         {"s": floats(4), "b": floats(4)}, opset=21),
        ["GroupNormalization"],
    ),
    "whole images normalised": (
        lambda: graph_of(chain(("Relu", [], {}), ("Conv", ["w"], {}),
                               ("LayerNormalization", ["s", "b"], {"axis": 1})), IMAGES,
                         {"w": floats(2, 4, 1, 1), "s": floats(2, 6, 5), "b": floats(2, 6, 5)}),
        ["Activation", "Conv2D", "LayerNormalization"],
    ),
    "channels normalised": (
        lambda: graph_of(
            chain(("Conv", ["w"], {}), ("Transpose", [], {"perm": [0, 2, 3, 1]}),
                  ("LayerNormalization", ["s"], {"epsilon": 1e-3}), ("MatMul", ["m"], {}),
                  ("Add", ["b"], {}), ("Transpose", [], {"perm": [0, 3, 1, 2]}), ("Relu", [], {})),
            IMAGES, {"w": floats(3, 4, 1, 1), "s": floats(3), "m": floats(3, 5), "b": floats(5)}),
        ["Conv2D", "LayerNormalization", "Dense"],
    ),
    "repeated": (lambda: resize("nearest", [2, 3]), ["UpSampling2D"]),
    "repeated, floors": (
        lambda: resize("nearest", [3, 2], coordinate_transformation_mode="asymmetric",
                       nearest_mode="floor"),
        ["UpSampling2D"],
    ),
    "interpolated": (lambda: resize("linear", [2, 3]), ["UpSampling2D"]),
    "interpolated as PyTorch": (
        lambda: resize("linear", [4, 2], coordinate_transformation_mode="pytorch_half_pixel"),
        ["UpSampling2D"],
    ),
    "to a size": (
        lambda: graph_of([node("Resize", "", "", "s")], [2, 4, 6, 5],
                         {"s": np.array([2, 4, 12, 15])}),
        ["UpSampling2D"],
    ),
    "an old Upsample": (
        lambda: graph_of([node("Upsample", "s")], IMAGES, {"s": np.float32([1, 1, 2, 2])}, opset=9),
        ["UpSampling2D"],
    ),
    "transposed as a Keras layer": (
        lambda: transposed([4, 4], {"strides": [2, 2], "pads": [1, 1, 1, 1]}), ["Conv2DTranspose"],
    ),
    "transposed as PyTorch": (
        lambda: transposed([3, 3], {"strides": [2, 2], "pads": [1, 1, 1, 1],
                                    "output_padding": [1, 1]}),
        ["Conv2DTranspose", "Cropping2D"],
    ),
    "transposed and dilated": (
        lambda: transposed([2, 3], {"dilations": [2, 1], "pads": [1, 0, 0, 2]}),
        ["Conv2DTranspose", "Cropping2D"],
    ),
    "transposed to a size": (
        lambda: transposed([3, 3], {"strides": [2, 2], "output_shape": [12, 10]}), None,
    ),
    "transposed, upper": (
        lambda: transposed([3, 3], {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
        ["Conv2DTranspose"],
    ),
    "more behind": (
        lambda: transposed([2, 2], {"strides": [3, 3], "output_padding": [2, 1]}), None,
    ),
    "rows and columns cut": (
        lambda: graph_of([node("Slice", "b", "e", "a")], IMAGES,
                         {"b": np.array([1, -4]), "e": np.array([2**40, -1]),
                          "a": np.array([2, 3])}),
        ["Cropping2D"],
    ),
    "nothing cut": (
        lambda: graph_of(chain(("Slice", ["b", "e", "a"], {}), ("Relu", [], {})), IMAGES,
                         {"b": np.array([0, 0]), "e": np.array([2**40, 4]),
                          "a": np.array([0, 1])}),
        ["Activation"],
    ),
    "rows split": (
        lambda: graph_of([make("Split", ["x", "s"], ["a", "b"], axis=2), make("Concat",
                         ["b", "a"], ["y"], axis=2)], IMAGES, {"s": np.array([2, 4])}),
        ["Cropping2D", "Cropping2D", "Concatenate"],
    ),
    "a maximum of all": (
        lambda: graph_of([node("ReduceMax", "a", keepdims=0)], IMAGES, {"a": np.array([2, 3])}),
        ["GlobalMaxPooling2D"],
    ),
    "a mean of channels-last images": (
        lambda: graph_of(chain(("Conv", ["w"], {}), ("Transpose", [], {"perm": [0, 2, 3, 1]}),
                               ("ReduceMean", ["a"], {"keepdims": 0}), ("MatMul", ["m"], {})),
                         IMAGES, {"w": floats(3, 4, 1, 1), "a": np.array([1, 2]),
                                  "m": floats(3, 2)}),
        ["Conv2D", "GlobalAveragePooling2D", "Dense"],
    ),
    "a 1-D convolution": (
        lambda: graph_of(chain(("Conv", ["w"], {"pads": [1, 1]}), ("Relu", [], {}),
                               ("MaxPool", [], {"kernel_shape": [2], "strides": [2]})),
                         ["N", 3, 9], {"w": floats(2, 3, 3)}),
        None,
    ),
    "axes exchanged": (
        lambda: graph_of([node("Transpose", perm=[0, 1, 3, 2])], IMAGES), ["Permute"],
    ),
    "images flattened at the end": (
        lambda: graph_of([node("Flatten")], IMAGES), ["Permute", "Flatten"],
    ),
    "channels shuffled": (
        lambda: graph_of(chain(("Conv", ["w"], {}), ("Reshape", ["r"], {}),
                               ("Transpose", [], {"perm": [0, 2, 1, 3, 4]}),
                               ("Reshape", ["s"], {}), ("Conv", ["w"], {})), IMAGES,
                         {"w": floats(4, 4, 1, 1), "r": np.array([0, 2, 2, 6, 5]),
                          "s": np.array([0, 4, 6, 5])}),
        None,
    ),
    "softmax along columns": (
        lambda: graph_of([node("Softmax", axis=-1)], IMAGES), ["Permute", "Activation"],
    ),
    "a transposed weight": (
        lambda: graph_of([make("Transpose", ["w"], ["t"], perm=[1, 0]), node("MatMul", "t")],
                         ["N", 3], {"w": floats(2, 3)}),
        ["Dense"],
    ),
    "a computed pad": (
        lambda: graph_of([make("Concat", ["p", "q"], ["r"], axis=0), node("Pad", "r")], IMAGES,
                         {"p": np.array([0, 0, 1, 0]), "q": np.array([0, 0, 0, 2])}),
        ["ZeroPadding2D"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_operators(name: str, tmp_path: Path) -> None:
    build, expected = CASES[name]
    model = check(build(), tmp_path)
    if expected is not None:
        assert kinds(model) == expected


def test_inputs_and_outputs_keep_their_order(tmp_path: Path) -> None:
    proto = graph_of(
        [make("Concat", ["x", "z"], ["c"], axis=1), make("Conv", ["c", "w"], ["y"]),
         make("GlobalMaxPool", ["z"], ["g"]), make("Flatten", ["g"], ["f"])],
        ["N", 2, 4, 4], {"w": floats(3, 5, 2, 2)},
    )  # fmt: skip
    proto.graph.input.append(helper.make_tensor_value_info("z", FLOAT, ["N", 3, 4, 4]))
    proto.graph.output.append(helper.make_tensor_value_info("f", FLOAT, ["N", 3]))
    model = check(proto, tmp_path)
    assert model.input_names == ["x", "z"]
    assert model.output_shape == [(None, 3, 3, 3), (None, 3)]


def test_what_reads_the_same_weights_is_one_layer(tmp_path: Path) -> None:
    nodes = [
        make("Conv", ["x", "w"], ["a"]), make("Relu", ["a"], ["b"]),
        make("Conv", ["b", "w"], ["c"]), make("Relu", ["c"], ["d"]),
        make("BatchNormalization", ["d", "s", "z", "z", "s"], ["e"]),
        make("BatchNormalization", ["e", "s", "z", "z", "s"], ["y"]),
    ]  # fmt: skip
    constants = {"w": floats(4, 4, 1, 1), "s": np.ones(4, np.float32), "z": np.zeros(4, np.float32)}
    model = check(graph_of(nodes, IMAGES, constants), tmp_path)
    # A new normalisation's weights are the same numbers, written once, and not the same weights.
    assert kinds(model) == ["Conv2D", "BatchNormalization", "BatchNormalization"]
    assert model.count_params() == 16 + 2 * 16


def test_layers_are_called_as_their_weights(tmp_path: Path) -> None:
    proto = graph_of(
        [make("Conv", ["x", "features.0.weight"], ["a"], name="/features/Conv"),
         make("Conv", ["a", "w"], ["y"], name="end")],
        IMAGES, {"features.0.weight": floats(4, 4, 1, 1), "w": floats(4, 4, 1, 1)},
    )  # fmt: skip
    assert [layer.name for layer in check(proto, tmp_path).layers] == ["features.0", "end"]


def test_what_no_output_depends_on_is_left_out(tmp_path: Path) -> None:
    nodes = [make("Relu", ["x"], ["y"]), make("Einsum", ["x"], ["e"], equation="abcd->ab")]
    assert kinds(check(graph_of(nodes, IMAGES), tmp_path)) == ["Activation"]


def test_a_graph_that_branches_everywhere_takes_no_time(tmp_path: Path) -> None:
    """Each tensor is read twice, and what is spelt out might be anywhere: 2 ** 300 ways through."""
    nodes, last = [], "x"
    for i in range(300):
        nodes += [
            make("Sigmoid", [last], [f"s{i}"]),
            make("Mul", [last, f"s{i}"] if i % 2 else [last, last], [f"m{i}"]),
            make("Add", [f"m{i}", last], [f"a{i}"]),
        ]
        last = f"a{i}"
    nodes.append(make("Relu", [last], ["y"]))
    path = saved(graph_of(nodes, ["N", 3]), tmp_path)
    start = time.process_time()
    convkit.onnx.load(path, verify=False)
    assert time.process_time() - start < 10


def test_branches_that_are_needed_at_the_same_time_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A small file may keep any number of large tensors alive: then nothing is run."""
    nodes = [make("Exp", ["x"], [f"e{i}"]) for i in range(60)]
    nodes.append(make("Sum", [f"e{i}" for i in range(60)], ["y"]))

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("it was run")

    monkeypatch.setattr(convkit.Model, "predict_on_batch", never)
    convkit.onnx.load(saved(graph_of(nodes, ["N", 1, 512, 512]), tmp_path))
    with pytest.raises(AssertionError, match="it was run"):
        convkit.onnx.load(saved(graph_of(nodes, ["N", 1, 64, 64]), tmp_path))
