"""convkit.activations: functions of arrays, and what stands for a name in a layer."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import (
    assert_elementwise,
    assert_same_bits,
    assert_same_training,
    float64,
    random_array,
)
from convkit import Sequential, activations, layers, reference

SECOND = {"swish": "silu", "hard_swish": "hard_silu"}


@pytest.mark.parametrize("name", activations.NAMES)
def test_functions_of_arrays(name: str) -> None:
    """Of any shape and type, and the array itself stays as it was."""
    function = getattr(activations, name)
    for shape in ((7,), (2, 3, 4), (5, 1)):
        x = random_array("x", shape)
        before = x.copy()
        y = function(x)
        assert_same_bits(x, before)
        assert not np.shares_memory(x, y)
        if name == "linear":
            assert_same_bits(y, x)
        elif name == "relu6":
            assert_same_bits(y, np.clip(x, 0, 6))
        else:
            assert_elementwise(y, getattr(reference, f"{name}_forward")(float64(x)), floor=4)
        assert_same_bits(function(x.tolist()), y)
        assert_same_bits(function(float64(x)), y)


def test_arguments() -> None:
    x = 3 * random_array("x", (5, 6))
    assert_same_bits(
        activations.relu(x, 0.25, 2.0, 0.5),
        reference.relu_forward(x, negative_slope=0.25, max_value=2.0, threshold=0.5),
    )
    assert_same_bits(
        activations.leaky_relu(x, 0.5), reference.leaky_relu_forward(x, negative_slope=0.5)
    )
    assert_elementwise(activations.elu(x, 2.0), reference.elu_forward(float64(x), alpha=2.0))
    assert_elementwise(
        activations.gelu(x, True), reference.gelu_forward(float64(x), approximate=True), floor=16
    )


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_any_axis(name: str) -> None:
    function, x = getattr(activations, name), random_array("x", (3, 4, 5))
    for axis in range(-3, 3):
        y = function(x, axis)
        assert y.shape == x.shape
        assert y.flags.c_contiguous
        sums = (y if name == "softmax" else np.exp(y)).sum(axis)
        np.testing.assert_allclose(sums, 1, rtol=1e-6)
    for axis in (3, -4):
        with pytest.raises(ValueError, match=rf"x of shape \(3, 4, 5\) has no axis {axis}"):
            function(x, axis)


def test_every_name_has_a_function_and_a_layer() -> None:
    assert layers.activation.ACTIVATIONS == activations.NAMES
    assert set(layers.activation._FUNCTIONS) == {*activations.NAMES} - {"linear"}
    public = {*activations.__all__} - {"get", "serialize", "deserialize"}
    assert public == {*activations.NAMES, *SECOND, "celu"}
    assert activations.ALIASES == {**SECOND, "celu": "elu"}


@pytest.mark.parametrize("name", [*activations.NAMES, *SECOND])
def test_names_and_functions_stand_for_each_other(name: str) -> None:
    function = getattr(activations, name)
    assert function.__name__ == SECOND.get(name, name)
    assert activations.get(name) is function
    assert activations.get(function) is function
    assert activations.serialize(function) == SECOND.get(name, name)
    assert activations.deserialize(activations.serialize(function)) is function
    kept = None if name == "linear" else SECOND.get(name, name)
    for given in (name, function, name.upper(), name.replace("_", "")):
        layer = layers.Activation(given)
        assert layer.activation == kept
        assert layer.get_config()["activation"] == kept
        dense = layers.Dense(3, given)
        assert dense.activation == kept
        assert layers.Dense.from_config(dense.get_config()).activation == kept
        dense.activation = None
        dense.activation = given
        assert dense.activation == kept
    assert layers.Conv2D(3, 3, activation=function).get_config()["activation"] == kept


def test_celu_is_elu_where_it_has_no_arguments() -> None:
    x = 3 * random_array("x", (5, 6))
    assert_same_bits(activations.celu(x), activations.elu(x))
    for alpha in (0.25, 3.0):
        wanted = np.where(x > 0, x, alpha * np.expm1(np.minimum(float64(x), 0) / alpha))
        assert_elementwise(activations.celu(x, alpha), wanted, floor=4)
    with pytest.raises(ValueError, match="alpha must be above 0"):
        activations.celu(x, 0.0)
    for given in ("celu", "CELU", activations.celu):
        assert layers.Dense(3, given).activation == "elu"
        assert activations.get(given) is activations.elu


def test_none_is_linear() -> None:
    assert activations.get(None) is activations.linear
    assert layers.Dense(3, activation=activations.linear).activation is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.tanh, "kernels of its own.*functions of convkit.activations, and no others"),
        (lambda x: x, "kernels of its own.*functions of convkit.activations, and no others"),
        (convkit.ops.relu_forward, "functions of convkit.activations, and no others"),
        ("squareplus", "unknown activation 'squareplus'.*nearest: `\"softplus\"`"),
        ("reluu", "unknown activation 'reluu': use one of linear, relu, .*did you mean 'relu'"),
        (3, "unknown activation 3: use one of"),
        (["relu"], r"unknown activation \['relu'\]: use one of"),
        (layers.ReLU, r"for an object of this class write ReLU\(...\)"),
    ],
)
def test_what_is_refused(given: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        activations.get(given)
    with pytest.raises(ValueError, match=rf'layer "dense\w*" \(Dense\): .*{message}'):
        layers.Dense(3, activation=given)


def test_a_function_is_saved_as_its_name(tmp_path: Path) -> None:
    model = Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation=activations.hard_swish),
            layers.Activation(activations.mish),
            layers.Flatten(),
            layers.Dense(5, activation=activations.log_softmax),
        ]
    )
    model.save(tmp_path / "model.safetensors")
    loaded = convkit.models.load_model(tmp_path / "model.safetensors")
    kept = [getattr(layer, "activation", None) for layer in loaded.layers]
    assert kept == ["hard_silu", "mish", None, "log_softmax"]
    x = random_array("x", (3, 8, 8, 3))
    assert_same_bits(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_a_log_softmax_before_views_stays_along_its_axis() -> None:
    """A plan moves a last activation behind views, in front of the loss; not this one."""
    x, y = random_array("x", (6, 4, 3)), random_array("y", (6, 12))

    def train(*ends: layers.Layer) -> tuple[Sequential, np.ndarray[Any, Any]]:
        convkit.utils.set_random_seed(3)
        model = Sequential([layers.Input((4, 3)), layers.BatchNormalization(), *ends])
        model.compile("sgd", "mse")
        return model, np.array([model.train_on_batch(x, y) for _ in range(3)], np.float64)

    _, losses = train(layers.Activation("log_softmax"), layers.Flatten())
    # A layer with nothing to do that is no view holds the activation back.
    _, expected = train(layers.Activation("log_softmax"), layers.Rescaling(1.0), layers.Flatten())
    np.testing.assert_array_equal(losses, expected)
    normalised = reference.batchnorm_forward(
        float64(x), np.ones(3), np.zeros(3), np.zeros(3), np.ones(3), epsilon=1e-3
    )[0]
    first = (reference.log_softmax_forward(normalised).reshape(6, 12) - y) ** 2
    np.testing.assert_allclose(losses[0], first.mean(), rtol=1e-5)


@pytest.mark.parametrize("name", activations.NAMES)
def test_training_with_each(name: str) -> None:
    """By name, by function and as a layer of its own: the same numbers, and they are finite."""
    x, labels = random_array("x", (40, 6, 6, 2)), np.arange(40) % 3

    def train(*hidden: layers.Layer) -> Sequential:
        convkit.utils.set_random_seed(5)
        model = Sequential([layers.Input((6, 6, 2)), *hidden, layers.Flatten(), layers.Dense(3)])
        loss = convkit.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss)
        model.fit(x, labels, epochs=2, batch_size=16, verbose=0)
        return model

    one = train(layers.Conv2D(5, 3, activation=name, name="conv"))
    assert one.history is not None
    assert np.isfinite(one.history.history["loss"]).all()
    function = getattr(activations, name)
    assert_same_training(one, train(layers.Conv2D(5, 3, activation=function, name="conv")))
    split = train(layers.Conv2D(5, 3, name="conv"), layers.Activation(function))
    assert split.history is not None
    np.testing.assert_allclose(
        one.history.history["loss"], split.history.history["loss"], rtol=1e-5
    )


def test_the_functions_are_documented() -> None:
    for name in activations.__all__:
        assert inspect.getdoc(getattr(activations, name)), name
