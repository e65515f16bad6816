"""Layers given as the activations of other layers."""

from __future__ import annotations

import importlib.util
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import convkit
from compare import assert_same_bits
from convkit import Input, Sequential, layers, losses


@pytest.mark.parametrize(
    "activation",
    [
        layers.LeakyReLU(0.1),
        layers.LeakyReLU(alpha=0.4),
        layers.ELU(0.5),
        layers.ReLU(max_value=0.75, negative_slope=0.25),
        layers.ReLU(),
        layers.Softmax(),
    ],
    ids=repr,
)
def test_layers_as_activations(activation: layers.Layer, tmp_path: Path) -> None:
    """They compute what they do as layers behind, and come back from files."""
    x = np.random.default_rng(1).normal(size=(4, 6, 6, 2)).astype(np.float32)
    y = np.arange(4)
    models = []
    for behind in (False, True):
        convkit.utils.set_random_seed(1)
        own = None if behind else activation
        chain: list[Any] = [Input((6, 6, 2)), layers.Conv2D(3, 3, activation=own)]
        chain += [layers.Flatten(), layers.Dense(5, activation=own)]
        if behind:
            chain.insert(2, type(activation).from_config(_unnamed(activation)))
            chain.append(type(activation).from_config(_unnamed(activation)))
        model = Sequential(chain)
        model.compile("sgd", losses.SparseCategoricalCrossentropy(from_logits=True))
        models.append(model)
    models[1].set_weights(models[0].get_weights())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of logits from a softmax
        for model in models:
            model.fit(x, y, epochs=3, verbose=0)
    assert_same_bits(tuple(models[0].get_weights()), tuple(models[1].get_weights()))
    models[0].save(tmp_path / "model")
    other = convkit.models.load_model(tmp_path / "model")
    assert_same_bits(other.predict(x, verbose=0), models[0].predict(x, verbose=0))


def _unnamed(layer: layers.Layer) -> dict[str, Any]:
    return {key: value for key, value in layer.get_config().items() if key != "name"}


def test_layers_that_are_no_activations() -> None:
    with pytest.raises(ValueError, match=r"a layer such as LeakyReLU\(\), received <PReLU"):
        layers.Dense(3, activation=layers.PReLU())
    with pytest.raises(ValueError, match="is a layer itself"):
        layers.Activation(layers.LeakyReLU())  # type: ignore[arg-type]
    assert layers.Dense(3, activation=layers.ReLU()).activation == "relu"


def test_they_are_written_for_others(tmp_path: Path) -> None:
    """In ONNX's terms a layer behind; Keras has them in the same place."""
    conv = layers.Conv2D(3, 3, activation=layers.LeakyReLU(0.1))
    rest = [layers.Flatten(), layers.Dense(4, activation=layers.ReLU(max_value=2.0))]
    model = Sequential([Input((6, 6, 2)), conv, *rest, layers.Dense(2, layers.ELU(0.5))])
    pytest.importorskip("onnx", reason="pip install onnx")
    convkit.onnx.export(model, tmp_path / "model.onnx")
    x = np.random.default_rng(0).normal(size=(3, 6, 6, 2)).astype(np.float32)
    again = convkit.onnx.load(tmp_path / "model.onnx").predict(x, verbose=0)
    np.testing.assert_allclose(again, model.predict(x, verbose=0), rtol=1e-5, atol=1e-6)
    if importlib.util.find_spec("keras") and importlib.util.find_spec("torch"):
        os.environ.setdefault("KERAS_BACKEND", "torch")
        written = convkit.interop.to_keras(model)  # which compares the outputs
        assert type(written.layers[0].activation).__name__ == "LeakyReLU"
