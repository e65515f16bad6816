"""ONNX files that others wrote: what is understood."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers
from onnx_graphs import FLOAT, chain, floats, graph_of, helper, node, onnx, saved


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


def gated(*factors: str, of: str = "x", result: str = "y", more: tuple[Any, ...] = ()) -> Any:
    """A Mul of two tensors, one of which is the Sigmoid s."""
    gate = helper.make_node("Sigmoid", [of], ["s"], "gate")
    product = helper.make_node("Mul", list(factors), [result], "product")
    return graph_of([gate, product, *more], ["N", 3, 2, 2])


UNDERSTOOD: dict[str, Callable[[], Any]] = {
    "a swish in two nodes": lambda: gated("x", "s"),
    "a swish with its gate in front": lambda: gated("s", "x"),
    "a swish between others": lambda: gated(
        "s", "x", result="t", more=(helper.make_node("Exp", ["t"], ["y"]),)
    ),
    "slopes of the channels": lambda: graph_of(
        [node("PRelu", "a")], ["N", 3, 4, 5], {"a": floats(3, 1, 1)}
    ),
    "slopes of rows and columns, with the batch": lambda: graph_of(
        [node("PRelu", "a")], ["N", 3, 4, 5], {"a": floats(1, 1, 4, 5)}
    ),
    "slopes of the last axis": lambda: graph_of(
        [node("PRelu", "a")], ["N", 3, 4, 5], {"a": floats(5)}
    ),
    "slopes of flattened images": lambda: graph_of(
        chain(("Flatten", [], {}), ("PRelu", ["a"], {}), ("MatMul", ["w"], {})),
        ["N", 3, 4, 5],
        {"a": floats(60), "w": floats(60, 2)},
    ),
    "one slope for flattened images": lambda: graph_of(
        chain(("Flatten", [], {}), ("PRelu", ["a"], {}), ("MatMul", ["w"], {})),
        ["N", 3, 4, 5],
        {"a": floats(1), "w": floats(60, 2)},
    ),
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


@pytest.mark.parametrize(
    "proto",
    [
        gated("s", "s"),
        gated("x", "s", result="t", more=(helper.make_node("Mul", ["t", "s"], ["y"]),)),
        gated("x", "x"),
    ],
)
def test_other_products_with_a_sigmoid_are_products(proto: Any, tmp_path: Path) -> None:
    check(proto, tmp_path)
    model = convkit.onnx.load(tmp_path / "model.onnx")
    kinds = [layer.get_config().get("activation") for layer in model.layers]
    assert "silu" not in kinds
    assert any(isinstance(layer, layers.Multiply) for layer in model.layers)


def test_slopes_that_do_not_fit(tmp_path: Path) -> None:
    proto = graph_of([node("PRelu", "a")], ["N", 3, 4, 5], {"a": floats(3, 4, 1)})
    proto.graph.initializer[0].dims[:] = [2, 6, 1]
    with pytest.raises(ValueError, match=r"not a valid ONNX model|slopes of shape \(2, 6, 1\)"):
        convkit.onnx.load(saved(proto, tmp_path))


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
