"""Graphs of layers between convkit and Keras, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import interop, layers
from convkit.interop import keras as table
from peer_keras import keras, numbers, torch
from random_graphs import Draw

# Keras hands PyTorch's tensors to NumPy in a way that NumPy 2 deprecates.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
    pytest.mark.usefixtures("keras", "one_torch_thread"),
]


def batches(model: convkit.Model, count: int = 4) -> list[Array]:
    """One batch for each input."""
    rng = np.random.default_rng(count)
    return [rng.random((count, *each.sizes), dtype=np.float32) for each in model.graph.inputs]


def outputs_of(model: convkit.Model, x: list[Array]) -> list[Array]:
    made = model.predict_on_batch(x if len(x) > 1 else x[0])
    values = made.values() if isinstance(made, dict) else made if isinstance(made, list) else [made]
    return [np.asarray(each) for each in values]


def keras_outputs(network: Any, x: Any) -> list[Array]:
    with torch.no_grad():
        return [numbers(each) for each in keras.tree.flatten(network(x, training=False))]


def close(ours: list[Array], theirs: list[Array]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert np.ptp(other) > 1e-3  # a constant would be equal for the wrong reason
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def plain(config: Any) -> Any:
    """A configuration without what a conversion does not keep."""
    if isinstance(config, dict):
        return {k: plain(v) for k, v in config.items() if not k.endswith("_initializer")}
    return [plain(each) for each in config] if isinstance(config, list) else config


def assert_there_and_back(model: convkit.Model) -> Any:
    """Convert a model to Keras and back: the same layers, connections, weights and predictions."""
    network = interop.to_keras(model)
    back = interop.from_keras(network)
    assert type(back) is type(model)
    assert plain(back.get_config()) == plain(model.get_config())
    for mine, theirs in zip(model.weights, back.weights, strict=True):
        assert (mine.path, mine.trainable, mine.frozen) == (
            theirs.path,
            theirs.trainable,
            theirs.frozen,
        )
        np.testing.assert_array_equal(theirs.value, mine.value)
    x = batches(model)
    expected = outputs_of(model, x)
    for mine, theirs in zip(expected, outputs_of(back, x), strict=True):
        np.testing.assert_array_equal(theirs, mine)
    assert network.count_params() == model.count_params()
    return network


def residual() -> convkit.Model:
    """Residual blocks, a gate, all merges, several inputs and outputs."""
    convkit.utils.set_random_seed(5)
    images, sizes = convkit.Input((8, 8, 3), name="images"), convkit.Input((4,), name="sizes")
    x = layers.Conv2D(8, 3, padding="same", name="stem")(images)
    y = layers.BatchNormalization(name="norm")(layers.Conv2D(8, 3, padding="same", name="a")(x))
    x = layers.Add(name="sum")([x, layers.ReLU(6.0, name="bounded")(y)])
    gate = layers.Dense(8, "sigmoid", name="gate")(sizes)
    x = layers.Multiply(name="gated")([x, gate])
    z = layers.Average(name="mean")([x, layers.Maximum(name="most")([x, y])])
    z = layers.Subtract(name="less")([z, layers.Minimum(name="least")([x, y])])
    x = layers.Concatenate(name="both")([layers.AveragePooling2D(2, name="half")(x),
                                         layers.MaxPooling2D(2, name="peaks")(z)])  # fmt: skip
    wide = layers.Concatenate(axis=1, name="tall")([x, x])
    pooled = layers.GlobalAveragePooling2D(keepdims=True, name="pooled")(wide)
    ends = [layers.Dense(3, "softmax", name="classes")(layers.Flatten(name="flat")(pooled)), x]
    return convkit.Model([images, sizes], ends, name="residual")


def test_a_graph_goes_there_and_back() -> None:
    model = residual()
    model.get_layer("a").trainable = False
    network = assert_there_and_back(model)
    assert [layer.name for layer in network.layers] == [layer.name for layer in model.layers]
    close(outputs_of(model, batches(model)), keras_outputs(network, batches(model)))


def test_shared_layers_and_models_stay_shared() -> None:
    convkit.utils.set_random_seed(6)
    inner_input = convkit.Input((4, 4, 4), name="inside")
    inner = layers.Conv2D(4, 1, name="inner_conv")(inner_input)
    block = convkit.Model(inner_input, layers.Add(name="skip")([inner, inner_input]), name="block")
    chain = convkit.Sequential(
        [convkit.Input((4, 4, 4)), layers.ReLU(name="r"), layers.Conv2D(4, 1, name="c")],
        name="line",
    )
    conv = layers.Conv2D(4, 3, padding="same", name="conv")
    given = convkit.Input((4, 4, 4), name="given")
    x = conv(chain(block(conv(block(given)))))
    model = convkit.Model(given, chain(conv(x)), name="whole")
    network = assert_there_and_back(model)
    assert len(network.weights) == len(model.weights) == 6
    back = interop.from_keras(network)
    assert back.get_config()["calls"] == model.get_config()["calls"]


def test_dictionaries_of_inputs_and_outputs() -> None:
    """Keras orders by key, convkit as given; arrays go to their names."""
    convkit.utils.set_random_seed(7)
    z, a = convkit.Input((3,), name="z"), convkit.Input((5,), name="a")
    p, q = layers.Dense(4, name="p")(z), layers.Dense(2, name="q")(a)
    inner = convkit.Model({"z": z, "a": a}, {"second": p, "first": q}, name="inner")
    b, c = convkit.Input((5,), name="b"), convkit.Input((3,), name="c")
    made = inner({"a": b, "z": c})
    outputs = {"y": made["second"], "x": layers.Dense(3, name="end")(made["first"])}
    model = convkit.Model({"c": c, "b": b}, outputs, name="outer")
    network = interop.to_keras(model)
    x = {"b": np.ones((2, 5), np.float32), "c": np.full((2, 3), 2, np.float32)}
    mine, theirs = model.predict_on_batch(x), network(x, training=False)
    back = interop.from_keras(network).predict_on_batch(x)
    for key in ("x", "y"):
        close([mine[key]], [numbers(theirs[key].detach())])
        np.testing.assert_array_equal(back[key], mine[key])


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs_go_there_and_back(seed: int) -> None:
    model = Draw(seed).model(12)
    x = batches(model)
    expected = outputs_of(model, x)
    back = interop.from_keras(interop.to_keras(model))
    for mine, theirs in zip(expected, outputs_of(back, x), strict=True):
        np.testing.assert_array_equal(theirs, mine)
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]


def test_every_layer_is_in_the_table() -> None:
    kinds = {getattr(layers, name) for name in layers.__all__}
    kinds = {kind for kind in kinds if isinstance(kind, type)} - {layers.Layer, layers.InputLayer}
    kinds -= {layers.CutMix, layers.MixUp}  # they mix labels as well, and are no parts of models
    assert kinds == set(table._ARGUMENTS)


# What Keras's own functional models have.


def functional(make: Callable[[Any], Any], shape: tuple[int, ...] = (4, 4, 3)) -> Any:
    given = keras.Input(shape, name="given")
    return keras.Model(given, make(given))


def test_a_keras_graph_with_all_that_it_may_have() -> None:
    keras.utils.set_random_seed(1)
    images, other = keras.Input((8, 8, 3), name="b_images"), keras.Input((4,), name="a_other")
    tower = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.ReLU()], name="tower")
    inner_given = keras.Input((6, 6, 4))
    inner = keras.Model(
        inner_given,
        [keras.layers.MaxPooling2D()(inner_given), keras.layers.AveragePooling2D(2)(inner_given)],
        name="inner",
    )
    shared = keras.layers.Dense(4, activation=keras.activations.gelu, name="shared")
    first, second = inner(tower(images))
    x = keras.layers.add([shared(first), shared(second), shared(other)])
    x = x / 2.0 - 0.25
    network = keras.Model(
        {"b_images": images, "a_other": other},
        {"map": x, "classes": keras.layers.Dense(3)(keras.ops.mean(x, axis=(1, 2)))},
    )
    model = interop.from_keras(network)
    assert model.input_names == ["a_other", "b_images"]
    data = {
        "b_images": np.random.default_rng(2).random((3, 8, 8, 3), np.float32),
        "a_other": np.random.default_rng(3).random((3, 4), np.float32),
    }
    mine = model.predict_on_batch(data)
    theirs = network(data, training=False)
    for key in ("map", "classes"):
        close([mine[key]], [numbers(theirs[key].detach())])
    assert [type(layer).__name__ for layer in model.layers if layer.name == "inner"] == ["Model"]
    assert type(model.get_layer("tower")) is convkit.Sequential


def test_an_input_that_nothing_reads_comes_along() -> None:
    given, unread = keras.Input((3,), name="given"), keras.Input((4,), name="unread")
    network = keras.Model([given, unread], keras.layers.Dense(2, name="dense")(given))
    model = interop.from_keras(network)
    assert model.input_names == ["given", "unread"]
    assert [layer.name for layer in model.layers] == [layer.name for layer in network.layers]


def test_a_graph_of_nothing_and_outputs_that_are_given_twice() -> None:
    given = keras.Input((3,), name="given")
    made = keras.layers.Dense(2, name="dense")(given)
    for outputs in (given, [made], [made, made]):
        network = keras.Model([given], outputs)
        model = interop.from_keras(network)
        x = batches(model)
        close(outputs_of(model, x), keras_outputs(network, x))


OPERATIONS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "plus": (lambda x: x + 3, "Rescaling"),
    "plus from the left": (lambda x: keras.ops.add(2.0, x), "Rescaling"),
    "minus": (lambda x: x - np.array([1.0, 2.0, 3.0]), "Rescaling"),
    "from a number": (lambda x: 1 - x, "Rescaling"),
    "times": (lambda x: x * np.array([0.5, 2.0, -1.0], np.float32), "Rescaling"),
    "through": (lambda x: x / 255, "Rescaling"),
    "negative": (lambda x: -x, "Rescaling"),
    "sum": (lambda x: x + keras.ops.relu(x), "Add"),
    "square": (lambda x: x * x, "Multiply"),
    "difference": (lambda x: x - x * 2, "Subtract"),
    "largest": (lambda x: keras.ops.maximum(x, 0.5 - x), "Maximum"),
    "smallest": (lambda x: keras.ops.minimum(x, 0.5 - x), "Minimum"),
    "side by side": (lambda x: keras.ops.concatenate([x, 2 * x], axis=-1), "Concatenate"),
    "reshape": (lambda x: keras.ops.reshape(x, (-1, 16, 3)), "Reshape"),
    "expand": (lambda x: keras.ops.expand_dims(x, 2), "Reshape"),
    "squeeze": (lambda x: keras.ops.squeeze(keras.ops.expand_dims(x, -1), -1), "Reshape"),
    "transpose": (lambda x: keras.ops.transpose(x, (0, 2, 1, 3)), "Permute"),
    "mean": (lambda x: keras.ops.mean(x, axis=(1, 2), keepdims=True), "GlobalAveragePooling2D"),
    "max": (lambda x: keras.ops.max(x, axis=[1, -2]), "GlobalMaxPooling2D"),
    "relu": (lambda x: keras.ops.relu(x - 0.5), "Activation"),
    "relu6": (lambda x: keras.ops.relu6(x * 9), "Activation"),
    "sigmoid": (keras.ops.sigmoid, "Activation"),
    "tanh": (keras.ops.tanh, "Activation"),
    "silu": (keras.ops.silu, "Activation"),
    "gelu": (lambda x: keras.ops.gelu(x, approximate=False), "Activation"),
    "selu": (keras.ops.selu, "Activation"),
    "elu": (lambda x: keras.ops.elu(x - 0.5, alpha=0.5), "ELU"),
    "leaky_relu": (lambda x: keras.ops.leaky_relu(x - 0.5, negative_slope=0.1), "LeakyReLU"),
    "softplus": (keras.ops.softplus, "Activation"),
    "softsign": (keras.ops.softsign, "Activation"),
    "hard_sigmoid": (keras.ops.hard_sigmoid, "Activation"),
    "hard_silu": (keras.ops.hard_silu, "Activation"),
    "exp": (keras.ops.exp, "Activation"),
    "softmax": (keras.ops.softmax, "Activation"),
    "log_softmax": (keras.ops.log_softmax, "Activation"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_become_layers(name: str) -> None:
    make, kind = OPERATIONS[name]
    network = functional(make)
    model = interop.from_keras(network)
    last = model.graph.nodes[-1].layer
    assert type(last).__name__ == kind
    assert last.name == network.outputs[0]._keras_history.operation.name
    x = batches(model)
    close(outputs_of(model, x), keras_outputs(network, x[0]))


class Subclassed(keras.Model):
    """A model whose code says what it computes."""

    def __init__(self) -> None:
        super().__init__(name="own")
        self.dense = keras.layers.Dense(3)

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)


REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an operation": (lambda x: keras.ops.sin(x), r'operation "sin" \(Sin\): it has no counterpart'),
    "a quotient": (lambda x: x / x, "convkit divides tensors by numbers alone"),
    "a number through": (lambda x: 1 / (x + 1), "convkit divides tensors by numbers alone"),
    "a largest of a number": (lambda x: keras.ops.maximum(x, 0.5), "it for two tensors, and not"),
    "pixels": (lambda x: x + np.ones((4, 4, 3), np.float32), r"one for each channel, received"),
    "ranks": (lambda x: x + keras.ops.mean(x, axis=(1, 2)), "different ranks"),
    "an axis": (lambda x: keras.ops.softmax(x, axis=1), "has it along the last axis, not 1"),
    "one axis": (lambda x: keras.ops.mean(x, axis=1), r"axis=\(1, 2\), received axis=\[?1"),
    "approximate": (keras.ops.gelu, "give it approximate=False"),
    "a variable": (lambda x: x * keras.Variable(np.ones(3, np.float32)), "it reads a Variable"),
    "an own model": (lambda x: Subclassed()(x), r'"own" \(Subclassed\): it has no counterpart'),
    "a lambda": (lambda x: keras.layers.Lambda(lambda y: y)(x), r"\(Lambda\): it has no counter"),
    "a mask": (
        lambda x: keras.layers.Softmax()(x, mask=keras.ops.relu(x)),
        "called with more than its inputs, mask",
    ),
}  # fmt: skip


def test_single_weights_that_are_frozen_stay_so() -> None:
    def mixed(x: Any) -> Any:
        layer = keras.layers.Dense(3, name="half_frozen")
        made = layer(x)
        layer.bias.trainable = False
        return made

    copy = interop.from_keras(functional(mixed))
    flags = [(weight.name, weight.trainable) for weight in copy.weights]
    assert flags == [("kernel", True), ("bias", False)]
    again = interop.to_keras(copy)
    assert [bool(weight.trainable) for weight in again.get_layer("half_frozen").weights] == [
        True,
        False,
    ]


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    network = functional(make)
    with pytest.raises(ValueError, match=message):
        interop.from_keras(network)


def test_inputs_that_convkit_does_not_have_are_refused() -> None:
    for shape, options, message in (
        ((None, None, 3), {}, r"received shape \(None, None, None, 3\).* Input\(\(224"),
        ((4, 4, 3), {"dtype": "uint8"}, "dense float32 numbers, received uint8"),
    ):
        given = keras.Input(shape, name="given", **options)
        network = keras.Model(given, keras.layers.ReLU()(given))
        with pytest.raises(ValueError, match=message):
            interop.from_keras(network)
    with pytest.raises(TypeError, match=r"keras\.Model made of inputs .* received Subclassed"):
        interop.from_keras(Subclassed())


def test_lists_in_lists_are_refused() -> None:
    given = keras.Input((3,))
    network = keras.Model(given, {"a": [given * 2, given * 3]})
    with pytest.raises(ValueError, match="not lists in those"):
        interop.from_keras(network)


# What is trained.


def transfer() -> Any:
    keras.utils.set_random_seed(2)
    base_given = keras.Input((4, 4, 3))
    y = keras.layers.Conv2D(4, 1, name="base_conv")(base_given)
    base = keras.Model(base_given, keras.layers.BatchNormalization(name="norm")(y), name="base")
    base.trainable = False
    given = keras.Input((4, 4, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(given, training=False))
    return keras.Model(given, keras.layers.Dense(2, name="head")(x))


def test_layers_of_a_frozen_model_are_what_they_say_themselves() -> None:
    network = transfer()
    network.get_layer("base").get_layer("base_conv").trainable = True
    model = interop.from_keras(network)
    inner = {layer.name: layer.trainable for layer in model.graph.all_layers() if layer.weights}
    assert inner == {"base_conv": True, "norm": False, "head": True}
    x, y = np.random.default_rng(0).random((8, 4, 4, 3), np.float32), np.ones((8, 2), np.float32)
    for library, each in ((keras, network), (convkit, model)):
        each.compile(library.optimizers.SGD(0.5), "mse")
        each.train_on_batch(x, y)
    for one, other in zip(model.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


# Layers of keras.applications.


def test_layers_of_convnext_and_inception() -> None:
    convnext = keras.applications.convnext.__name__  # the public module does not have them
    assert convnext
    from keras.src.applications.convnext import LayerScale, StochasticDepth
    from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

    def make(x: Any) -> Any:
        scaled = LayerScale(0.5, 3, name="scale")(x)
        dropped = StochasticDepth(0.25, name="depth")(scaled)
        return CustomScaleLayer(0.17, name="sum")([x, dropped])

    network = functional(make)
    network.get_layer("scale").set_weights([np.array([1.0, -2.0, 0.5], np.float32)])
    model = interop.from_keras(network)
    kinds = {layer.name: type(layer).__name__ for layer in model.layers}
    assert kinds == {
        "given": "InputLayer",
        "scale": "DepthwiseConv2D",
        "depth": "Dropout",
        "sum_scale": "Rescaling",
        "sum": "Add",
    }
    assert model.get_layer("depth").noise_shape == (None, 1, 1, 1)
    x = batches(model)
    close(outputs_of(model, x), keras_outputs(network, x[0]))
    with pytest.raises(ValueError, match=r'"scale" \(LayerScale\): convkit scales the channels of'):
        interop.from_keras(functional(lambda x: LayerScale(0.5, 3, name="scale")(x), (3,)))


def test_a_graph_that_computes_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = convkit.Model.predict_on_batch

    def wrong(self: convkit.Model, x: Any) -> Any:
        first, second = right(self, x)
        return [first, second * 1.001]

    model = residual()
    network = interop.to_keras(model)
    monkeypatch.setattr(convkit.Model, "predict_on_batch", wrong)
    with pytest.raises(ValueError, match="does not compute what the Keras model computes"):
        interop.from_keras(network)
    with pytest.raises(ValueError, match="does not compute what its copy in Keras computes"):
        interop.to_keras(model)
    interop.from_keras(network, verify=False)
