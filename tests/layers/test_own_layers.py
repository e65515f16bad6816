"""Layers of one's own, made of others: tracing, weights, files, and what is refused."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, saving
from own_layers import classes

Residual, Gate = classes(convkit)


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    """Names and registrations of a new process."""
    convkit.utils.clear_session()
    before = dict(saving.get_custom_objects())
    yield
    saving.get_custom_objects().clear()
    saving.get_custom_objects().update(before)


def network() -> convkit.Model:
    inputs = convkit.Input((8, 8, 3))
    x = Residual(4)(inputs)
    y, z = Gate(5)([x, inputs])
    x = layers.Concatenate()([layers.Flatten()(y), z])
    return convkit.Model(inputs, layers.Dense(3, "softmax")(x))


def images(n: int = 6) -> Any:
    return np.random.default_rng(0).random((n, 8, 8, 3), np.float32)


def trained() -> convkit.Model:
    model = network()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(images(), np.arange(6) % 3, epochs=2, verbose=0)
    return model


def test_it_is_what_its_layers_are() -> None:
    """The same layers without a class around them: the same bits after training."""
    convkit.utils.set_random_seed(1)
    inputs = convkit.Input((8, 8, 4))
    own = Residual(4)
    model = convkit.Model(inputs, layers.Flatten()(own(inputs)))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    x = layers.Activation("relu")(layers.Add()([inputs, layers.BatchNormalization()(x)]))
    plain = convkit.Model(inputs, layers.Flatten()(x))
    plain.set_weights(model.get_weights())
    given = np.random.default_rng(0).random((6, 8, 8, 4), np.float32)
    for each in (model, plain):
        each.compile("sgd", "mse")
        each.fit(given, np.ones((6, 256), np.float32), epochs=3, shuffle=False, verbose=0)
    for one, other in zip(model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(model.predict(given, verbose=0), plain.predict(given, verbose=0))
    assert len(model.plan().splitlines()) == len(plain.plan().splitlines())


def test_weights_names_and_summary() -> None:
    model = network()
    own = model.layers[1]
    assert [layer.name for layer in model.layers[:3]] == ["input_layer", "residual", "gate"]
    assert own.built
    assert own.output_shape == (None, 8, 8, 4)
    assert model.layers[2].output_shape == [(None, 8, 8, 5), (None, 5)]
    assert own.count_params() == 9 * 3 * 4 + 16 + 9 * 4 * 4 + 16 + 3 * 4 + 4
    assert [path for path, _ in model.named_weights()][:6] == [
        "residual/convs/0/kernel",
        "residual/norms/0/gamma",
        "residual/norms/0/beta",
        "residual/norms/0/moving_mean",
        "residual/norms/0/moving_variance",
        "residual/convs/1/kernel",
    ]
    assert "gate/body/1/kernel" in dict(model.named_weights())
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    rows = [line for line in lines[0].splitlines() if "Residual" in line]
    assert len(rows) == 1
    assert f"{own.count_params():,}" in rows[0]
    assert f"Total params: {model.count_params():,} " in lines[0]
    # Names that call makes up for itself are nobody else's.
    assert layers.Add().name == "add"


def test_trainable() -> None:
    model = trained()
    own = model.layers[1]
    own.trainable = False
    assert own.trainable_weights == []
    assert not own.convs[0].trainable
    before = own.get_weights()
    model.fit(images(), np.arange(6) % 3, verbose=0)
    for one, other in zip(before, own.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)  # the moving statistics, too
    own.trainable = True
    own.convs[0].trainable = False
    assert len(own.trainable_weights) == 7
    frozen = Residual(4, trainable=False)
    frozen(convkit.Input((8, 8, 4)))
    assert frozen.trainable_weights == []


def test_called_on_arrays() -> None:
    """As a model of it computes."""
    own = Gate(5)
    x, other = images(), images()[:, :4, :4]
    y, z = own([x, other])
    inputs = [convkit.Input((8, 8, 3)), convkit.Input((4, 4, 3))]
    expected = convkit.Model(inputs, own(inputs)).predict([x, other], verbose=0)
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(z, expected[1], rtol=1e-5, atol=1e-6)
    block = own.block
    assert not np.allclose(block(x, training=True), block(x))


def test_in_a_sequential_that_is_built_by_data() -> None:
    model = convkit.Sequential([Residual(4), layers.Flatten(), layers.Dense(3, "softmax")])
    assert not model.built
    assert model.predict(images(), verbose=0).shape == (6, 3)
    wrong = convkit.Sequential([Residual(4), layers.Conv2D(2, 9)])
    with pytest.raises(ValueError, match="conv2d"):
        wrong.build((None, 8, 8, 3))
    assert not wrong.layers[0].built, "the model stays as it was"
    assert Residual(2).compute_output_shape((None, 5, 5, 3)) == (None, 5, 5, 2)


def test_other_sizes() -> None:
    own = Residual(3)
    small, large = convkit.Input((4, 4, 3)), convkit.Input((8, 8, 3))
    model = convkit.Model([small, large], [own(small), own(large)])
    assert model.output_shape == [(None, 4, 4, 3), (None, 8, 8, 3)]
    x = images()
    one, two = model.predict([x[:, :4, :4], x], verbose=0)
    np.testing.assert_allclose(two, own(x), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one, own(x[:, :4, :4]), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match=r"cannot take .*use a new layer"):
        own(convkit.Input((8, 8, 2)))
    with pytest.raises(ValueError, match=r"was built for inputs of shape .* and cannot take"):
        own.build((None, 8, 8, 3))

    class Mean(layers.Layer):
        def call(self, x: Any) -> Any:
            return layers.GlobalAveragePooling2D()(x) * x.shape[1]

    mean = Mean()
    mean(small)
    with pytest.raises(ValueError, match="its call does something else with"):
        mean(large)


# Files.


def same(one: convkit.Model, other: convkit.Model) -> None:
    for left, right in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    np.testing.assert_array_equal(
        one.predict(images(), verbose=0), other.predict(images(), verbose=0)
    )


@pytest.mark.parametrize("how", ["registered", "scope", "argument"])
def test_saved_and_loaded(how: str, tmp_path: Path) -> None:
    own = {"Residual": Residual, "Gate": Gate}
    model = trained()
    if how == "registered":
        for kind in own.values():
            saving.register_keras_serializable("tests")(kind)
        model.save(tmp_path / "m")
        loaded = convkit.models.load_model(tmp_path / "m")
        assert model.get_config()["layers"][1]["class_name"] == "tests>Residual"
    else:
        with saving.custom_object_scope(own):
            model.save(tmp_path / "m")
        with pytest.raises(ValueError, match=r"no class .*Residual.*register_keras_serializable"):
            convkit.models.load_model(tmp_path / "m")
        if how == "argument":
            loaded = convkit.models.load_model(tmp_path / "m", own)
        else:
            with saving.CustomObjectScope(own):
                loaded = saving.load_model(tmp_path / "m")
    same(model, loaded)
    for each in (model, loaded):  # the optimizer's memory, too
        each.fit(images(), np.arange(6) % 3, verbose=0)
    same(model, loaded)


def test_what_is_not_registered_is_not_saved(tmp_path: Path) -> None:
    model = trained()
    with pytest.raises(ValueError, match=r"cannot be saved.*register_keras_serializable"):
        model.save(tmp_path / "m")
    model.save_weights(tmp_path / "w")
    twin = network()
    twin.load_weights(tmp_path / "w")
    same(model, twin)


def test_copies() -> None:
    model = trained()
    clone = convkit.models.clone_model(model)
    clone.set_weights(model.get_weights())
    same(model, clone)
    with saving.custom_object_scope({"Residual": Residual, "Gate": Gate}):
        same(model, pickle.loads(pickle.dumps(model)))
    own = model.layers[1]
    alone = copy.deepcopy(own)
    np.testing.assert_array_equal(alone(images()), own(images()))
    other = Residual.from_config(own.get_config())
    assert (other.name, other.filters, other.built) == (own.name, 4, False)


class Wrapper(layers.Layer):
    """Takes a layer, and has a configuration of its own, as in Keras."""

    def __init__(self, layer: Any, factor: float, **options: Any) -> None:
        super().__init__(**options)
        self.scale = factor
        self.norm = layers.LayerNormalization()
        self.layer = layer

    def call(self, x: Any) -> Any:
        return self.layer(self.norm(x)) * self.scale

    def get_config(self) -> dict[str, Any]:
        layer = saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "factor": self.scale}

    @classmethod
    def from_config(cls, config: Any) -> Wrapper:
        config = dict(config)
        layer = saving.deserialize_keras_object(config.pop("layer"))
        return cls(layer, **config)


def test_a_layer_that_takes_a_layer(tmp_path: Path) -> None:
    saving.register_keras_serializable(name="Wrapped")(Wrapper)
    inputs = convkit.Input((8, 8, 3))
    conv = layers.Conv2D(2, 3, name="inner")
    model = convkit.Model(inputs, Wrapper(conv, 2.0, name="outer", trainable=False)(inputs))
    names = [path for path, _ in model.named_weights()]
    assert names == ["outer/norm/gamma", "outer/norm/beta", "outer/layer/kernel",
                     "outer/layer/bias"]  # fmt: skip
    model.save(tmp_path / "m")
    loaded = convkit.models.load_model(tmp_path / "m")
    same(model, loaded)
    assert loaded.layers[1].layer.name == "inner"
    assert loaded.trainable_weights == []


def test_a_configuration_without_the_name_is_refused_at_once() -> None:
    inputs = convkit.Input((8, 8, 3))
    nameless = of_call(lambda self, x: -x, get_config=lambda self: {})
    for model in (convkit.Model(inputs, nameless(inputs)), convkit.Sequential([nameless])):
        with pytest.raises(ValueError, match=r'layer "own" .*super\(\)\.get_config'):
            model.get_config()


def test_a_chain_of_own_layers_is_a_chain_elsewhere(tmp_path: Path) -> None:
    """What converts chains looks through it."""

    class Block(layers.Layer):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.conv = layers.Conv2D(4, 3, activation="relu")
            self.pool = layers.GlobalAveragePooling2D()

        def call(self, x: Any) -> Any:
            return self.pool(self.conv(x))

    model = convkit.Sequential([convkit.Input((8, 8, 3)), Block(), layers.Dense(3, "softmax")])
    pytest.importorskip("onnx")
    convkit.onnx.export(model, tmp_path / "m.onnx")
    copied = convkit.onnx.load(tmp_path / "m.onnx")
    np.testing.assert_allclose(
        copied.predict(images(), verbose=0), model.predict(images(), verbose=0), rtol=1e-6
    )


def test_a_dropped_layer_is_freed_at_once() -> None:
    gc.collect()
    gc.disable()
    try:
        model = trained()
        left = [weakref.ref(each) for each in (model, *model.layers, model.layers[1].convs[0])]
        del model
        assert [each() for each in left] == [None] * len(left)
    finally:
        gc.enable()


# What is refused.


def of_call(call: Callable[..., Any], **members: Any) -> Any:
    return type("Own", (layers.Layer,), {"call": call, **members})(name="own")


def on_one(layer: Any) -> Any:
    return layer(convkit.Input((8, 8, 3)))


FOREIGN = convkit.Input((8, 8, 3), name="foreign")
REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: on_one(of_call(lambda self, x: np.sin(x))), TypeError, r'"own".*nothing of NumPy'),
    (lambda: on_one(of_call(lambda self, x: np.mean(x))), TypeError, r'"own".*holds no numbers'),
    (lambda: on_one(of_call(lambda self, x: x**2)), TypeError, r'"own".*could not be traced'),
    (lambda: on_one(of_call(lambda self, x: x[:, 0])), TypeError, r'"own".*not subscriptable'),
    (lambda: on_one(of_call(lambda self, x: x if x else -x)), TypeError, "neither true nor false"),
    (lambda: on_one(of_call(lambda self, x: self.conv(x))), AttributeError, "no attribute 'conv'"),
    (lambda: on_one(of_call(lambda self, x: 3)), TypeError, "what call returns.*received 3"),
    (lambda: on_one(of_call(lambda self, x: None)), TypeError, "what call returns.*received None"),
    (
        lambda: on_one(of_call(lambda self, x, training: -x if training else x)),
        TypeError,
        "cannot depend on training",
    ),
    (
        lambda: on_one(of_call(lambda self, x, training: layers.Dropout(0.5)(x, training=True))),
        ValueError,
        r'layer "dropout" \(Dropout\): training=True cannot be fixed',
    ),
    (
        lambda: on_one(of_call(lambda self, x: layers.Conv2D(2, 3, name="made")(x))),
        ValueError,
        '"own".*uses the layer "made", which has weights and is no attribute',
    ),
    (lambda: on_one(of_call(lambda self, x: x + FOREIGN)), ValueError, 'Input "foreign"'),
    (lambda: on_one(of_call(lambda self, x, mask: x)), TypeError, "missing .*'mask'"),
    (lambda: Residual(4)([convkit.Input((8, 8, 3))]), ValueError, "a list of one tensor"),
    (lambda: Residual(4)(convkit.Input((7,))), ValueError, "rank 4"),
    (lambda: of_call(lambda self, x: x, forward=None), TypeError, "has a call and.*a forward"),
    (lambda: Residual(4).get_layer, AttributeError, "no attribute 'get_layer'"),
    (lambda: saving.register_keras_serializable()(len), TypeError, "must be a class.*len"),
    (lambda: saving.custom_object_scope(3).__enter__(), TypeError, "a dictionary of classes"),
    (lambda: convkit.models.load_model("m", {"A": 3}), TypeError, "must be a class.*received 3"),
    (
        lambda: layers.BatchNormalization()(convkit.Input((3,)), training=False),
        ValueError,
        "training=False cannot be fixed in a model",
    ),
    (
        lambda: convkit.Sequential([convkit.Input((3,)), layers.Dropout(0.5)])(
            convkit.Input((3,)), training=True
        ),
        ValueError,
        "training=True cannot be fixed in a model",
    ),
]


@pytest.mark.parametrize(("make", "kind", "message"), REFUSED)
def test_refused(make: Callable[[], Any], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        make()


def test_parts_of_a_built_layer_stay() -> None:
    own = Residual(4)
    on_one(own)
    for change in (
        lambda: setattr(own, "short", None),
        lambda: setattr(own, "more", layers.Dense(3)),
        lambda: setattr(own, "filters", 5),
    ):
        with pytest.raises(AttributeError, match=r'"residual".*cannot be set; the layer is built'):
            change()
    own.note = "anything else can"
    with pytest.raises(ValueError, match="several outputs and cannot be a layer of a Sequential"):
        convkit.Sequential([convkit.Input((3,)), of_call(lambda self, x: [x, x])])


def test_a_constructor_without_a_name_has_no_configuration() -> None:
    class Plain(layers.Layer):
        def __init__(self, units: int) -> None:
            super().__init__()
            self.dense = layers.Dense(units)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    assert Plain(3)(np.ones((2, 4), np.float32)).shape == (2, 3)
    with pytest.raises(TypeError, match=r"takes no name; have it take \*\*options"):
        Plain(3).get_config()


# Models of a class of one's own.


class Network(convkit.Model):
    """A model whose layers are attributes."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.head = layers.Dense(3, activation="softmax")
        self.block = Residual(4)
        self.flat = layers.Flatten()

    def call(self, x: Any, training: Any = None) -> Any:
        return self.head(self.flat(self.block(x, training=training)))


def test_a_model_with_a_call(tmp_path: Path) -> None:
    model = Network(name="own")
    assert not model.built
    assert model.layers == [model.head, model.block, model.flat]
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(images(), np.arange(6) % 3, epochs=15, verbose=0).history
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert model.weights[0] is model.head.kernel, "in the attributes' order"
    assert model.output_shape == (None, 3)
    inputs = convkit.Input((8, 8, 3))
    plain = convkit.Model(inputs, model.head(model.flat(model.block(inputs))))
    x = images()
    np.testing.assert_array_equal(model.predict(x, verbose=0), plain.predict(x, verbose=0))
    np.testing.assert_array_equal(model(x), plain(x))
    lines: list[str] = []
    model.summary(print_fn=lines.append)
    assert f"Total params: {plain.count_params():,} " in lines[0]
    model.save_weights(tmp_path / "w")
    twin = Network()
    twin.build((None, 8, 8, 3))
    twin.load_weights(tmp_path / "w")
    np.testing.assert_array_equal(model(x), twin(x))
    frozen = Network(trainable=False)
    frozen.build((None, 8, 8, 3))
    assert frozen.trainable_weights == []
    outer = convkit.Model(inputs, Network()(inputs))
    assert outer.output_shape == (None, 3)
    for refused in (lambda: model.save(tmp_path / "m"), model.get_config):
        with pytest.raises(ValueError, match=r"a Network cannot be saved.*use save_weights"):
            refused()


def test_a_model_with_a_call_of_two() -> None:
    class Pair(convkit.Model):
        def __init__(self) -> None:
            super().__init__()
            self.own = Gate(5)

        def call(self, inputs: Any) -> Any:
            y, z = self.own(inputs)
            return {"image": y, "vector": z}

    x = images()
    model = Pair()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="several outputs: call build before compile"):
        model.build([(None, 8, 8, 3), (None, 8, 8, 3)])
    model = Pair()
    model.build([(None, 8, 8, 3), (None, 8, 8, 3)])
    model.compile("sgd", {"image": "mse", "vector": "mse"})
    targets = {"image": np.ones((6, 8, 8, 5)), "vector": np.ones((6, 5))}
    model.fit([x, x], targets, verbose=0)
    assert sorted(model.predict([x, x], verbose=0)) == ["image", "vector"]
    with pytest.raises(TypeError, match=r"inputs must be symbolic tensors.*received None"):
        convkit.Model()
