"""Files that Keras writes, `.keras`, `.h5`, `.weights.h5`: the same predictions, or a refusal."""

from __future__ import annotations

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
import keras_content
from convkit import interop, zoo

h5py = pytest.importorskip("h5py", reason="h5py is not installed")

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:You are saving your model:UserWarning"),
]


def chain(*layers: str, size: tuple[int, ...] = (9, 9, 3)) -> Callable[[Any], Any]:
    """A Sequential of layers that are written as in a script, `L` being Keras's."""

    def make(keras: Any) -> Any:
        names = {"L": keras.layers, "keras": keras}
        return keras.Sequential([keras.Input(size), *(eval(each, names) for each in layers)])

    return make


def from_zoo(make: Callable[[], Any]) -> Callable[[Any], Any]:
    return lambda keras: interop.to_keras(make())


def branches(keras: Any) -> Any:
    L = keras.layers
    given = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="last")(given)
    y = L.Conv2D(4, 1, name="first")(x)
    z = L.DepthwiseConv2D(3, padding="same")(x)
    x = L.Concatenate()([L.Add()([x, y]), L.Maximum()([y, z]), L.Multiply()([x, z])])
    x = L.BatchNormalization()(x)
    return keras.Model(given, L.Dense(3, activation="softmax")(L.GlobalMaxPooling2D()(x)))


def several_ends(keras: Any) -> Any:
    L = keras.layers
    one, two = keras.Input((6, 6, 1), name="one"), keras.Input((4,), name="two")
    x = L.Concatenate()([L.Flatten()(one), two])
    return keras.Model([one, two], [L.Dense(3, name="a")(x), L.Dense(2, name="b")(x)])


def named_ends(keras: Any) -> Any:
    L = keras.layers
    one, two = keras.Input((5,), name="z"), keras.Input((4,), name="y")
    x = L.Concatenate()([one, two])
    return keras.Model({"z": one, "y": two}, {"q": L.Dense(3)(x), "p": L.Dense(2)(x)})


def shared(keras: Any) -> Any:
    L = keras.layers
    given, layer = keras.Input((7, 7, 2)), L.Conv2D(2, 3, padding="same", activation="tanh")
    x = layer(layer(given))
    return keras.Model(given, L.Average()([layer(x), given]))


def nested(keras: Any) -> Any:
    L = keras.layers
    given = keras.Input((8, 8, 4))
    block = keras.Sequential(
        [keras.Input((8, 8, 4)), L.Conv2D(4, 3, padding="same"), L.BatchNormalization(), L.ReLU()]
    )
    side = keras.Input((8, 8, 4))
    graph = keras.Model(side, L.Add()([block(side), L.Conv2D(4, 1)(side)]), name="graph")
    x = graph(graph(L.Conv2D(4, 1)(given)))
    return keras.Model(given, graph(x))


def nested_in_a_chain(keras: Any) -> Any:
    L = keras.layers
    given = keras.Input((8, 8, 3))
    body = keras.Model(given, L.BatchNormalization()(L.Conv2D(4, 3)(given)))
    body.trainable = False
    return keras.Sequential([keras.Input((8, 8, 3)), body, L.Flatten(), L.Dense(2)])


def operations(keras: Any) -> Any:
    L = keras.layers
    given = keras.Input((6, 6, 3))
    x = L.Conv2D(4, 3, padding="same")(given / 255.0 - 0.5)
    x = keras.ops.relu(x) * 2.0 + x
    x = keras.ops.mean(x, axis=(1, 2))
    return keras.Model(given, keras.ops.softmax(L.Dense(3)(x)))


def adapted(keras: Any) -> Any:
    L = keras.layers
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(1).normal(3, 2, (20, 6, 6, 3)).astype(np.float32))
    return keras.Sequential([keras.Input((6, 6, 3)), layer, L.Conv2D(2, 3), L.Flatten()])


def mobilenet(keras: Any) -> Any:
    return keras.applications.MobileNetV2((32, 32, 3), 0.35, weights=None, classes=5)


MODELS: dict[str, Callable[[Any], Any]] = {
    "study_mnist": from_zoo(zoo.mnist_cnn),
    "study_fashion_mnist": from_zoo(zoo.fashion_mnist_cnn),
    "study_cifar10": from_zoo(zoo.cifar10_cnn),
    "resnet20": from_zoo(zoo.resnet20),
    "mobilenet": mobilenet,
    "plain": chain("L.Flatten()", "L.Dense(5, activation='relu')", "L.Dense(2, use_bias=False)"),
    "vgg": chain(
        "L.Conv2D(4, 3, activation='relu', padding='same')",
        "L.Conv2D(4, 3, activation='relu')",
        "L.MaxPooling2D()",
        "L.Dropout(0.3)",
        "L.Flatten()",
        "L.Dense(3, activation='softmax')",
    ),
    "strided": chain(
        "L.Conv2D(6, (3, 2), strides=2, padding='same', groups=3)",
        "L.Conv2D(4, 3, dilation_rate=2, padding='same', activation='selu')",
        "L.AveragePooling2D(2, 1, 'same')",
        "L.GlobalAveragePooling2D(keepdims=True)",
    ),
    "separable": chain(
        "L.SeparableConv2D(5, 3, depth_multiplier=2, activation='swish')",
        "L.DepthwiseConv2D(3, depth_multiplier=2)",
        "L.Conv2DTranspose(3, 3, strides=2, padding='same', activation='sigmoid')",
    ),
    "normalized": chain(
        "L.Conv2D(4, 3)",
        "L.BatchNormalization(momentum=0.9, epsilon=1e-2, scale=False)",
        "L.GroupNormalization(2)",
        "L.LayerNormalization(center=False)",
    ),
    "activations": chain(
        "L.Conv2D(4, 3)",
        "L.LeakyReLU(0.2)",
        "L.PReLU(shared_axes=[1, 2])",
        "L.ELU(0.7)",
        "L.ReLU(max_value=2.0)",
        "L.Activation('gelu')",
        "L.Softmax()",
    ),
    "shapes": chain(
        "L.ZeroPadding2D((1, 2))",
        "L.UpSampling2D(2, interpolation='bilinear')",
        "L.Cropping2D(((1, 2), (0, 1)))",
        "L.Permute((2, 1, 3))",
        "L.Reshape((-1, 3))",
        "L.Dense(2)",
    ),
    "regularized": chain(
        "L.Rescaling(1 / 255, offset=-0.5)",
        "L.Conv2D(3, 3, kernel_regularizer='l2', kernel_constraint=keras.constraints.MaxNorm(3))",
        "L.GaussianNoise(0.1)",
        "L.SpatialDropout2D(0.2, seed=3)",
        "L.Flatten()",
        "L.Dense(2, bias_regularizer=keras.regularizers.L1L2(0.1, 0.2))",
    ),
    "adapted": adapted,
    "branches": branches,
    "several_ends": several_ends,
    "named_ends": named_ends,
    "shared": shared,
    "nested": nested,
    "nested_in_a_chain": nested_in_a_chain,
    "operations": operations,
}
# Keras itself cannot read what it writes: operations are not told from layers.
NOT_IN_H5 = ("operations",)


def made(keras: Any, name: str) -> Any:
    """The model with weights of all kinds, as after some training."""
    keras.utils.set_random_seed(0)
    model = MODELS[name](keras)
    rng = np.random.default_rng(7)
    for weight in model.weights:
        if "seed" in weight.path or "count" in weight.path or name == "adapted":
            continue
        value = np.asarray(weight.numpy() if hasattr(weight, "numpy") else weight)
        low = 0.5 if "variance" in weight.path else -0.1
        weight.assign(value + rng.uniform(low, 0.6 if low > 0 else 0.1, value.shape))
    return model


def given(model: Any, count: int = 3) -> Any:
    """Random inputs, of several models in their structure."""
    rng = np.random.default_rng(2)

    def draw(tensor: Any) -> Any:
        return rng.normal(size=(count, *tensor.shape[1:])).astype(np.float32)

    structure = model.inputs[0] if type(model).__name__ == "Sequential" else model.input
    if isinstance(structure, dict):
        return {key: draw(structure[key]) for key in sorted(structure)}
    return [*map(draw, structure)] if isinstance(structure, list) else draw(structure)


def assert_same(ours: Any, theirs: Any) -> None:
    x = given(theirs)
    expected, received = theirs.predict(x, verbose=0), ours.predict(x, verbose=0)
    if isinstance(expected, dict):
        assert received.keys() == expected.keys()
        expected, received = list(expected.values()), [received[key] for key in expected]
    if not isinstance(expected, list):
        expected, received = [expected], [received]
    for one, two in zip(received, expected, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_models(keras: Any, tmp_path: Path, name: str, ending: str) -> None:
    model = made(keras, name)
    path = tmp_path / f"model{ending}"
    model.save(path)
    if ending == ".h5" and name in NOT_IN_H5:
        with pytest.raises(ValueError, match="no counterpart in convkit"):
            convkit.models.load_model(path)
        return
    ours = convkit.models.load_model(path)
    assert_same(ours, model)
    assert ours.name == model.name
    assert ours.optimizer is None
    flat = [each.name for each in ours.layers if not isinstance(each, convkit.Model)]
    assert {*flat} <= {each.name for each in model.layers} or name in ("operations", "mobilenet")
    frozen = [weight.path for weight in model.trainable_weights]
    assert len(ours.trainable_weights) == len(frozen)
    # Into a model that has other weights, and from it.
    ours.set_weights([np.zeros(weight.shape, np.float32) for weight in ours.weights])
    ours.load_weights(path)
    assert_same(ours, model)
    model.save_weights(weights := tmp_path / "only.weights.h5")
    ours.set_weights([np.zeros(weight.shape, np.float32) for weight in ours.weights])
    ours.load_weights(weights)
    assert_same(ours, model)
    again = tmp_path / "own.keras"  # whose content is convkit's
    ours.save(again)
    assert_same(convkit.saving.load_model(again), model)


def test_at_least_twenty_models() -> None:
    assert len(MODELS) >= 20


# As it was compiled.


@pytest.mark.parametrize("ending", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("optimizer", "loss", "metrics"),
    [
        ("sgd", "mse", None),
        ("keras.optimizers.Adam(3e-3, beta_1=0.8)", "mean_absolute_error", ["accuracy"]),
        (
            "keras.optimizers.RMSprop(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9))",
            "keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)",
            ["keras.metrics.TopKCategoricalAccuracy(2, name='top')"],
        ),
        ("keras.optimizers.AdamW(weight_decay=0.01)", "keras.losses.MeanAbsoluteError()", []),
    ],
)
def test_compiled(
    keras: Any, tmp_path: Path, ending: str, optimizer: str, loss: str, metrics: Any
) -> None:
    def object_of(text: str) -> Any:
        return eval(text, {"keras": keras}) if text.startswith("keras") else text

    model = made(keras, "plain")
    named = None if metrics is None else [object_of(each) for each in metrics]
    model.compile(object_of(optimizer), object_of(loss), metrics=named)
    x, y = given(model, 8), np.eye(2, dtype=np.float32)[np.arange(8) % 2]
    model.save(path := tmp_path / f"model{ending}")
    ours = convkit.models.load_model(path)
    assert type(ours.optimizer).__name__ == type(model.optimizer).__name__
    theirs = model.evaluate(x, y, verbose=0, return_dict=True)
    assert ours.evaluate(x, y, verbose=0, return_dict=True) == pytest.approx(theirs, rel=5e-5)
    model.fit(x, y, 4, 2, 0, shuffle=False)
    ours.fit(x, y, 4, 2, 0, shuffle=False)
    assert_same(ours, model)
    assert convkit.models.load_model(path, compile=False).optimizer is None


def test_what_convkit_has_not_leaves_the_model_without(keras: Any, tmp_path: Path) -> None:
    model = made(keras, "plain")
    model.compile(keras.optimizers.Lamb(), "mse")
    model.save(path := tmp_path / "model.keras")
    with pytest.warns(UserWarning, match="not compiled, because convkit has no 'Lamb'"):
        ours = convkit.models.load_model(path)
    assert_same(ours, model)
    assert ours.optimizer is None


# Keras 2.


def test_configurations_of_keras_2(keras: Any, tmp_path: Path) -> None:
    """Their words, in a file as tf.keras 2.4 wrote it."""
    rng = np.random.default_rng(5)
    arrays = {
        "conv": {"conv/kernel:0": rng.normal(size=(3, 3, 1, 4)), "conv/bias:0": rng.normal(size=4)},
        "norm": {
            f"norm/{name}:0": rng.uniform(1, 2, 4)
            for name in ("gamma", "beta", "moving_mean", "moving_variance")
        },
        "leaky": {},
        "flat": {},
        "dense": {"dense/kernel:0": rng.normal(size=(64, 2)), "dense/bias:0": rng.normal(size=2)},
    }
    window = {"padding": "valid", "strides": [1, 1], "data_format": "channels_last"}
    described = [
        {
            "class_name": "Conv2D",
            "config": {
                **window,
                "name": "conv",
                "batch_input_shape": [None, 6, 6, 1],
                "dtype": "float32",
                "filters": 4,
                "kernel_size": [3, 3],
                "activation": "linear",
                "kernel_initializer": {"class_name": "GlorotUniform", "config": {"seed": None}},
                "kernel_regularizer": {"class_name": "L2", "config": {"l2": 0.5}},
            },
        },
        {
            "class_name": "BatchNormalization",
            "config": {"name": "norm", "axis": [3], "epsilon": 0.001},
        },
        {"class_name": "LeakyReLU", "config": {"name": "leaky", "alpha": 0.25}},
        {"class_name": "Flatten", "config": {"name": "flat", "data_format": "channels_last"}},
        {"class_name": "Dense", "config": {"name": "dense", "units": 2, "activation": "softmax"}},
    ]
    path = tmp_path / "old.h5"
    with h5py.File(path, "w") as file:
        config = {"class_name": "Sequential", "config": {"name": "old", "layers": described}}
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in arrays]
        for layer, own in arrays.items():
            inner = group.create_group(layer)
            inner.attrs["weight_names"] = [name.encode() for name in own]
            for name, value in own.items():
                inner[name] = value.astype(np.float32)
    ours = convkit.models.load_model(path)
    assert [layer.name for layer in ours.layers] == [*arrays]
    assert ours.layers[2].negative_slope == 0.25
    assert ours.layers[0].kernel_regularizer.l2 == 0.5
    twin = keras.Sequential(
        [
            keras.Input((6, 6, 1)),
            keras.layers.Conv2D(4, 3),
            keras.layers.BatchNormalization(),
            keras.layers.LeakyReLU(0.25),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax"),
        ]
    )
    twin.set_weights([value for own in arrays.values() for value in own.values()])
    assert_same(ours, twin)


def test_graphs_of_keras_2(tmp_path: Path) -> None:
    """Their inbound_nodes: lists of layers, calls and outputs."""
    described = [
        {
            "class_name": "InputLayer",
            "config": {"name": "x", "batch_input_shape": [None, 3]},
            "name": "x",
            "inbound_nodes": [],
        },
        {
            "class_name": "Dense",
            "config": {"name": "d", "units": 3},
            "name": "d",
            "inbound_nodes": [[["x", 0, 0, {}]], [["d", 0, 0, {}]]],
        },
        {
            "class_name": "Add",
            "config": {"name": "a"},
            "name": "a",
            "inbound_nodes": [[["d", 0, 0, {}], ["d", 1, 0, {}]]],
        },
    ]
    config = {
        "name": "g",
        "layers": described,
        "input_layers": [["x", 0, 0]],
        "output_layers": [["a", 0, 0]],
    }
    path, kernel = tmp_path / "old.h5", np.diag([2.0, 3.0, 4.0]).astype(np.float32)
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"x", b"d", b"a"]
        for layer in ("x", "a"):
            group.create_group(layer).attrs["weight_names"] = np.array([])
        inner = group.create_group("d")
        inner.attrs["weight_names"] = [b"d/kernel:0", b"d/bias:0"]
        inner["d/kernel:0"], inner["d/bias:0"] = kernel, np.ones(3, np.float32)
    x = np.float32([[1, 2, 3]])
    once = x @ kernel + 1
    np.testing.assert_allclose(
        convkit.models.load_model(path).predict(x, verbose=0), once + (once @ kernel + 1)
    )


# What is refused.


@pytest.fixture
def saved(keras: Any, tmp_path: Path) -> Path:
    made(keras, "branches").save(path := tmp_path / "model.keras")
    return path


def rewritten(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """A copy of a .keras file with another configuration."""
    other = path.with_name("other.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        config = json.loads(old.read("config.json"))
        change(config)
        new.writestr("config.json", json.dumps(config))
        new.writestr("model.weights.h5", old.read("model.weights.h5"))
    return other


def layer_of(config: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (each for each in config["config"]["layers"] if each["name"] == name)
    return found


def set_in(name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: layer_of(config, name)["config"].__setitem__(key, value)


def make_lambda(config: dict[str, Any]) -> None:
    layer = layer_of(config, "first")
    layer.update(class_name="Lambda", registered_name=None)
    layer["config"] = {"name": "first", "function": {"class_name": "__lambda__", "config": {}}}


def make_own(config: dict[str, Any]) -> None:
    layer_of(config, "first").update(module="os", registered_name="os>system")


def make_loop(config: dict[str, Any]) -> None:
    (node,) = layer_of(config, "last")["inbound_nodes"]
    node["args"][0]["config"]["keras_history"] = ["first", 0, 0]


def make_subclass(config: dict[str, Any]) -> None:
    config.update(class_name="MyModel", module="builtins")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (make_lambda, "its function is code in the file, which is never run"),
        (make_own, r'"first" \(Conv2D\): it has no counterpart'),
        (make_loop, "damaged"),
        (make_subclass, "'MyModel', whose code is not in the file"),
        (set_in("first", "filters", 10**9), "has shape"),
        (set_in("first", "filters", -1), "filters"),
        (set_in("first", "filters", 5), "has shape"),
        (set_in("first", "dtype", "mixed_float16"), "convkit computes in float32"),
        (set_in("first", "data_format", "channels_first"), "data_format='channels_first'"),
        (
            set_in("first", "activation", {"class_name": "MyActivation", "config": {}}),
            "no such activation",
        ),
        (set_in("first", "activation", "__import__"), "activation"),
        (
            set_in(
                "first", "kernel_regularizer", {"module": "os", "class_name": "L2", "config": {}}
            ),
            "kernel_regularizer",
        ),
        (set_in("first", "name", "last"), "two layers of the same name"),
        (set_in("first", "name", 5), "'name' is missing"),
        (set_in("image", "batch_shape", [None, None, None, 3]), "sizes of a sample must be known"),
        (lambda config: config["config"].pop("output_layers"), "inputs and outputs"),
        (lambda config: config["config"].update(output_layers=["none", 0, 0]), "no layer 'none'"),
        (lambda config: config["config"].update(output_layers=["first", 7, 0]), "damaged"),
        (lambda config: config.update(config=[1]), "whose code is not"),
        (lambda config: config["config"].update(layers=[3]), "'class_name' is missing"),
    ],
)
def test_configurations_that_are_refused(saved: Path, change: Any, words: str) -> None:
    path = rewritten(saved, change)
    with pytest.raises(ValueError, match=words) as info:
        convkit.models.load_model(path)
    assert str(path) in str(info.value)


def test_models_in_models_without_end_are_refused(saved: Path) -> None:
    path, depth = saved.with_name("deep.keras"), 3000
    start = '{"class_name": "Sequential", "config": {"name": "s", "layers": ['
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", start * depth + "]}}" * depth)
        archive.writestr("model.weights.h5", hdf5(saved))
    with pytest.raises(ValueError, match="cannot load"):
        convkit.models.load_model(path)


def hdf5(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read("model.weights.h5")


def with_weights(path: Path, change: Callable[[Any], None]) -> Path:
    """A copy of a .keras file whose HDF5 file was changed."""
    content = io.BytesIO(hdf5(path))
    with h5py.File(content, "r+") as file:
        change(file)
    other = path.with_name("weights.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        new.writestr("config.json", old.read("config.json"))
        new.writestr("model.weights.h5", content.getvalue())
    return other


def replace(place: str, make: Callable[[Any, str], None]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        del file[place]
        make(file, place)

    return change


BIAS = "layers/conv2d/vars/1"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (replace(BIAS, lambda file, place: None), "it has no array /layers/conv2d/vars/1"),
        (replace("layers/conv2d/vars", lambda file, place: None), "no weights layers/conv2d/vars"),
        (replace("layers", lambda file, place: None), "it has no layers"),
        (
            replace(BIAS, lambda f, p: f.__setitem__(p, h5py.ExternalLink("other.h5", "/x"))),
            "a link out of its place",
        ),
        (replace(BIAS, lambda f, p: f.__setitem__(p, h5py.SoftLink("/layers"))), "a link out of"),
        (
            replace(
                BIAS, lambda f, p: f.create_dataset(p, (4,), "f4", external=[("x.bin", 0, 16)])
            ),
            "in other files",
        ),
        (replace(BIAS, lambda f, p: f.create_dataset(p, (10**12,), "f4")), "and the file has"),
        (
            replace(BIAS, lambda f, p: f.create_dataset(p, (10**9,), "f4", chunks=(1,))),
            "and the file has",
        ),
        (
            replace(BIAS, lambda f, p: f.create_dataset(p, data=[1, 2, 3, 4])),
            "must be of real numbers",
        ),
        (
            replace(BIAS, lambda f, p: f.create_dataset(p, data=["a"] * 4)),
            "must be of real numbers",
        ),
        (
            replace(BIAS, lambda f, p: f.create_dataset(p, data=np.zeros(5, "f4"))),
            r"shape \(5,\), not \(4,\)",
        ),
        (replace(BIAS, lambda f, p: f.create_group(p) and None), "it has no array"),
    ],
)
def test_weights_that_are_refused(saved: Path, change: Any, words: str) -> None:
    path = with_weights(saved, change)
    with pytest.raises(ValueError, match=words) as info:
        convkit.models.load_model(path)
    assert str(path) in str(info.value)


def test_damaged_files_are_refused(saved: Path, tmp_path: Path) -> None:
    content = saved.read_bytes()
    path = tmp_path / "damaged"
    rng = np.random.default_rng(0)
    for length in (*range(4, 40, 5), *rng.integers(40, len(content), 30)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="damaged"):
            convkit.models.load_model(path)
    weights = hdf5(saved)
    for length in (8, 50, len(weights) // 2, len(weights) - 1):
        path.write_bytes(weights[:length])
        with pytest.raises(ValueError, match="damaged"):
            convkit.models.load_model(path)


# Files without Keras, of which one place is changed.


@pytest.fixture
def dense() -> convkit.Sequential:
    model = convkit.Sequential([convkit.Input((4,)), convkit.layers.Dense(2, name="dense")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as info:
        convkit.models.load_model(path)
    assert str(path) in str(info.value)


def test_the_files_are_without_fault(dense: convkit.Sequential, tmp_path: Path) -> None:
    for content in (keras_content.archive(dense), keras_content.whole_file(dense)):
        (path := tmp_path / "model").write_bytes(content)
        loaded = convkit.models.load_model(path)
        for one, two in zip(loaded.get_weights(), dense.get_weights(), strict=True):
            np.testing.assert_array_equal(one, two)
        assert type(loaded.optimizer).__name__ == "Adam"


@pytest.mark.parametrize("is_external", [True, False])
def test_an_array_in_the_place_of_a_group_is_not_read(
    dense: convkit.Sequential, tmp_path: Path, is_external: bool
) -> None:
    """It may lie in any file, and be larger than the memory."""
    (other := tmp_path / "other").write_bytes(bytes(64))
    options: dict[str, Any] = {"chunks": (2**26,)}
    words = "/model_weights/dense/dense .* has 4,398,046,511,104 bytes, and the file has"
    if is_external:
        options = {"external": [(str(other), 0, 2**42)]}
        words = "/model_weights/dense/dense lies in other files"

    def change(file: Any) -> None:
        del file["model_weights/dense/dense"]
        file.create_dataset("model_weights/dense/dense", (2**40,), "f4", **options)

    content = keras_content.hdf5(change, keras_content.whole_file(dense))
    refused(tmp_path / "model.h5", content, words)


def test_what_hdf5_says_of_damage_names_the_file(dense: convkit.Sequential, tmp_path: Path) -> None:
    content = keras_content.whole_file(dense)
    length = struct.pack("<I", len(json.dumps(keras_content.described(dense))))
    longer = struct.pack("<I", len(json.dumps(keras_content.described(dense))) + 1)
    refused(tmp_path / "model.h5", content.replace(length, longer, 1), "damaged HDF5 file")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os; os.abort()", r"damaged HDF5 file: the HDF5 library died of it \(SIGABRT\)"),
        (
            "import resource; resource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nwhile True: pass",
            "did not end in 20 s",
        ),
        ("print(5)", "ended before it had read the file"),
    ],
)
def test_a_reader_that_dies_of_the_file(
    dense: convkit.Sequential, tmp_path: Path, code: str, words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("convkit.core.child.CODE", code)
    refused(tmp_path / "model.h5", keras_content.whole_file(dense), words)


def test_a_reader_that_fails_is_no_damage(
    dense: convkit.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convkit.core.child.CODE", "raise SystemExit('no room')")
    (path := tmp_path / "model.h5").write_bytes(keras_content.whole_file(dense))
    with pytest.raises(ChildProcessError, match="no room"):
        convkit.models.load_model(path)


def test_a_text_that_is_said_to_be_long_takes_no_memory(
    dense: convkit.Sequential, tmp_path: Path
) -> None:
    """HDF5 takes as much as a file says, and looks afterwards."""
    content = keras_content.whole_file(dense)
    length = len(json.dumps(keras_content.described(dense)))
    longer = content.replace(struct.pack("<I", length), struct.pack("<I", 2**32 - 1), 1)
    refused(tmp_path / "model.h5", longer, "damaged HDF5 file")
    # By a process of its own: Linux counts what the one that starts another has itself.
    code = (
        "import contextlib, convkit, resource, sys\n"
        "with contextlib.suppress(ValueError):\n"
        "    convkit.models.load_model(sys.argv[1])\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "model.h5")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 2**30


def test_without_an_interpreter_the_file_is_read_here(
    dense: convkit.Sequential, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", None)
    (path := tmp_path / "model.h5").write_bytes(keras_content.whole_file(dense))
    loaded = convkit.models.load_model(path)
    for one, two in zip(loaded.get_weights(), dense.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_an_archive_that_begins_before_the_file_is_refused(
    dense: convkit.Sequential, tmp_path: Path
) -> None:
    content = keras_content.archive(dense)
    (start,) = struct.unpack("<I", content[-6:-2])  # of the directory
    moved = content[:-6] + struct.pack("<I", start + 8) + content[-2:]
    refused(tmp_path / "model.keras", moved, "damaged")


def test_a_training_that_is_no_description(dense: convkit.Sequential, tmp_path: Path) -> None:
    config = {**keras_content.described(dense), "compile_config": 3}
    members = {
        keras_content.CONFIG: json.dumps(config).encode(),
        keras_content.WEIGHTS: keras_content.weights_by_place(dense),
    }
    (path := tmp_path / "model.keras").write_bytes(keras_content.zipped(members))
    with pytest.warns(UserWarning, match="the file describes the training by 3; call compile"):
        assert convkit.models.load_model(path).optimizer is None


def test_archives_that_grow_are_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "bomb.keras"
    for name in ("config.json", "model.weights.h5"):
        with (
            zipfile.ZipFile(saved) as old,
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new,
        ):
            for each in ("config.json", "model.weights.h5"):
                new.writestr(each, bytes(200_000_000) if each == name else old.read(each))
        with pytest.raises(ValueError, match=rf"its {name} has more than"):
            convkit.models.load_model(path)
    with zipfile.ZipFile(path, "w") as new:
        new.writestr("x.npy", b"")
    with pytest.raises(ValueError, match=r"without config\.json and model\.weights\.h5"):
        convkit.models.load_model(path)


def test_weights_alone_are_no_model(keras: Any, tmp_path: Path) -> None:
    model = made(keras, "plain")
    model.save_weights(path := tmp_path / "x.weights.h5")
    with pytest.raises(ValueError, match="it holds weights alone"):
        convkit.models.load_model(path)
    other = convkit.Sequential([convkit.Input((9, 9, 3)), convkit.layers.Conv2D(2, 3)])
    before = other.get_weights()
    with pytest.raises(ValueError, match="no weights layers/conv2d/vars"):
        other.load_weights(path)
    for one, two in zip(other.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, two)


def test_without_h5py_the_command_is_named(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "h5py.py").write_text("raise ImportError('there is none')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r'pip install "convkit\[keras\]"'):
        convkit.models.load_model(saved)
