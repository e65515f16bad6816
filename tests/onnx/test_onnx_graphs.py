"""Graphs of layers as ONNX files: what onnxruntime makes of them, and what becomes of them here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
import random_graphs
from compare import Array
from convkit import layers

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime to compare with")


def run(path: Path, x: Sequence[Array]) -> list[Array]:
    """What onnxruntime makes of the inputs."""
    session = runtime.InferenceSession(path)
    names = [each.name for each in session.get_inputs()]
    return [np.asarray(y) for y in session.run(None, dict(zip(names, x, strict=True)))]


def inputs_of(model: convkit.Model, count: int = 3) -> list[Array]:
    rng = np.random.default_rng(count)
    shapes = [tensor.shape[1:] for tensor in model.inputs]
    return [rng.standard_normal((count, *shape), dtype=np.float32) for shape in shapes]


def outputs_of(model: convkit.Model, x: Sequence[Array]) -> list[Array]:
    y: Any = model.predict_on_batch(x[0] if len(x) == 1 else list(x))
    if isinstance(y, dict):
        return list(y.values())
    return y if isinstance(y, list) else [y]


def assert_close(actual: Sequence[Array], expected: Sequence[Array]) -> None:
    """Within 1e-5 of the largest value."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-5 * np.abs(b).max()


def as_trained(model: convkit.Model, seed: int = 5) -> convkit.Model:
    """The model with biases and statistics that are not the first ones."""
    rng = np.random.default_rng(seed)
    for parameter in model.weights:
        if parameter.name != "kernel":
            parameter.value[...] = rng.uniform(0.5, 1.5, parameter.shape)
    return model


def ops_of(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path).graph.node]


@pytest.mark.parametrize("seed", range(40))
def test_random_graphs(seed: int, tmp_path: Path) -> None:
    convkit.utils.set_random_seed(seed)
    model, path = as_trained(random_graphs.Draw(seed).model()), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    x = inputs_of(model)
    assert_close(run(path, x), outputs_of(model, x))
    again = convkit.onnx.load(path)
    assert again.count_params() == model.count_params()
    assert [tensor.shape for tensor in again.inputs] == [tensor.shape for tensor in model.inputs]
    assert_close(outputs_of(again, x), outputs_of(model, x))


def merged(layer: Callable[[], Any], *shapes: tuple[int, ...]) -> convkit.Model:
    """A merging layer of inputs of some shapes, the first two of which are convolved before."""
    inputs = [convkit.Input(shape) for shape in shapes]
    tensors = [
        layers.Conv2D(x.shape[-1], 3, padding="same")(x) if i < 2 and x.ndim == 4 else x
        for i, x in enumerate(inputs)
    ]
    return convkit.Model(inputs if len(inputs) > 1 else inputs[0], layer()(tensors))


IMAGES = (5, 6, 4)
MERGES: dict[str, tuple[Callable[[], Any], list[tuple[int, ...]]]] = {
    "a sum of three": (layers.Add, [IMAGES] * 3),
    "a sum of one": (layers.Add, [IMAGES]),
    "a difference": (layers.Subtract, [IMAGES] * 2),
    "a product of four": (layers.Multiply, [IMAGES] * 4),
    "a product with a gate": (layers.Multiply, [IMAGES, (1, 1, 4)]),
    "a gate of channels": (layers.Multiply, [(4,), IMAGES]),
    "rows of signals": (layers.Add, [IMAGES, (6, 4)]),
    "a mean": (layers.Average, [IMAGES] * 3),
    "a mean of one, broadcast": (layers.Average, [(1, 6, 1), IMAGES]),
    "largest": (layers.Maximum, [IMAGES] * 2),
    "smallest": (layers.Minimum, [IMAGES] * 3),
    "channels": (layers.Concatenate, [IMAGES, (5, 6, 2), IMAGES]),
    "rows": (lambda: layers.Concatenate(1), [IMAGES, (2, 6, 4)]),
    "columns": (lambda: layers.Concatenate(-2), [IMAGES, (5, 1, 4)]),
    "vectors": (layers.Concatenate, [(3,), (4,)]),
    "signals": (lambda: layers.Concatenate(1), [(3, 2), (4, 2)]),
}


@pytest.mark.parametrize("name", MERGES)
def test_layers_of_several_inputs(name: str, tmp_path: Path) -> None:
    make, shapes = MERGES[name]
    model, path = as_trained(merged(make, *shapes)), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    x = inputs_of(model)
    assert_close(run(path, x), outputs_of(model, x))
    assert_close(outputs_of(convkit.onnx.load(path), x), outputs_of(model, x))


def shared() -> convkit.Model:
    """Two inputs through the same layers, of which a model is one."""
    convkit.utils.set_random_seed(2)
    tower = convkit.Sequential(
        [
            *(convkit.Input((6, 6, 3)), layers.Conv2D(4, 3, activation="relu", name="conv")),
            *(layers.BatchNormalization(name="norm"), layers.Flatten()),
        ],
        name="tower",
    )
    a, b = convkit.Input((6, 6, 3), name="left"), convkit.Input((6, 6, 3), name="right")
    dense = layers.Dense(5, name="dense")
    difference = layers.Subtract(name="apart")([dense(tower(a)), dense(tower(b))])
    ends = {"distance": layers.Dense(1, name="end")(difference), "features": tower(a)}
    return as_trained(convkit.Model({"left": a, "right": b}, ends))


def test_shared_layers_have_their_weights_once(tmp_path: Path) -> None:
    model, path = shared(), tmp_path / "model.onnx"
    convkit.onnx.export(model, path)
    x = inputs_of(model)
    assert_close(run(path, x), outputs_of(model, x))
    graph = onnx.load(path).graph
    assert [each.name for each in graph.input] == ["left", "right"]
    assert [each.name for each in graph.output] == ["distance", "features"]
    weights = [each for each in graph.initializer if each.name.startswith("conv/")]
    assert [each.name for each in weights] == ["conv/weight", "conv/bias"]
    stored = sum(int(np.prod(each.dims)) for each in graph.initializer)
    assert stored == model.count_params()
    again = convkit.onnx.load(path)
    assert again.count_params() == model.count_params()
    assert_close(outputs_of(again, x), outputs_of(model, x))
    # And they are trained as one.
    both = [convkit.Model(m.inputs, m.outputs) for m in (model, again)]
    for each in both:
        each.compile("sgd", "mse")
        each.train_on_batch(x, [np.ones_like(y) for y in outputs_of(model, x)])
    assert_close(outputs_of(both[1], x), outputs_of(both[0], x))


def test_a_dense_behind_flattened_and_other_rows_has_two_orders(tmp_path: Path) -> None:
    """The rows of its kernel stand in another order for each."""
    convkit.utils.set_random_seed(3)
    images, rows = convkit.Input((3, 2, 4)), convkit.Input((24,))
    dense = layers.Dense(5)
    flat = layers.Flatten()(layers.Conv2D(4, 1)(images))
    model, path = convkit.Model([images, rows], [dense(flat), dense(rows)]), tmp_path / "m.onnx"
    convkit.onnx.export(model, path)
    assert ops_of(path).count("Transpose") == 1
    x = inputs_of(model)
    assert_close(run(path, x), outputs_of(model, x))


def test_transposes_stand_only_where_they_are_needed(tmp_path: Path) -> None:
    inputs = convkit.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(inputs)
    y = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(x))
    x = layers.Activation("relu")(layers.Add()([x, y]))
    gate = layers.GlobalAveragePooling2D()(x)
    gate = layers.Dense(4, activation="sigmoid")(gate)
    x = layers.Multiply()([x, gate])
    x = layers.Concatenate()([x, layers.UpSampling2D(2)(layers.MaxPooling2D(2)(x))])
    model, path = convkit.Model(inputs, layers.Dense(3)(layers.Flatten()(x))), tmp_path / "m.onnx"
    convkit.onnx.export(model, path)
    assert ops_of(path) == [
        *("Transpose", "Conv", "Relu", "Conv", "BatchNormalization", "Add", "Relu"),
        *("GlobalAveragePool", "Flatten", "Gemm", "Sigmoid", "Reshape", "Mul"),
        *("MaxPool", "Resize", "Concat", "Flatten", "Gemm"),
    ]


def test_an_output_that_is_an_input_or_another_output(tmp_path: Path) -> None:
    inputs = convkit.Input((4,))
    x = layers.Dense(3)(inputs)
    y = layers.Identity()(x)
    model, path = convkit.Model(inputs, [x, y, layers.ReLU()(y)]), tmp_path / "m.onnx"
    convkit.onnx.export(model, path)
    x = inputs_of(model)
    assert_close(run(path, x), outputs_of(model, x))
    assert ops_of(path).count("Identity") == 1


def test_what_a_file_computes_is_compared_output_by_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, right = shared(), convkit.Model.predict_on_batch

    def wrong(self: Any, x: Any) -> Any:
        y = right(self, x)
        if isinstance(y, dict):  # the model's; a list is its twin's
            return {**y, "features": 1.001 * y["features"]}
        return [y[0], 1.001 * y[1]]

    monkeypatch.setattr(convkit.Model, "predict_on_batch", wrong)
    with pytest.raises(ValueError, match="does not compute what the ONNX file computes"):
        convkit.onnx.export(model, tmp_path / "m.onnx")
    convkit.onnx.export(model, tmp_path / "m.onnx", verify=False)
