"""Graphs of layers: random ones against PyTorch in float64, and what users write."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, losses
from convkit.core.parameters import ParameterStore
from convkit.layers.step_context import StepContext
from convkit.plan import Target, lower, lowering
from random_graphs import MOST_NODES, SIZES, Draw, oracle, run_poisoned

N = 3
GRAPHS = 500


def problem(seed: int) -> tuple[convkit.Model, list[np.ndarray], list[np.ndarray], list[float]]:
    """A random model with inputs, targets and weights of the losses."""
    convkit.utils.set_random_seed(seed)
    model = Draw(seed).model()
    rng = np.random.default_rng(seed)
    for parameter in model.weights:
        if parameter.name in ("bias", "beta"):
            parameter.value[...] = rng.normal(size=parameter.shape) * 0.3
    x = [rng.normal(size=(N, *SIZES)).astype(np.float32) for _ in model.inputs]
    targets = [rng.normal(size=(N, *t.sizes)).astype(np.float32) for t in model.outputs]
    weights = [1.0, 0.5, -0.25, 2.0][: len(targets)]
    return model, x, targets, weights


def gradients(
    model: convkit.Model, x: list[np.ndarray], targets: list[np.ndarray], weights: list[float],
    fuse: bool = True, poisoned: bool = False,
) -> list[np.ndarray]:  # fmt: skip
    """Outputs, then the gradients of all trainable weights."""
    state = [p.numpy() for p in model.weights]
    store = ParameterStore(model.weights)
    wanted = [Target(losses.MeanSquaredError(), weight) for weight in weights]
    plan = lower(model.graph, N, True, loss=wanted, fuse=fuse)
    run = StepContext(True, 1, 2)
    if poisoned:
        bound = run_poisoned(plan, N, x, targets, run)
    else:
        bound = plan.bind(N)
        for _ in range(2):  # the second time it is replayed
            for own, given in zip(bound.inputs, x, strict=True):
                own[...] = given
            bound.take(targets, [None] * len(targets), np.arange(N))
            bound(run)
    found = [output.copy() for output in bound.outputs]
    found += [p.gradient.copy() for p in store.parameters if p.trainable]
    model.set_weights(state)
    return found


def assert_near(actual: list[np.ndarray], expected: list[np.ndarray], model: Any) -> None:
    for one, other in zip(actual, expected, strict=True):
        assert np.isfinite(one).all()
        scale = max(1.0, float(np.abs(other).max(initial=0.0)))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * scale, err_msg=str(model))


@pytest.mark.parametrize("block", range(10))
def test_random_graphs(block: int) -> None:
    """Outputs and gradients are PyTorch's, however memory was filled, for any number of threads."""
    pytest.importorskip("torch", reason="random graphs are compared with PyTorch")
    kinds: set[str] = set()
    several = shared = nested = 0
    for seed in range(block * GRAPHS // 10, (block + 1) * GRAPHS // 10):
        given = problem(seed)
        model = given[0]
        assert len(model.graph.nodes) <= MOST_NODES * 4
        with threads_of(1):
            first = gradients(*given)
        expected = oracle(*given)
        assert_near(first, [*expected[0], *expected[1]], model)
        assert_near(gradients(*given, fuse=False), first, model)
        for threads in (2, 3, 7):
            with threads_of(threads), pytest.MonkeyPatch.context() as patch:
                if threads < 7:  # as if the plan were large
                    patch.setattr(lowering, "RECOMPUTE_FROM", 0)
                again = gradients(*given, poisoned=threads == 2)
            for one, other in zip(first, again, strict=True):
                np.testing.assert_array_equal(one, other, err_msg=f"{seed} {model}")
        kinds |= {type(layer).__name__ for layer in model.graph.all_layers()}
        several += len(model.outputs) > 1
        shared += len(model.graph.nodes) > len({n.layer for n in model.graph.nodes})
        nested += any(layer._inner is not None for layer in model.layers)
    assert {"Add", "Multiply", "Concatenate", "Conv2D", "BatchNormalization"} <= kinds
    assert min(several, shared, nested) >= 3, (several, shared, nested)


@contextmanager
def threads_of(count: int) -> Iterator[None]:
    """A number of threads for a while."""
    before = convkit.runtime.get_num_threads()
    convkit.runtime.set_num_threads(count)
    try:
        yield
    finally:
        convkit.runtime.set_num_threads(before)


# What users write.


def residual(filters: int = 4) -> convkit.Model:
    inputs = convkit.Input((8, 8, 3), name="images")
    x = layers.Conv2D(filters, 3, padding="same", activation="relu", name="stem")(inputs)
    y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(y)
    x = layers.ReLU(name="joined")(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D(name="features")(x)
    return convkit.Model(inputs, layers.Dense(3, activation="softmax", name="head")(x))


def images(n: int = 24, sizes: tuple[int, ...] = (8, 8, 3)) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(n)
    return rng.random((n, *sizes), np.float32), rng.integers(0, 3, n)


def two_headed() -> convkit.Model:
    one, two = convkit.Input((4,), name="a"), convkit.Input((3,), name="b")
    hidden = layers.Dense(5, name="h")(one)
    first = layers.Dense(2, activation="softmax", name="o1")(hidden)
    second = layers.Dense(1, name="o2")(layers.Concatenate(name="c")([hidden, two]))
    return convkit.Model([one, two], [first, second])


def test_a_model_has_what_keras_models_have() -> None:
    model = residual()
    assert [layer.name for layer in model.layers][:2] == ["images", "stem"]
    assert model.input_shape == (None, 8, 8, 3)
    assert model.output_shape == (None, 3)
    assert model.input is model.inputs[0]
    assert model.output is model.outputs[0]
    assert (model.input_names, model.output_names) == (["images"], ["head"])
    assert model.get_layer("stem").output.shape == (None, 8, 8, 4)
    assert model.get_layer("joined").input.layer.name.startswith("add")
    assert model.compute_output_shape((None, 16, 12, 3)) == (None, 3)
    with pytest.raises(ValueError, match="was not called"):
        _ = layers.Dense(2).output


def test_features_come_from_the_middle() -> None:
    model, (x, y) = residual(), images()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=2, verbose=0)
    features = convkit.Model(model.inputs, model.get_layer("features").output)
    head = model.get_layer("head")
    logits = features.predict(x, verbose=0) @ head.kernel.value + head.bias.value
    np.testing.assert_allclose(model.predict(x, verbose=0), np.exp(logits) / np.exp(logits).sum(
        1, keepdims=True), rtol=1e-5, atol=1e-6)  # fmt: skip
    rest = convkit.Model(model.get_layer("features").output, model.output)
    np.testing.assert_array_equal(
        rest.predict(features.predict(x, verbose=0), verbose=0), model.predict(x, verbose=0)
    )
    assert [layer.name for layer in rest.layers] == ["head"]
    chain = convkit.Sequential([convkit.Input((8, 8, 3)), layers.Conv2D(2, 3), layers.Flatten()])
    middle = convkit.Model(chain.inputs, chain.layers[0].output)
    assert middle.predict(x, verbose=0).shape == (24, 6, 6, 2)


def test_models_that_share_layers_share_weights() -> None:
    model, (x, y) = residual(), images()
    features = convkit.Model(model.inputs, model.get_layer("features").output)
    before = features.predict(x, verbose=0)
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    after = features.predict(x, verbose=0)
    assert not np.array_equal(before, after)
    assert any(p is q for p in features.weights for q in model.weights)
    model.fit(x, y, verbose=0)
    assert not np.array_equal(after, features.predict(x, verbose=0))


@pytest.mark.parametrize("form", ["lists", "dictionaries", "mixed"])
def test_several_inputs_and_outputs(form: str) -> None:
    model = two_headed()
    rng = np.random.default_rng(0)
    x = [rng.random((20, 4), np.float32), rng.random((20, 3), np.float32)]
    y = [rng.integers(0, 2, 20), rng.random((20, 1), np.float32)]
    named_x, named_y = dict(zip("ab", x, strict=True)), dict(zip(("o1", "o2"), y, strict=True))
    loss: Any = ["sparse_categorical_crossentropy", "mse"]
    options: dict[str, Any] = {"loss_weights": [1.0, 0.5], "metrics": [["accuracy"], ["mae"]]}
    if form == "dictionaries":
        loss = dict(zip(("o1", "o2"), loss, strict=True))
        options = {"loss_weights": {"o2": 0.5}, "metrics": {"o1": ["accuracy"], "o2": ["mae"]}}
    model.compile("sgd", loss, **options)
    given = {"lists": (x, y), "dictionaries": (named_x, named_y), "mixed": (named_x, y)}[form]
    history = model.fit(*given, epochs=2, validation_data=given, verbose=0).history
    names = ["loss", "o1_loss", "o2_loss", "o1_accuracy", "o2_mae"]
    assert set(history) == {*names, *(f"val_{name}" for name in names)}
    assert model.metrics_names == names
    values = model.evaluate(*given, verbose=0, return_dict=True)
    assert values["loss"] == pytest.approx(values["o1_loss"] + 0.5 * values["o2_loss"], 1e-6)
    first, second = model.predict(given[0], verbose=0)
    assert values["o2_mae"] == pytest.approx(np.abs(second - y[1]).mean(), 1e-5)
    right = -np.log(first[np.arange(20), y[0]]).mean()
    assert values["o1_loss"] == pytest.approx(right, 1e-5)
    batches = [((x[0][i : i + 5], x[1][i : i + 5]), (y[0][i : i + 5], y[1][i : i + 5]))
               for i in range(0, 20, 5)]  # fmt: skip
    assert model.evaluate(batches, verbose=0, return_dict=True)["loss"] == pytest.approx(
        values["loss"], 1e-6
    )


def test_an_output_without_a_loss_is_not_trained() -> None:
    model = two_headed()
    x = [np.ones((6, 4), np.float32), np.ones((6, 3), np.float32)]
    model.compile("sgd", [None, "mse"])
    before = model.get_layer("o1").get_weights()
    history = model.fit(x, [np.zeros(6), np.zeros((6, 1))], verbose=0).history
    assert set(history) == {"loss", "o2_loss"} or set(history) == {"loss"}
    for one, other in zip(before, model.get_layer("o1").get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(model.predict(x, verbose=0)) == 2


def test_outputs_by_name() -> None:
    inputs = convkit.Input((4,), name="x")
    model = convkit.Model({"x": inputs}, {"left": layers.Dense(2)(inputs), "right": inputs})
    found = model.predict({"x": np.ones((3, 4), np.float32)}, verbose=0)
    assert list(found) == ["left", "right"]
    np.testing.assert_array_equal(found["right"], np.ones((3, 4)))


def test_a_model_in_a_model() -> None:
    inner = residual()
    outer = convkit.Sequential([convkit.Input((8, 8, 3)), inner, layers.Dense(2)])
    assert outer.layers[0] is inner
    x, _ = images()
    outer.compile("sgd", "mse")
    before = inner.get_layer("stem").get_weights()[0]
    outer.fit(x, np.zeros((24, 2)), verbose=0)
    assert not np.array_equal(before, inner.get_layer("stem").get_weights()[0])
    np.testing.assert_array_equal(
        outer.predict(x, verbose=0),
        outer.layers[1](inner.predict(x, verbose=0)),
    )
    assert outer.count_params() == inner.count_params() + 8
    assert "model" in inner.name
    inner.trainable = False
    assert len(outer.trainable_weights) == 2


@pytest.mark.parametrize("make", [residual, two_headed])
def test_files_pickles_and_copies(make: Any, tmp_path: Any) -> None:
    model = make()
    nested = convkit.Model(model.inputs, model(model.inputs if len(model.inputs) > 1 else
                                               model.inputs[0]))  # fmt: skip
    for each in (model, nested):
        x = [images(5, tensor.sizes)[0] for tensor in each.inputs]
        targets = [np.zeros((5, *tensor.sizes), np.float32) for tensor in each.outputs]
        each.compile("adam", "mse", loss_weights=[0.5] * len(targets))
        each.fit(x, targets, verbose=0)
        each.save(tmp_path / "m")
        copies = [convkit.models.load_model(tmp_path / "m"), pickle.loads(pickle.dumps(each))]
        for copy in copies:
            assert type(copy) is convkit.Model
            assert copy.get_config() == each.get_config()
        each.fit(x, targets, verbose=0)
        for copy in copies:
            copy.fit(x, targets, verbose=0)
            for one, other in zip(copy.get_weights(), each.get_weights(), strict=True):
                np.testing.assert_array_equal(one, other)
        clone = convkit.models.clone_model(each)
        assert [w.shape for w in clone.weights] == [w.shape for w in each.weights]
        clone.set_weights(each.get_weights())
        given = x if len(x) > 1 else x[0]
        for one, other in zip(outputs_of(clone, given), outputs_of(each, given), strict=True):
            np.testing.assert_array_equal(one, other)


def outputs_of(model: convkit.Model, x: Any) -> list[np.ndarray]:
    found = model.predict(x, verbose=0)
    return found if isinstance(found, list) else [found]


def test_arithmetic_of_tensors() -> None:
    a, b = convkit.Input((3,)), convkit.Input((3,))
    model = convkit.Model([a, b], [a + b, a - b, a * b, 2.0 * a + 1.0, 1.0 - a, a / 4.0, -a])
    x, z = np.float32([[1, 2, 3]]), np.float32([[4, 5, 7]])
    wanted = [x + z, x - z, x * z, 2 * x + 1, 1 - x, x / 4, -x]
    for one, other in zip(model.predict([x, z], verbose=0), wanted, strict=True):
        np.testing.assert_array_equal(one, other)
    for wrong in (lambda: a / b, lambda: a + "x", lambda: np.ones(3) + a, lambda: list(a),
                  lambda: np.asarray(a), lambda: float(a)):  # fmt: skip
        with pytest.raises(TypeError):
            wrong()


def test_layers_compute_on_arrays() -> None:
    x = images(4)[0]
    conv = layers.Conv2D(3, 3, activation="relu")
    y = conv(x)
    model = convkit.Sequential([convkit.Input((8, 8, 3)), conv])
    np.testing.assert_array_equal(y, model.predict(x, verbose=0))
    np.testing.assert_array_equal(layers.Add()([x, x]), x + x)
    np.testing.assert_array_equal(layers.Flatten()(x), x.reshape(4, -1))
    assert (layers.Dropout(0.5)(np.ones((9, 9)), training=True) == 0).any()


def test_a_layer_takes_images_of_another_size() -> None:
    conv = layers.Conv2D(4, 3, padding="same")
    small, large = convkit.Input((6, 6, 3)), convkit.Input((9, 7, 3))
    model = convkit.Model([small, large], [conv(small), conv(large)])
    assert [tensor.shape[1:] for tensor in model.outputs] == [(6, 6, 4), (9, 7, 4)]
    assert len(model.weights) == 2
    with pytest.raises(ValueError, match="weights would have other shapes"):
        conv(convkit.Input((6, 6, 2)))


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: convkit.Model(3, 4), TypeError, "must be symbolic tensors"),
        (lambda: convkit.Model([], []), ValueError, "must not be empty"),
        (lambda: convkit.Model(convkit.Input((2,)), layers.Dense(1)(convkit.Input((2,)))),
         ValueError, "which is not among the inputs"),
        (lambda: layers.Dense(2)([convkit.Input((2,)), convkit.Input((2,))]), ValueError,
         "takes one input, received a list of 2"),
        (lambda: layers.Add()([convkit.Input((2,)), np.ones((1, 2))]), TypeError,
         "on symbolic tensors or on arrays, not on both"),
        (lambda: residual()(np.ones((1, 8, 8, 3)), training=True), ValueError, "fit trains"),
        (lambda: two_headed().predict([np.ones((1, 4))], verbose=0), ValueError, "must be 2 of"),
        (lambda: two_headed().predict({"a": 1}, verbose=0), ValueError, "must have the keys"),
        (lambda: two_headed().compile("sgd", ["mse"]), ValueError, "must be a list of 2"),
        (lambda: two_headed().compile("sgd", {"x": "mse"}), ValueError, "names 'x'"),
        (lambda: two_headed().compile("sgd", "mse", loss_weights=[1.0, "a"]), ValueError,
         "must be finite numbers"),
    ],
)  # fmt: skip
def test_what_is_refused(make: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        make()


def test_two_layers_of_one_name_are_refused() -> None:
    inputs = convkit.Input((2,))
    x = layers.Dense(2, name="same")(layers.Dense(2, name="same")(inputs))
    with pytest.raises(ValueError, match="two layers of the name"):
        convkit.Model(inputs, x)


def test_a_graph_is_freed_with_its_model() -> None:
    gc.collect()
    gc.disable()
    try:
        model, (x, y) = residual(), images()
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(x, y, verbose=0)
        parts = [weakref.ref(each) for each in (model, *model.layers, model.graph)]
        del model
        assert not any(reference() for reference in parts)
    finally:
        gc.enable()


def test_a_model_with_one_inside_it_is_exported(tmp_path: Any) -> None:
    pytest.importorskip("onnx", reason="exported with onnx")
    inputs = convkit.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    inner = convkit.Sequential([layers.Flatten(), layers.Dense(3)])
    model = convkit.Model(inputs, inner(x))
    convkit.onnx.export(model, tmp_path / "m.onnx")
    loaded = convkit.onnx.load(tmp_path / "m.onnx")
    x = images(4)[0]
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-5, atol=1e-5
    )


def test_no_two_layers_draw_the_same_random_numbers() -> None:
    def block() -> convkit.Sequential:
        made = [layers.Dense(4), layers.Dropout(0.5), layers.Dense(4), layers.Dropout(0.5)]
        return convkit.Sequential([convkit.Input((4,)), *made])

    one, two = block(), block()
    before = [layer.index for layer in one.layers]
    outer = convkit.Sequential([one, two])
    assert [layer.index for layer in one.layers] == before
    indices = [layer.index for layer in outer.graph.all_layers()]
    drawing = [each.index for part in (one, two) for each in part.layers]
    assert len(set(drawing)) == len(drawing) == 8, indices


def test_a_summary_says_what_is_connected() -> None:
    lines: list[str] = []
    residual().summary(print_fn=lines.append)
    text = lines[0].splitlines()
    assert text[2].split() == [
        "Layer",
        "(type)",
        "Output",
        "Shape",
        "Param",
        "#",
        "Connected",
        "to",
    ]
    (add,) = [line for line in text if "(Add)" in line]
    assert "stem, batch_normalization" in add
    (stem,) = [line for line in text if line.startswith("stem")]
    assert stem.rstrip().endswith("112"), "it follows the layer before it"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda c: c.update(calls=3), "its calls are no list"),
        (lambda c: c.update(calls=[["images", []]] * 20_001), "more than the 20000"),
        (lambda c: c["calls"].append(["images"]), "a call must be a layer and what it reads"),
        (lambda c: c["calls"].append(["nobody", [[0, 0]]]), "a layer that it does not have"),
        (lambda c: c["calls"].append(["head", [[99, 0]]]), "not before it"),
        (lambda c: c["calls"].append(["head", [[-1, 0]]]), "not before it"),
        (lambda c: c["calls"].append(["head", [[0, True]]]), "not before it"),
        (lambda c: c["calls"].append(["head", []]), "is called on nothing"),
        (lambda c: c["calls"].append(["images", [[0, 0]]]), "an Input reads nothing"),
        (lambda c: c["calls"].__setitem__(1, ["stem", [[2, 0]]]), "not before it"),
        (lambda c: c.update(outputs=[]), "must not be empty"),
        (lambda c: c.update(outputs=7), "must be a list or a dictionary"),
        (lambda c: c.update(inputs={"": [2, 0]}), "is not among the inputs"),
        (lambda c: c["layers"].append(c["layers"][1]), "already has a layer of this name"),
        (lambda c: c.update(more=1), "entries that convkit does not know"),
    ],
)
def test_damaged_configurations_are_refused(change: Any, match: str) -> None:
    config = json.loads(json.dumps(residual().get_config()))
    assert convkit.Model.from_config(config).count_params() == residual().count_params()
    change(config)
    with pytest.raises(ValueError, match=match):
        convkit.Model.from_config(config)


def test_models_in_models_have_an_end() -> None:
    config = convkit.Sequential([convkit.Input((2,)), layers.Dense(1)], name="m").get_config()
    for _ in range(40):
        described = {"module": "convkit.models", "class_name": "Sequential", "config": config}
        config = {"name": "m", "layers": [described]}
    with pytest.raises(ValueError, match="more than 30 deep"):
        convkit.Sequential.from_config(config)


def test_a_layer_in_a_model_and_in_one_inside_it_has_no_place_in_a_file(tmp_path: Path) -> None:
    shared = layers.Dense(3, name="shared")
    inner_input, inputs = convkit.Input((3,)), convkit.Input((3,))
    inner = convkit.Model(inner_input, shared(inner_input), name="inner")
    model = convkit.Model(inputs, shared(inner(inputs)), name="outer")
    message = r'"shared" \(Dense\): it is in the models "outer" and "inner", and a configuration'
    for call in (
        model.get_config,
        lambda: model.save(tmp_path / "model"),
        lambda: pickle.dumps(model),
        lambda: convkit.models.clone_model(model),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    model.save_weights(tmp_path / "weights")
    before = model.get_weights()
    model.set_weights([np.zeros_like(each) for each in before])
    model.load_weights(tmp_path / "weights")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])
