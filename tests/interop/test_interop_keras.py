"""Models and weights between convkit and Keras, in both directions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from compare import Array
from convkit import interop, layers
from peer_keras import keras
from some_models import KERAS_LINES, LINES, ZOO, images, of_line, trained

# Keras hands PyTorch's tensors to NumPy in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")


def run(network: Any, x: Array) -> Array:
    return np.asarray(keras.ops.convert_to_numpy(network(x, training=False)))


def close(a: Array, b: Array) -> None:
    assert np.ptp(b) > 1e-3  # a constant would be equal for the wrong reason
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("keras")
@pytest.mark.parametrize("name", [*ZOO, *LINES, *KERAS_LINES])
def test_models_go_there_and_back(name: str) -> None:
    model = trained(name) if name in ZOO else of_line(name)
    x = images(model, 4)
    expected = model.predict(x, verbose=0)
    network = interop.to_keras(model)
    close(run(network, x), expected)
    assert [layer.name for layer in network.layers] == [layer.name for layer in model.layers]
    assert network.count_params() == model.count_params()
    back = interop.from_keras(network)
    assert back.name == model.name
    assert [type(layer) for layer in back.layers] == [type(layer) for layer in model.layers]
    for layer, copy in zip(model.layers, back.layers, strict=True):
        ours = {k: v for k, v in layer.get_config().items() if "initializer" not in k}
        theirs = {k: v for k, v in copy.get_config().items() if "initializer" not in k}
        assert theirs == ours
    for mine, theirs in zip(model.get_weights(), back.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, mine)
    np.testing.assert_array_equal(back.predict(x, verbose=0), expected)


@pytest.mark.usefixtures("keras")
def test_layers_that_only_keras_has_go_there_and_back() -> None:
    convkit.utils.set_random_seed(3)
    model = convkit.Sequential(
        [
            layers.Input((6, 5, 3)),
            layers.GaussianNoise(0.25, seed=5),
            layers.UpSampling2D((2, 3), interpolation="bilinear", name="larger"),
            layers.Cropping2D(((1, 0), (2, 3))),
            layers.SpatialDropout2D(0.5),
            layers.Identity(),
            layers.Permute((2, 1, 3)),
            layers.UpSampling2D(2),
            layers.GaussianDropout(0.25),
        ]
    )
    x = images(model, 4)
    network = interop.to_keras(model)
    close(run(network, x), model.predict(x, verbose=0))
    back = interop.from_keras(network)
    assert [layer.get_config() for layer in back.layers] == [
        layer.get_config() for layer in model.layers
    ]


@pytest.mark.usefixtures("keras")
def test_a_model_that_keras_trained_goes_on_learning_here() -> None:
    """The same weights, settings and moving statistics: the next step gives the same weights."""
    keras.utils.set_random_seed(9)
    network = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            keras.layers.Conv2D(6, 3, padding="same", strides=2, use_bias=False),
            keras.layers.BatchNormalization(momentum=0.8, epsilon=1e-2),
            keras.layers.ReLU(),
            keras.layers.MaxPool2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(3, activation=keras.activations.softmax),
        ]
    )
    rng = np.random.default_rng(3)
    x, labels = rng.random((16, 8, 8, 2), dtype=np.float32), np.arange(16) % 3
    network.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    network.fit(x, labels, batch_size=8, epochs=3, verbose=0)
    model = interop.from_keras(network)
    close(model.predict(x, verbose=0), run(network, x))
    model.compile(convkit.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    for each in (network, model):
        each.fit(x, labels, batch_size=16, epochs=1, verbose=0)
    for mine, theirs in zip(model.get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-4, atol=1e-6)


def test_frozen_layers_stay_frozen() -> None:
    model = of_line("nothing but dense")
    model.layers[0].trainable = False
    network = interop.to_keras(model)
    model.layers[0].trainable = True
    assert [layer.trainable for layer in network.layers] == [False, True, True]
    copies = interop.from_keras(network).layers
    assert [layer.trainable for layer in copies] == [False, True, True]


def own_activation(x: Any) -> Any:
    return x * x


@pytest.mark.usefixtures("keras")
def test_penalties_come_along() -> None:
    """The loss that is reported has the penalties in it, with the same arguments in both."""
    of = convkit.regularizers
    model = convkit.Sequential(
        [
            convkit.Input((8, 8, 3)),
            layers.Conv2D(4, 3, kernel_regularizer="l1", bias_regularizer=of.L2(0.3)),
            layers.DepthwiseConv2D(
                3,
                bias_initializer="ones",
                depthwise_regularizer=of.L1L2(0.1, 0.2),
                bias_regularizer=of.L1(0.4),
            ),
            layers.BatchNormalization(beta_regularizer="l1", gamma_regularizer=of.L2(0.7)),
            layers.Flatten(),
            layers.Dense(3, "softmax", kernel_regularizer=of.L2(0.5), bias_regularizer="l1"),
        ]
    )
    rng = np.random.default_rng(4)
    model.set_weights([w + rng.random(w.shape, np.float32) / 4 for w in model.get_weights()])
    network = interop.to_keras(model)
    back = interop.from_keras(network)
    x, labels = images(model, 12), np.arange(12) % 3
    losses = []
    for each in (model, network, back):
        each.compile("sgd", "sparse_categorical_crossentropy")
        losses.append(each.evaluate(x, labels, verbose=0))
    # Keras holds a penalty's factors in float32.
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)
    for layer, copy in zip(model.layers, back.layers, strict=True):
        for name, value in layer.get_config().items():
            if name.endswith("_regularizer"):
                assert value is not None
                assert copy.get_config()[name]["config"] == pytest.approx(value["config"])


@pytest.mark.usefixtures("keras")
def test_constraints_come_along() -> None:
    of = convkit.constraints
    model = convkit.Sequential(
        [
            convkit.Input((8, 8, 3)),
            layers.Conv2D(4, 3, kernel_constraint=of.MaxNorm(0.5, [0, 1, 2])),
            layers.DepthwiseConv2D(3, depthwise_constraint="unit_norm", bias_constraint="non_neg"),
            layers.BatchNormalization(gamma_constraint=of.MinMaxNorm(0.5, 2.0, 0.25)),
            layers.Flatten(),
            layers.Dense(3, "softmax", kernel_constraint=of.UnitNorm(1)),
        ]
    )
    back = interop.from_keras(interop.to_keras(model))
    for layer, copy in zip(model.layers, back.layers, strict=True):
        for name, value in layer.get_config().items():
            if name.endswith("_constraint"):
                assert copy.get_config()[name] == value


def test_own_penalties_are_refused() -> None:
    class Own(convkit.regularizers.L2):
        """A user's own regularizer."""

    model = convkit.Sequential([convkit.Input((3,)), layers.Dense(2, kernel_regularizer=Own())])
    with pytest.raises(ValueError, match=r'"dense.*kernel_regularizer: Own.* has no counterpart'):
        interop.to_keras(model)


class Halved(keras.constraints.Constraint):
    """A user's own constraint."""

    def __call__(self, w: Any) -> Any:
        return w / 2


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "LSTM": (lambda: keras.layers.LSTM(3, name="memory"), r'"memory" \(LSTM\): it has no counter'),
    "activation": (lambda: keras.layers.Dense(3, "squareplus"), "unknown activation 'squareplus'"),
    "a function": (
        lambda: keras.layers.Dense(3, own_activation),
        r"no such activation: <function own_activation",
    ),
    "channels first": (
        lambda: keras.layers.GlobalMaxPooling2D(data_format="channels_first"),
        "no counterpart for data_format='channels_first'",
    ),
    "axis": (lambda: keras.layers.BatchNormalization(axis=1), "no counterpart for axis=1"),
    "constraint": (
        lambda: keras.layers.Dense(2, kernel_constraint=Halved()),
        "no counterpart for kernel_constraint=",
    ),
    "penalty": (
        lambda: keras.layers.Dense(2, kernel_regularizer="orthogonal_regularizer"),
        "no counterpart for kernel_regularizer=.*OrthogonalRegularizer",
    ),
    "penalty of the output": (
        lambda: keras.layers.Dense(2, activity_regularizer="l2"),
        "no counterpart for activity_regularizer=",
    ),
    "noise": (
        lambda: keras.layers.Dropout(0.5, noise_shape=(8, 1, 1, 3)),
        "noise_shape begins with None, for batches of any size, or 1",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused(name: str) -> None:
    make, message = REFUSED[name]
    shape = (4, 3) if name == "LSTM" else (4, 4, 3)
    network = keras.Sequential([keras.Input(shape), make()])
    with pytest.raises(ValueError, match=message):
        interop.from_keras(network)


def relu(x: Any) -> Any:
    """Called as one of Keras's functions, and another."""
    return x * x


@keras.saving.register_keras_serializable(package="test")
class Scaled(keras.layers.Dense):
    def call(self, inputs: Any, training: Any = None) -> Any:
        return 2 * super().call(inputs)


class Residual(keras.Sequential):
    def call(self, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        return inputs + super().call(inputs, *arguments, **keywords)


class Plain(keras.Sequential):
    """As it is, under another name."""


def with_own_call(layer: Any) -> Any:
    layer.call = lambda inputs: 2 * inputs
    return layer


def quantized() -> Any:
    layer = keras.layers.Dense(3)
    layer.build((None, 4, 4, 3))
    layer.quantize("int8")
    return layer


def low_rank() -> Any:
    layer = keras.layers.Dense(3)
    layer.build((None, 4, 4, 3))
    layer.enable_lora(1)
    return layer


def changed_later() -> Any:
    layer = keras.layers.Conv2D(3, 1, activation="relu")
    layer.activation = lambda x: x - 1
    return layer


UNTRUE: dict[str, tuple[Callable[[], Any], str]] = {
    "a subclass": (lambda: Scaled(3, name="mine"), r'"mine" \(Scaled\): it has no counterpart'),
    "called as Keras's": (
        lambda: type("Dense", (keras.layers.Dense,), {})(3),
        r"\(Dense\): it has no counterpart",
    ),
    "an own call": (lambda: with_own_call(keras.layers.ReLU()), "it has its own call, so that"),
    "an own function called relu": (
        lambda: keras.layers.Conv2D(3, 1, activation=relu),
        "no such activation: <function relu",
    ),
    "an own function in an Activation": (
        lambda: keras.layers.Activation(relu),
        "no such activation: <function relu",
    ),
    "a layer as a function": (
        lambda: keras.layers.Conv2D(3, 1, activation=keras.layers.ReLU(2.0)),
        "no such activation: <ReLU",
    ),
    "a function that came later": (changed_later, "no such activation: <function"),
    "quantized": (quantized, "its dtype policy is 'int8_from_float32'"),
    "of low rank": (low_rank, "no counterpart for lora_rank=1"),
    "half": (lambda: keras.layers.ReLU(dtype="float16"), "its dtype policy is 'float16'"),
    "mixed": (
        lambda: keras.layers.Conv2D(3, 1, dtype="mixed_float16"),
        "its dtype policy is 'mixed_float16'",
    ),
    "double": (lambda: keras.layers.Conv2D(3, 1, dtype="float64"), "policy is 'float64'"),
    "softmax elsewhere": (lambda: keras.layers.Softmax(axis=1), "no counterpart for axis=1"),
    "a number for each pixel": (
        lambda: keras.layers.Rescaling(np.ones((4, 4, 3))),
        r"scale must be a number, or one for each channel, received shape \(4, 4, 3\)",
    ),
    "a number for each column": (
        lambda: keras.layers.Rescaling(1.0, np.ones((4, 1))),
        r"offset must be a number, or one for each channel, received shape \(4, 1\)",
    ),
}


@pytest.mark.parametrize("verify", [True, False])
@pytest.mark.parametrize("name", UNTRUE)
@pytest.mark.usefixtures("keras")
def test_what_computes_something_else_than_it_is_called_is_refused(name: str, verify: bool) -> None:
    make, message = UNTRUE[name]
    network = keras.Sequential([keras.Input((4, 4, 3)), make()])
    with pytest.raises(ValueError, match=message):
        interop.from_keras(network, verify=verify)


def test_the_last_axis_has_a_number_that_depends_on_the_rank() -> None:
    """The fourth axis is the channels of images, and the columns of volumes."""
    for make in (
        lambda: keras.layers.BatchNormalization(axis=3),
        lambda: keras.layers.Softmax(axis=3),
    ):
        assert interop.from_keras(keras.Sequential([keras.Input((4, 5, 3)), make()]))
        with pytest.raises(ValueError, match="no counterpart for axis=3"):
            interop.from_keras(keras.Sequential([keras.Input((2, 4, 5, 3)), make()]))
    network = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(axis=1)])
    assert interop.from_keras(network)


@pytest.mark.usefixtures("keras")
def test_a_sequential_with_a_computation_of_its_own_is_refused() -> None:
    def built(kind: Any) -> Any:
        return kind([keras.Input((3,)), keras.layers.Dense(3)])

    with pytest.raises(ValueError, match=r"Keras model .*: it has its own call"):
        interop.from_keras(built(Residual))
    with pytest.raises(ValueError, match=r"Keras model .*: it has its own call"):
        interop.from_keras(with_own_call(built(keras.Sequential)))
    assert len(interop.from_keras(built(Plain)).layers) == 1


RESCALINGS = [
    (0.5, 1),
    (np.float32(2.0), np.array(3.0)),
    ([1.0, 2.0, 3.0], 0.25),
    (np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.5], np.float32)),
    (np.ones((1, 1, 3)) * 2, np.zeros((1,))),
    (np.array([2.0]), (1.0, 2.0, 3.0)),
]


@pytest.mark.parametrize("case", range(len(RESCALINGS)))
@pytest.mark.usefixtures("keras")
def test_the_numbers_of_a_rescaling_may_be_arrays(case: int) -> None:
    scale, offset = RESCALINGS[case]
    network = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Rescaling(scale, offset)])
    model = interop.from_keras(network)
    x = images(model, 3)
    close(model.predict(x, verbose=0), run(network, x))


def test_other_models_are_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a keras\.Sequential, or .* received Dense"):
        interop.from_keras(keras.layers.Dense(2))
    with pytest.raises(ValueError, match="is not built; give it an Input"):
        interop.from_keras(keras.Sequential([keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match="is not built: begin it with Input"):
        interop.to_keras(convkit.Sequential([layers.Dense(2)]))

    class Dense(layers.Dense):
        """A user's own layer, which may compute anything."""

    with pytest.raises(ValueError, match="it has no counterpart in Keras"):
        interop.to_keras(convkit.Sequential([convkit.Input((3,)), Dense(2)]))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    model = of_line("nothing but dense")
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(ImportError, match="install it with: pip install keras"):
        interop.to_keras(model)
