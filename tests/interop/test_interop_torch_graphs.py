"""Graphs of layers as PyTorch modules: what they compute, how they train, and what is refused."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import convkit
from convkit import layers, zoo
from convkit.interop import from_torch, to_torch

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

pytestmark = pytest.mark.usefixtures("one_thread", "one_torch_thread")


def predicted(network: Any, *x: np.ndarray) -> list[np.ndarray]:
    """What the network makes of channels-last arrays, channels-last."""
    with torch.no_grad():
        made = network(*(torch.from_numpy(np.ascontiguousarray(np.moveaxis(a, -1, 1))) for a in x))
    made = made if isinstance(made, tuple) else (made,)
    return [np.moveaxis(each.numpy(), 1, -1) for each in made]


def assert_same(actual: np.ndarray, expected: np.ndarray) -> None:
    assert np.abs(actual - expected).max() <= 1e-5 * np.abs(expected).max()


def mixed() -> convkit.Model:
    """Two inputs, two outputs, and layers that keep their channels last."""
    image, vector = convkit.Input((16, 16, 3), name="image"), convkit.Input((8,), name="vector")
    x = layers.Activation("silu")(layers.Conv2D(8, 3, padding="same")(image))
    y = layers.UpSampling2D(2, interpolation="bilinear")(layers.MaxPooling2D(2)(x))
    z = layers.Concatenate()([x, y])
    z = layers.Conv2DTranspose(4, 3, strides=2, padding="same")(z)
    z = layers.Rescaling(0.5, 0.1)(layers.LayerNormalization()(z))
    gate = layers.Reshape((1, 1, 4))(layers.Dense(4, activation="sigmoid")(vector))
    z = layers.Dense(5, activation="exponential")(layers.Multiply()([z, gate]))
    pooled = layers.GlobalAveragePooling2D()(z)
    return convkit.Model([image, vector], [pooled, layers.Average()([z, z * 2.0])])


def shared() -> convkit.Model:
    """One tower for two images."""
    tower = layers.Conv2D(4, 3, activation="relu", name="tower")
    one, other = convkit.Input((8, 8, 1)), convkit.Input((8, 8, 1))
    x = layers.Subtract()([layers.Flatten()(tower(one)), layers.Flatten()(tower(other))])
    return convkit.Model([one, other], layers.Dense(3, name="answer")(x))


@pytest.mark.parametrize(
    "make", [zoo.resnet20, lambda: zoo.wide_resnet(10, 1), zoo.mobilenet_v2_cifar]
)
def test_networks_of_the_zoo_go_there_and_back(make: Callable[[], convkit.Model]) -> None:
    model = make()
    x = np.random.default_rng(0).random((2, 32, 32, 3), np.float32)
    network = to_torch(model)
    assert_same(predicted(network, x)[0], model.predict_on_batch(x))
    assert sum(p.numel() for p in network.parameters()) == sum(
        p.size for p in model.trainable_weights
    )
    again = from_torch(network, (3, 32, 32))
    assert_same(again.predict_on_batch(x), model.predict_on_batch(x))


def test_several_inputs_and_outputs() -> None:
    model = mixed()
    rng = np.random.default_rng(1)
    x, v = rng.random((3, 16, 16, 3), np.float32), rng.random((3, 8), np.float32)
    network = to_torch(model)
    for each in (network, copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        for actual, expected in zip(
            predicted(each, x, v), model.predict_on_batch([x, v]), strict=True
        ):
            assert_same(actual, expected)
    with pytest.raises(ValueError, match="takes 2 inputs, received 1"):
        network(torch.zeros(1, 3, 16, 16))


def test_a_layer_that_is_called_twice_is_one_module_and_trains_as_one() -> None:
    model = shared()
    rng = np.random.default_rng(2)
    x = [rng.random((4, 8, 8, 1), np.float32) for _ in range(2)]
    y = rng.random((4, 3), np.float32)
    network = to_torch(model)
    assert [name for name, _ in network.named_parameters()] == [
        "tower.weight",
        "tower.bias",
        "answer.weight",
        "answer.bias",
    ]
    model.compile(convkit.optimizers.SGD(0.1), "mse")
    model.train_on_batch(x, y)
    optimizer = torch.optim.SGD(network.parameters(), 0.1)
    given = [torch.from_numpy(np.moveaxis(each, -1, 1).copy()) for each in x]
    torch.nn.functional.mse_loss(network(*given), torch.from_numpy(y)).backward()
    optimizer.step()
    kernel = network.tower.weight.detach().numpy().transpose(2, 3, 1, 0)
    assert_same(kernel, model.get_layer("tower").kernel.numpy())


def test_layers_whose_names_are_those_of_others_modules() -> None:
    """An uneven padding is a module of its own, with a number behind the layer's name."""
    inputs = convkit.Input((8, 8, 2))
    x = layers.Conv2D(3, 3, strides=2, padding="same", name="conv")(inputs)
    x = layers.Conv2D(3, 1, name="conv_1")(x)
    x = layers.Conv2D(3, 1, name="conv_0")(x)
    model = convkit.Model(inputs, layers.Add()([x, x * 2.0]))
    x = np.random.default_rng(4).random((2, 8, 8, 2), np.float32)
    assert_same(predicted(to_torch(model), x)[0], model.predict_on_batch(x))


def test_products_of_rows_train_their_bias() -> None:
    inputs = convkit.Input((5, 4))
    model = convkit.Model(inputs, layers.Add()([inputs, layers.Dense(4, name="rows")(inputs)]))
    x = np.random.default_rng(3).random((2, 5, 4), np.float32)
    network = to_torch(model)
    assert {name for name, _ in network.named_parameters()} == {"rows.weight", "rows.bias"}
    with torch.no_grad():
        made = network(torch.from_numpy(np.moveaxis(x, -1, 1).copy()))
    assert_same(np.moveaxis(made.numpy(), 1, -1), model.predict_on_batch(x))


def test_what_is_not_converted_is_named() -> None:
    inputs = convkit.Input((8, 8, 4))
    grouped = layers.GroupNormalization(2, name="grouped")(inputs)
    with pytest.raises(ValueError, match=r"grouped.*not converted.*convkit\.onnx\.export"):
        to_torch(convkit.Model(inputs, layers.Add()([inputs, grouped])))
