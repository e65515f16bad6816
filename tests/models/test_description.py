"""Models as JSON, by what they were compiled with, and as tables with Keras's options."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import convkit
from compare import random_array
from convkit import layers


def model() -> convkit.Model:
    inner = convkit.Sequential(
        [convkit.Input((6, 6, 2)), layers.Conv2D(3, 3, name="conv"), layers.ReLU(name="relu")],
        name="inner",
    )
    x = convkit.Input((6, 6, 2), name="image")
    y = layers.Flatten(name="flat")(inner(x))
    outputs = [layers.Dense(4, "softmax", name="one")(y), layers.Dense(1, name="two")(y)]
    return convkit.Model(x, outputs, name="outer")


def test_json_and_back() -> None:
    first = model()
    text = first.to_json(indent=2)
    assert text.count("\n") > 20
    again = convkit.models.model_from_json(text)
    assert (type(again), again.name, again.get_config()) == (
        convkit.Model,
        "outer",
        first.get_config(),
    )
    again.set_weights(first.get_weights())
    x = random_array("x", (3, 6, 6, 2))
    for one, two in zip(again.predict(x, verbose=0), first.predict(x, verbose=0), strict=True):
        np.testing.assert_array_equal(one, two)
    chain = convkit.zoo.mnist_cnn()
    assert type(convkit.models.model_from_json(chain.to_json())) is convkit.Sequential


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"module": "keras", "class_name": "Sequential", "config": {}}',
        '{"module": "convkit.models", "class_name": "Sequential", "config": 3}',
        '{"module": "convkit.models", "class_name": "Sequential", "config": {"name": "a"}}',
        '{"module": "convkit.models", "class_name": "Sequential", "config": {"name": "a", '
        '"layers": [{"module": "os", "class_name": "system", "config": {}}]}}',
        "{" * 100_000,
    ],
)
def test_foreign_json(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        convkit.models.model_from_json(text)
    with pytest.raises(TypeError, match="takes a text"):
        convkit.models.model_from_json(3)  # type: ignore[arg-type]


def test_what_compile_was_given() -> None:
    first, again = model(), model()
    assert first.get_compile_config() is None
    first.compile(
        convkit.optimizers.Nadam(0.5, clipnorm=2.0),
        ["sparse_categorical_crossentropy", "mse"],
        loss_weights=[1.0, 0.5],
        metrics=[["accuracy"], []],
    )
    config = json.loads(json.dumps(first.get_compile_config()))
    again.compile_from_config(config)
    assert again.get_compile_config() == config
    assert again.optimizer is not first.optimizer
    chain = convkit.zoo.mnist_cnn()
    chain.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    other = convkit.zoo.mnist_cnn()
    other.compile_from_config(chain.get_compile_config())
    assert other.get_compile_config() == chain.get_compile_config()
    other.compile_from_config(None)


def test_saved_by_a_function(tmp_path: Any) -> None:
    first = model()
    for save in (convkit.models.save_model, convkit.saving.save_model):
        save(first, tmp_path / "model")
        loaded = convkit.saving.load_model(tmp_path / "model")
        np.testing.assert_array_equal(loaded.get_weights()[0], first.get_weights()[0])
    with pytest.raises(FileExistsError):
        convkit.models.save_model(first, tmp_path / "model", overwrite=False)
    with pytest.raises(TypeError, match="takes a model"):
        convkit.models.save_model("model", tmp_path / "model")  # type: ignore[arg-type]


def test_other_names_of_weights() -> None:
    chain = convkit.zoo.cifar10_cnn()
    assert chain.variables == chain.weights
    assert chain.trainable_variables == chain.trainable_weights
    assert chain.non_trainable_variables == chain.non_trainable_weights
    assert len(chain.variables) == len(chain.trainable_variables) + len(
        chain.non_trainable_variables
    )
    chain.reset_metrics()


def table(made: convkit.Model, **options: Any) -> list[str]:
    lines: list[str] = []
    made.summary(print_fn=lines.append, **options)
    return lines[0].splitlines()


def test_summaries() -> None:
    made = model()
    made.get_layer("inner").trainable = False
    plain = table(made)
    assert not any("conv (" in line for line in plain)
    wide = table(made, line_length=120, expand_nested=True, show_trainable=True)
    assert len(wide[1]) == 120
    (conv,) = (line for line in wide if line.startswith("   conv (Conv2D)"))
    assert conv.split()[-2:] == ["57", "N"]
    trainable = {line.split()[0]: line.split()[-1] for line in wide[4:] if "(" in line[:20]}
    assert (trainable["inner"], trainable["flat"], trainable["one"]) == ("N", "-", "Y")
    part = table(made, layer_range=["inner", "fl.t"])
    assert [line.split()[0] for line in part[4:6]] == ["inner", "flat"]
    assert part[6].startswith("=")
    assert part[-3:] == plain[-3:]
    assert table(made, layer_range=["flat", "inner"]) == part
    with pytest.raises(ValueError, match="no layer's name begins with 'deep'"):
        made.summary(layer_range=["deep", "one"])
    with pytest.raises(ValueError, match="two names"):
        made.summary(layer_range="one")
